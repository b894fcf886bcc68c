//! dup(2): the lowest number; one open file (offset, status flags), two descriptor flags; dup2
//! closes what was there and does nothing for equal numbers.
use crate::out::{say, show};
use crate::sys::file::{self, fcntl};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    show("dup", file::dup(tx));
    show("F_DUPFD 10", fcntl(tx, libc::F_DUPFD, 10));
    show("dup2 to 7", file::dup2(tx, 7));
    show("dup2 to itself", file::dup2(7, 7));
    show("dup3 cloexec", file::dup3(tx, 8, libc::O_CLOEXEC));
    show("flags of 8", fcntl(8, libc::F_GETFD, 0));
    show("flags of tx", fcntl(tx, libc::F_GETFD, 0));
    show("set O_NONBLOCK by 7", fcntl(7, libc::F_SETFL, libc::O_NONBLOCK as usize));
    show("seen by tx", fcntl(tx, libc::F_GETFL, 0));
    for fd in [tx, 5, 7, 8] {
        show(&format!("close {fd}"), file::close(fd));
        let _ = file::fcntl(rx, libc::F_SETFL, libc::O_NONBLOCK as usize);
        show("not the end yet", file::read(rx, &mut [0]));
    }
    show("close 10", file::close(10));
    show("the end", file::read(rx, &mut [0]));
    let (a, b) = file::pipe();
    show("dup2 over the last writer", file::dup2(0, b));
    show("its reader sees the end", file::read(a, &mut [0]));
    say!("lowest: {:?}", file::dup(0));
    0
}
