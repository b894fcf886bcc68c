//! In a directory that was removed: ENOENT from getcwd and from making anything; `..` still works.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o700);
    let _ = file::chdir(c"d");
    show("rmdir", file::rmdir(c"../d"));
    show("getcwd", file::getcwd(&mut [0; 500]));
    show("mkdir", file::mkdir(c"x", 0o700));
    show("create", file::creat(c"x", 0o600));
    show("open .", file::open(c".", libc::O_RDONLY, 0).map(|_| 0));
    show("stat .", file::stat(c".", &mut libc::stat::zeroed()));
    show("stat x", file::stat(c"x", &mut libc::stat::zeroed()));
    show("chdir .", file::chdir(c"."));
    show("chdir ..", file::chdir(c".."));
    show("stat again", file::stat(c"d", &mut libc::stat::zeroed()));
    0
}
