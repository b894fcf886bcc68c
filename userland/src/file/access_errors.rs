//! access(2) and its kin: errors.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, F_OK, R_OK};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o644);
    let _ = file::symlink(c"none", c"l");
    show("missing", file::access(c"none", F_OK));
    show("empty", file::access(c"", F_OK));
    show("bad mode", file::access(c"f", 8));
    show("negative mode", file::access(c"f", -1));
    show("beneath a file", file::access(c"f/x", F_OK));
    show("dangling", file::access(c"l", F_OK));
    show("the link", file::faccessat2(AT_FDCWD, c"l", F_OK, AT_SYMLINK_NOFOLLOW));
    show("bad flag", file::faccessat2(AT_FDCWD, c"f", F_OK, 0x8000));
    show("faccessat", file::faccessat(AT_FDCWD, c"f", R_OK));
    show("bad descriptor", file::faccessat(99, c"f", R_OK));
    show("absolute with it", file::faccessat(99, c"/", R_OK));
    0
}
