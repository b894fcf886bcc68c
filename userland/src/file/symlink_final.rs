//! Which calls follow a link at the path's end, and what a trailing slash does (path_resolution(7)).
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let _ = file::mkdir(c"d", 0o700);
    file::make(c"d/f", b"x", 0o600);
    let _ = file::symlink(c"d", c"ld");
    let _ = file::symlink(c"d/f", c"lf");
    let _ = file::symlink(c"ld/", c"lld");
    let mut s = libc::stat::zeroed();
    for path in [c"ld", c"ld/", c"ld/.", c"lf", c"lf/", c"lld", c"lld/", c"ld/f", c"lld/f"] {
        show_ok(&format!("stat {path:?}"), file::stat(path, &mut s));
        say!("lstat {}", super::show_stat::line(path));
        show_ok("open directory", file::open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0));
    }
    show("rmdir ld/", file::rmdir(c"ld/"));
    show("rmdir ld", file::rmdir(c"ld"));
    show("unlink ld/", file::unlink(c"ld/"));
    show("rename ld/", file::rename(c"ld/", c"x"));
    show("rename to ld/", file::rename(c"d", c"ld/"));
    show("mkdir ld/", file::mkdir(c"ld/", 0o700));
    show("unlink lf", file::unlink(c"lf"));
    say!("{}", file::text(c"d/f"));
    0
}
