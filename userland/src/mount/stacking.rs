//! Mounts on mounts: the last one is seen, `..` leads out of all of them.
use super::{alone, mount, show_info};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"t", 0o755);
    file::make(c"t/below", b"", 0o644);
    for name in [c"one", c"two", c"three"] {
        show("mount", mount(name, c"t", c"tmpfs", 0));
        file::make(c"t/name", name.to_bytes(), 0o644);
    }
    show_info("/t");
    say!("{}", file::text(c"t/name"));
    let (mut up, mut here) = (libc::stat::zeroed(), libc::stat::zeroed());
    let _ = (file::stat(c"t/..", &mut up), file::stat(c".", &mut here));
    say!("{}", (up.st_dev, up.st_ino) == (here.st_dev, here.st_ino));
    show("the same again", mount(c"t", c"t", c"", libc::MS_BIND));
    for _ in 0..4 {
        say!("{} {}", file::text(c"t/name"), file::text(c"t/below"));
        show("umount", file::umount2(c"t", 0));
    }
    say!("{} {}", file::text(c"t/name"), file::text(c"t/below"));
    show("none left", file::umount2(c"t", 0));
    0
}
