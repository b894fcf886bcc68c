//! The *at calls: relative to a directory, AT_FDCWD, absolute paths, bad descriptors.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use libc::{AT_FDCWD, AT_REMOVEDIR};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o700);
    let d = file::open_or_say(c"d", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let p = file::open_or_say(c"d", libc::O_PATH, 0);
    file::make(c"plain", b"", 0o600);
    let f = file::open_or_say(c"plain", libc::O_RDONLY, 0);
    show_ok("openat creates", file::openat(d, c"f", libc::O_RDWR | libc::O_CREAT, 0o600));
    show("mkdirat", file::mkdirat(d, c"sub", 0o700));
    show("symlinkat", file::symlinkat(c"f", d, c"l"));
    show("mknodat", file::mknodat(d, c"p", libc::S_IFIFO | 0o600, 0));
    show("linkat", file::linkat(d, c"f", AT_FDCWD, c"hard", 0));
    show("renameat", file::renameat(d, c"p", d, c"q"));
    show("fchmodat", file::fchmodat(d, c"f", 0o640));
    show("readlinkat", file::readlinkat(d, c"l", &mut [0; 9]));
    show("faccessat", file::faccessat(d, c"sub", libc::X_OK));
    show("newfstatat", file::newfstatat(d, c"f", &mut libc::stat::zeroed(), 0));
    show("up", file::newfstatat(d, c"../plain", &mut libc::stat::zeroed(), 0));
    say!("{} / {}", super::show_stat::line(c"d/f"), super::show_stat::line(c"hard"));
    for (label, dir) in [("O_PATH", p), ("file", f), ("closed", 99), ("-1", -1), ("cwd", AT_FDCWD)] {
        show_ok(&format!("{label}: openat"), file::openat(dir, c"f", libc::O_RDONLY, 0));
        show(&format!("{label}: mkdirat"), file::mkdirat(dir, c"new", 0o700));
        show(&format!("{label}: unlinkat"), file::unlinkat(dir, c"new", AT_REMOVEDIR));
        show_ok(&format!("{label}: absolute"), file::openat(dir, c"/", libc::O_RDONLY, 0));
    }
    show("unlinkat file", file::unlinkat(d, c"f", 0));
    show("unlinkat directory", file::unlinkat(d, c"sub", AT_REMOVEDIR));
    0
}
