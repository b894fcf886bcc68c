//! O_NONBLOCK on pipes: EAGAIN when empty or full, partial writes, the default capacity of 64 KiB
//! (pipe(7)), switched on and off by fcntl(2).
use crate::out::show;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe2(libc::O_NONBLOCK).unwrap_or((-1, -1));
    let mut buf = vec![0u8; 100_000];
    show("read empty", file::read(rx, &mut buf));
    show("write 100000", file::write(tx, &buf));
    show("write 1 when full", file::write(tx, &buf[..1]));
    show("read 100", file::read(rx, &mut buf[..100]));
    show("write 1 with a part of a page free", file::write(tx, &buf[..1]));
    show("read 3996", file::read(rx, &mut buf[..3996]));
    show("write 4096 into one free page", file::write(tx, &buf[..4096]));
    show("write 5000 when full", file::write(tx, &buf[..5000]));
    show("read all", file::read(rx, &mut buf));
    show("F_GETFL rx", file::fcntl(rx, libc::F_GETFL, 0));
    show("F_GETFL tx", file::fcntl(tx, libc::F_GETFL, 0));
    show("clear", file::fcntl(rx, libc::F_SETFL, 0));
    show("F_GETFL rx", file::fcntl(rx, libc::F_GETFL, 0));
    let _ = file::close(tx);
    show("read end", file::read(rx, &mut buf));
    0
}
