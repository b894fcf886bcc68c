//! MS_REC copies the mounts beneath; without it they aren't seen.
use super::{alone, mount, show_info};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{MS_BIND, MS_REC, MS_UNBINDABLE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    for dir in [c"t", c"one", c"two", c"three"] {
        let _ = file::mkdir(dir, 0o755);
    }
    show("top", mount(c"top", c"t", c"tmpfs", 0));
    let _ = file::mkdir(c"t/d", 0o755);
    let _ = file::mkdir(c"t/e", 0o755);
    show("inner", mount(c"inner", c"t/d", c"tmpfs", 0));
    let _ = file::mkdir(c"t/d/deep", 0o755);
    show("deep", mount(c"deep", c"t/d/deep", c"tmpfs", 0));
    show("hidden", mount(c"hidden", c"t/e", c"tmpfs", 0));
    show("unbindable", mount(c"", c"t/e", c"", MS_UNBINDABLE));
    file::make(c"t/d/f", b"inner", 0o644);
    file::make(c"t/d/deep/f", b"deep", 0o644);
    file::make(c"t/e/f", b"hidden", 0o644);
    show("plain", mount(c"t", c"one", c"", MS_BIND));
    show("recursive", mount(c"t", c"two", c"", MS_BIND | MS_REC));
    for path in [c"one/d/f", c"two/d/f", c"two/d/deep/f", c"two/e/f"] {
        say!("{} {}", path.to_string_lossy(), file::text(path));
    }
    show("bind the unbindable", mount(c"t/e", c"three", c"", MS_BIND));
    show("a part of it", mount(c"t/d/deep", c"three", c"", MS_BIND | MS_REC));
    for end in ["/one", "/two", "/two/d", "/two/d/deep", "/three"] {
        say!("{end}");
        show_info(end);
    }
    show("into itself", mount(c"t", c"t/d", c"", MS_BIND | MS_REC));
    say!("{}", file::text(c"t/d/d/f"));
    show("busy", file::umount2(c"two", 0));
    show("detach", file::umount2(c"two", libc::MNT_DETACH));
    show_info("/two/d");
    for dir in [c"t", c"one", c"three"] {
        show("detach", file::umount2(dir, libc::MNT_DETACH));
    }
    0
}
