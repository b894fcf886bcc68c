//! FD_CLOEXEC (fcntl(2), open(2), dup3(2), pipe2(2)): those close, the others stay, and dup
//! doesn't inherit the flag.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let null = c"/dev/null";
        show("3 plain", file::open(null, libc::O_RDONLY, 0));
        show("4 cloexec", file::open(null, libc::O_RDONLY | libc::O_CLOEXEC, 0));
        show("5 dup of cloexec", file::dup(4));
        show("6 dup3 cloexec", file::dup3(3, 6, libc::O_CLOEXEC));
        show("7 dupfd_cloexec", file::fcntl(3, libc::F_DUPFD_CLOEXEC, 7));
        show("8 dupfd", file::fcntl(4, libc::F_DUPFD, 8));
        show("pipe 9 10 cloexec", file::pipe2(libc::O_CLOEXEC).map(|(r, w)| (r * 100 + w) as usize));
        show("set on 3", file::fcntl(3, libc::F_SETFD, 1));
        show("clear on 6", file::fcntl(6, libc::F_SETFD, 0));
        show("flags 3", file::fcntl(3, libc::F_GETFD, 0));
        show("execve", process::execve(super::SELF, &[c"b", c"--helper", c"fds"], &[]));
        1
    }));
    0
}
