//! clone(2) with CLONE_FILES shares the descriptor table; exec unshares it.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::CStr;

/// `CLOSE_RANGE_UNSHARE`.
const UNSHARE: u32 = 2;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fd = file::fd(file::dup(1)).unwrap_or(-1);
    let pid = child::start_on_stack(libc::CLONE_FILES | libc::SIGCHLD, || {
        show("child closes", file::close(fd));
        show("child opens", file::open(c"/dev/null", libc::O_RDONLY, 0).map(|n| n - fd as usize));
        show("child opens more", file::open(c"/dev/null", libc::O_RDONLY, 0).map(|n| n - fd as usize));
        0
    });
    say!("{}", child::end_of(pid));
    show("parent closes the child's", file::close(fd + 1));
    let pid = child::start_on_stack(libc::CLONE_FILES | libc::SIGCHLD, || {
        let _ = file::fcntl(fd, libc::F_SETFD, 1);
        let args = [c"b", c"--helper", c"true"];
        let _ = process::execve(crate::exec::SELF, &args, &[]);
        1
    });
    say!("{}", child::end_of(pid));
    show("still open after the child's exec", file::fcntl(fd, libc::F_GETFD, 0));
    let (low, high) = (fd as u32, fd as u32 + 1);
    let pid = child::start_on_stack(libc::CLONE_FILES | libc::SIGCHLD, || {
        show("child opens", file::dup(1).map(|n| n - fd as usize));
        show("child closes what it takes for itself", file::close_range(low, low, UNSHARE));
        show("closed", file::fcntl(fd, libc::F_GETFD, 0));
        show("the next isn't", file::fcntl(fd + 1, libc::F_GETFD, 0));
        show("alone by now, it closes that too", file::close_range(low, high, UNSHARE));
        show("closed", file::fcntl(fd + 1, libc::F_GETFD, 0));
        0
    });
    say!("{}", child::end_of(pid));
    show("open for the parent", file::fcntl(fd, libc::F_GETFD, 0));
    show("and the next", file::fcntl(fd + 1, libc::F_GETFD, 0));
    0
}
