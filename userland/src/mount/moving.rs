//! MS_MOVE: what is mounted beneath goes along; not into itself, not what isn't a mount.
use super::{alone, mount, show_info};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{MS_MOVE, MS_SHARED};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    for dir in [c"a", c"b", c"d"] {
        let _ = file::mkdir(dir, 0o755);
    }
    file::make(c"file", b"", 0o644);
    show("mount", mount(c"one", c"a", c"tmpfs", 0));
    let _ = file::mkdir(c"a/in", 0o755);
    show("inner", mount(c"two", c"a/in", c"tmpfs", 0));
    file::make(c"a/in/f", b"there", 0o644);
    show("move", mount(c"a", c"b", c"", MS_MOVE));
    say!("{} {}", file::text(c"b/in/f"), file::text(c"a/in/f"));
    show_info("/b");
    show_info("/b/in");
    show("a directory", mount(c"d", c"a", c"", MS_MOVE));
    show("into itself", mount(c"b", c"b/in", c"", MS_MOVE));
    show("onto a file", mount(c"b", c"file", c"", MS_MOVE));
    show("missing", mount(c"none", c"a", c"", MS_MOVE));
    show("to a missing", mount(c"b", c"none", c"", MS_MOVE));
    show("empty", mount(c"", c"a", c"", MS_MOVE));
    show("shared", mount(c"", c"b", c"", MS_SHARED));
    show("out of a shared one", mount(c"b/in", c"d", c"", MS_MOVE));
    show("detach", file::umount2(c"b", libc::MNT_DETACH));
    0
}
