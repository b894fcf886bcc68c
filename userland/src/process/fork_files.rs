//! fork(2) copies the descriptors: the open file and its offset are shared, the table isn't.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"abcdefghij", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let mut buf = [0u8; 3];
    show("parent reads", file::read(fd, &mut buf));
    say!("child {}", child::run(|| {
        show("child reads", file::read(fd, &mut buf));
        say!("{:?}", String::from_utf8_lossy(&buf));
        show("child sets O_APPEND", file::fcntl(fd, libc::F_SETFL, libc::O_APPEND as usize));
        show("child closes", file::close(fd));
        0
    }));
    show("position", file::lseek(fd, 0, libc::SEEK_CUR));
    say!("append is shared: {}", file::fcntl(fd, libc::F_GETFL, 0).unwrap_or(0) & libc::O_APPEND as usize != 0);
    say!("child {}", child::run(|| {
        show("child opens", file::open(c"f", libc::O_RDONLY, 0).map(|n| n - fd as usize));
        0
    }));
    show("parent doesn't have it", file::close(fd + 1));
    0
}
