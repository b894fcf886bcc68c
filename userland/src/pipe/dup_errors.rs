//! dup(2), dup2(2), dup3(2), fcntl(2), close_range(2): their errors.
use crate::out::show;
use crate::sys::file::{self, fcntl};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("dup closed", file::dup(99));
    show("dup2 closed", file::dup2(99, 5));
    show("dup2 closed to itself", file::dup2(99, 99));
    show("dup2 to -1", file::dup2(1, -1));
    show("dup2 to a huge one", file::dup2(1, i32::MAX));
    show("dup3 same", file::dup3(1, 1, 0));
    show("dup3 same and closed", file::dup3(99, 99, 0));
    show("dup3 bad flag", file::dup3(1, 5, libc::O_NONBLOCK));
    show("F_DUPFD negative", fcntl(1, libc::F_DUPFD, usize::MAX));
    show("F_GETFD closed", fcntl(99, libc::F_GETFD, 0));
    show("unknown command", fcntl(1, 9999, 0));
    show("F_SETFD 2", fcntl(1, libc::F_SETFD, 2));
    show("F_GETFD", fcntl(1, libc::F_GETFD, 0));
    show("close_range backwards", file::close_range(9, 5, 0));
    show("close_range bad flag", file::close_range(50, 60, 1));
    show("open 3", file::dup(1));
    show("open 4", file::dup(1));
    show("close_range cloexec", file::close_range(4, 10, libc::CLOSE_RANGE_CLOEXEC));
    show("flags of 4", fcntl(4, libc::F_GETFD, 0));
    show("close_range", file::close_range(3, 3, 0));
    show("3 is closed", fcntl(3, libc::F_GETFD, 0));
    show("4 isn't", fcntl(4, libc::F_GETFD, 0));
    0
}
