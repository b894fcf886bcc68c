//! A child that has ended and isn't waited for still takes signals and keeps its PID and group.
use crate::out::{say, show};
use crate::sys::{child, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pid = child::start(|| 6);
    let _ = process::waitid(libc::P_PID, pid, None, libc::WEXITED | libc::WNOWAIT, None);
    show("kill 0", signal::kill(pid, 0));
    show("kill TERM", signal::kill(pid, libc::SIGTERM));
    show("kill KILL", signal::kill(pid, libc::SIGKILL));
    say!("its group: {}", process::getpgid(pid) == process::getpgid(0));
    say!("its session: {}", process::getsid(pid) == process::getsid(0));
    say!("{}", child::end_of(pid));
    show("kill 0", signal::kill(pid, 0));
    show("getpgid", process::getpgid(pid));
    0
}
