//! waitid(2) and wait4(2): a child that has ended has nothing more to tell but its end, and `__WNOTHREAD` leaves out the
//! children of other threads.
use crate::out::{say, show};
use crate::sys::{child, process};
use libc::{__WNOTHREAD, P_ALL, P_PID, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pid = child::start(|| 3);
    show("ended", process::waitid(P_PID, pid, None, WEXITED | WNOWAIT, None));
    show("does it stop", process::waitid(P_PID, pid, None, WSTOPPED, None));
    show("does it go on", process::waitid(P_ALL, 0, None, WCONTINUED | WNOHANG, None));
    show("taken", process::waitid(P_PID, pid, None, WEXITED | WSTOPPED | WCONTINUED, None));
    let pid = child::start(|| 4);
    let ask = |options| process::wait4(pid, None, options, None).map(|found| usize::from(found == pid as usize));
    std::thread::scope(|scope| {
        let _ = scope.spawn(|| show("another thread's", ask(__WNOTHREAD))).join();
    });
    show("own", ask(__WNOTHREAD));
    let made = std::thread::scope(|scope| scope.spawn(|| child::start(|| 5)).join().unwrap_or(0));
    // The thread is no more: its children are the first one's.
    let found = process::wait4(made, None, __WNOTHREAD, None);
    say!("left behind: {}", found == Ok(made as usize));
    0
}
