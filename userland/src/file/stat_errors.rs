//! stat(2), lstat(2), fstat(2), newfstatat(2): their errors.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o600);
    let _ = file::symlink(c"nowhere", c"dangling");
    let _ = file::symlink(c"circle", c"circle");
    let mut s = libc::stat::zeroed();
    for path in [c"", c"none", c"f/x", c"f/", c"dangling", c"dangling/", c"circle", c"none/none", c"./f/."] {
        show(&format!("stat {path:?}"), file::stat(path, &mut s));
        show(&format!("lstat {path:?}"), file::lstat(path, &mut s));
    }
    let long = CString::new(vec![b'a'; 256]).unwrap_or_default();
    show("long name", file::stat(&long, &mut s));
    show("fstat closed", file::fstat(99, &mut s));
    show("fstat -1", file::fstat(-1, &mut s));
    show("newfstatat bad flag", file::newfstatat(libc::AT_FDCWD, c"f", &mut s, 0x8000));
    show("newfstatat bad descriptor", file::newfstatat(99, c"f", &mut s, 0));
    show("newfstatat absolute with one", file::newfstatat(99, c"/", &mut s, 0));
    show("newfstatat file as directory", file::newfstatat(file::open_or_say(c"f", 0, 0), c"x", &mut s, 0));
    show("newfstatat empty", file::newfstatat(libc::AT_FDCWD, c"", &mut s, 0));
    show("newfstatat AT_EMPTY_PATH cwd", file::newfstatat(libc::AT_FDCWD, c"", &mut s, libc::AT_EMPTY_PATH));
    0
}
