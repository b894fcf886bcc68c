//! open(2): O_PATH, O_NOFOLLOW, O_TMPFILE, O_DIRECTORY with O_CREAT, dangling links.
use crate::out::{say, show, show_ok};
use crate::scratch::Scratch;
use crate::sys::file;
use libc::{O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_WRONLY};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"content", 0o600);
    let _ = file::symlink(c"f", c"link");
    let _ = file::symlink(c"new", c"dangling");
    let path = file::open_or_say(c"f", O_PATH, 0);
    show("O_PATH read", file::read(path, &mut [0]));
    show("O_PATH write", file::write(path, b"x"));
    show("O_PATH fchmod", file::fchmod(path, 0o644));
    show("O_PATH ftruncate", file::ftruncate(path, 0));
    show_ok("O_PATH dup", file::dup(path));
    show_ok("O_PATH close", file::close(path));
    show("O_NOFOLLOW link", file::open(c"link", O_RDONLY | O_NOFOLLOW, 0));
    show_ok("O_NOFOLLOW file", file::open(c"f", O_RDONLY | O_NOFOLLOW, 0));
    show_ok("O_NOFOLLOW O_PATH link", file::open(c"link", O_PATH | O_NOFOLLOW, 0));
    show("O_EXCL link", file::open(c"link", O_WRONLY | O_CREAT | O_EXCL, 0o600));
    show("O_EXCL dangling", file::open(c"dangling", O_WRONLY | O_CREAT | O_EXCL, 0o600));
    show("dangling", file::open(c"dangling", O_RDONLY, 0));
    show_ok("O_CREAT dangling makes the target", file::open(c"dangling", O_WRONLY | O_CREAT, 0o600));
    say!("new: {}", super::show_stat::line(c"new"));
    show("O_DIRECTORY O_CREAT", file::open(c"d", O_RDONLY | O_CREAT | O_DIRECTORY, 0o700));
    show("access mode 3", file::open(c"f", 3, 0).map(|_| 0));
    let read_only = file::open_or_say(c"f", O_RDONLY | O_CREAT, 0);
    show("O_CREAT of one that is", file::read(read_only, &mut [0; 20]));
    let odd = file::fd(file::open(c"zero-mode", O_RDWR | O_CREAT, 0)).unwrap_or(-1);
    show("mode 0 file is open all the same", file::write(odd, b"x"));
    say!("{}", super::show_stat::line(c"zero-mode"));
    0
}
