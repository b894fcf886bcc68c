//! clone(2) with CLONE_PARENT makes a sibling: the caller's parent is the new process's too.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let me = process::getpid();
    let end = child::run(|| {
        let pid = child::start_on_stack(libc::CLONE_PARENT | libc::SIGCHLD, || {
            i32::from(process::getppid() != me) + 10
        });
        show("not the creator's child", process::wait4(pid, None, 0, None));
        1
    });
    say!("{end}");
    let mut status = 0;
    say!("sibling waited for: {}", process::wait4(-1, Some(&mut status), 0, None).is_ok());
    say!("{}", child::Status(status));
    0
}
