//! A file without a name lives while it is open: read, write, size, no links; its name is free.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let dir = Scratch::enter();
    file::make(c"f", b"old", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    show("unlink", file::unlink(c"f"));
    file::make(c"f", b"new one", 0o600);
    show("write", file::pwrite(fd, b"still here", 0));
    let mut buf = [0; 20];
    let n = file::pread(fd, &mut buf, 0).unwrap_or(0);
    say!("{}", String::from_utf8_lossy(&buf[..n]));
    let mut s = libc::stat::zeroed();
    let _ = file::fstat(fd, &mut s);
    say!("{}", super::show_stat::of(&s));
    say!("{}", file::text(c"f"));
    let link = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    let mut name = [0; 200];
    match file::readlink(&link, &mut name) {
        Ok(n) => say!("named {}", String::from_utf8_lossy(&name[..n]).replace(dir.path(), "DIR")),
        Err(errno) => say!("readlink: {errno}"),
    }
    show("a directory", file::mkdir(c"d", 0o700));
    let d = file::open_or_say(c"d", libc::O_RDONLY, 0);
    show("rmdir", file::rmdir(c"d"));
    show("make in it", file::mkdirat(d, c"x", 0o700));
    show("list it", file::getdents64(d, &mut [0; 500]));
    0
}
