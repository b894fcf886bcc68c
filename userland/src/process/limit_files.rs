//! RLIMIT_NOFILE: EMFILE from every call that makes a descriptor, EINVAL or EBADF beyond it.
use crate::out::show;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    crate::out::say!("{}", child::run(|| {
        let limit = libc::rlimit64 { rlim_cur: 6, rlim_max: 1000 };
        show("set", process::setrlimit(libc::RLIMIT_NOFILE, &limit));
        let null = c"/dev/null";
        show("open", file::open(null, 0, 0));
        show("open", file::open(null, 0, 0));
        show("pipe with one left", file::pipe2(0).map(|_| 0));
        show("open", file::open(null, 0, 0));
        show("open", file::open(null, 0, 0));
        show("dup", file::dup(1));
        show("dup2 at the limit", file::dup2(1, 6));
        show("dup2 below", file::dup2(1, 5));
        show("F_DUPFD below", file::fcntl(1, libc::F_DUPFD, 2));
        show("F_DUPFD at the limit", file::fcntl(1, libc::F_DUPFD, 6));
        show("close", file::close(3));
        show("lowest is reused", file::dup(1));
        let limit = libc::rlimit64 { rlim_cur: 2, rlim_max: 1000 };
        show("lower below what is open", process::setrlimit(libc::RLIMIT_NOFILE, &limit));
        show("still usable", file::fcntl(5, libc::F_GETFD, 0));
        show("dup", file::dup(1));
        0
    }));
    0
}
