//! Propagation as mountinfo tells it.
use super::{alone, mount, show_info};
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{MS_BIND, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    for dir in [c"a", c"b"] {
        let _ = file::mkdir(dir, 0o755);
    }
    show("mount", mount(c"one", c"a", c"tmpfs", 0));
    show_info("/a");
    for (name, flags) in [
        ("shared", MS_SHARED),
        ("slave of nobody", MS_SLAVE),
        ("unbindable", MS_UNBINDABLE),
        ("private", MS_PRIVATE),
        ("shared again", MS_SHARED | MS_REC),
    ] {
        show(name, mount(c"", c"a", c"", flags));
        show_info("/a");
    }
    show("bind", mount(c"a", c"b", c"", MS_BIND));
    show_info("/b");
    show("slave", mount(c"", c"b", c"", MS_SLAVE));
    show_info("/b");
    show("shared slave", mount(c"", c"b", c"", MS_SHARED));
    show_info("/b");
    show("private", mount(c"", c"b", c"", MS_PRIVATE));
    show_info("/b");
    show("umount", file::umount2(c"b", 0));
    show("umount", file::umount2(c"a", 0));
    0
}
