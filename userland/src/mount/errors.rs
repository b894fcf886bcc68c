//! mount(2): which error comes first.
use super::{alone, mount};
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use libc::{MS_BIND, MS_MOVE, MS_PRIVATE, MS_REMOUNT, MS_SHARED, MS_SLAVE};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    alone();
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o755);
    file::make(c"f", b"", 0o644);
    let _ = file::symlink(c"loop", c"loop");
    let long = CString::new(vec![b'x'; 300]).unwrap_or_default();
    let longer = CString::new(vec![b'/'; 5000]).unwrap_or_default();
    show("no such type", mount(c"none", c"d", c"nosuchfs", 0));
    show("empty type", mount(c"none", c"d", c"", 0));
    show("missing target", mount(c"none", c"none", c"tmpfs", 0));
    show("target is a file", mount(c"none", c"f", c"tmpfs", 0));
    show("target beneath a file", mount(c"none", c"f/x", c"tmpfs", 0));
    show("target is a loop", mount(c"none", c"loop", c"tmpfs", 0));
    show("target too long", mount(c"none", &long, c"tmpfs", 0));
    show("target far too long", mount(c"none", &longer, c"tmpfs", 0));
    show("source isn't a device", mount(c"f", c"d", c"ext4", 0));
    show("source is a character device", mount(c"/dev/null", c"d", c"ext4", 0));
    show("source missing", mount(c"/dev/none", c"d", c"ext4", 0));
    show("bad option", file::mount(c"none", c"d", c"tmpfs", 0, Some(c"nonsense")));
    show("remount what isn't mounted", mount(c"none", c"d", c"tmpfs", MS_REMOUNT));
    show("remount-bind what isn't mounted", mount(c"none", c"d", c"tmpfs", MS_REMOUNT | MS_BIND));
    show("bind a missing", mount(c"none", c"d", c"", MS_BIND));
    show("bind nothing", mount(c"", c"d", c"", MS_BIND));
    show("move what isn't mounted", mount(c"d", c"d", c"", MS_MOVE));
    show("share what isn't mounted", mount(c"", c"d", c"", MS_SHARED));
    show("two kinds", mount(c"", c"/", c"", MS_SHARED | MS_PRIVATE));
    show("a kind and more", mount(c"", c"/", c"", MS_SLAVE | 1));
    show("the kernel's own", mount(c"none", c"d", c"tmpfs", 1 << 31));
    let _ = file::mkdir(c"gone", 0o755);
    say!("{}", child::run(|| {
        let _ = file::chdir(c"gone");
        let _ = file::rmdir(c"../gone");
        show("on what is gone", mount(c"none", c".", c"tmpfs", 0));
        0
    }));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("by a user", mount(c"none", c"d", c"nosuchfs", 0));
        show("by a user, nowhere", mount(c"none", c"none", c"tmpfs", 0));
        show("bind by a user", mount(c"none", c"d", c"", MS_BIND));
        0
    }));
    0
}
