//! waitid(2): siginfo's fields, WNOWAIT, WNOHANG, WSTOPPED, and its errors.
use crate::out::{say, show};
use crate::sys::{Res, child, process, signal};
use libc::{P_ALL, P_PGID, P_PID, WEXITED, WNOHANG, WNOWAIT, WSTOPPED};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("no child", process::waitid(P_ALL, 0, None, WEXITED, None));
    let pid = child::start(|| 17);
    tell("nowait", pid, P_PID, pid, WEXITED | WNOWAIT);
    tell("nowait again", pid, P_ALL, 0, WEXITED | WNOWAIT);
    tell("taken", pid, P_PID, pid, WEXITED);
    tell("gone", pid, P_PID, pid, WEXITED);
    let pid = child::start(|| {
        let _ = signal::raise(libc::SIGSTOP);
        let _ = signal::pause();
        0
    });
    tell("stopped", pid, P_PGID, 0, WSTOPPED);
    tell("nothing new", pid, P_PID, pid, WEXITED | WSTOPPED | WNOHANG);
    let _ = signal::kill(pid, libc::SIGKILL);
    tell("killed", pid, P_PID, pid, WEXITED | WSTOPPED);
    show("no options", process::waitid(P_ALL, 0, None, 0, None));
    show("only WNOHANG", process::waitid(P_ALL, 0, None, WNOHANG, None));
    show("bad kind", process::waitid(9, 0, None, WEXITED, None));
    show("pid 0", process::waitid(P_PID, 0, None, WEXITED, None));
    0
}

fn tell(label: &str, pid: i32, kind: u32, id: i32, options: i32) {
    let mut info = signal::info();
    let result: Res = process::waitid(kind, id, Some(&mut info), options, None);
    // SAFETY: waitid fills the fields of SIGCHLD; all zero otherwise.
    let (who, status) = unsafe { (info.si_pid(), info.si_status()) };
    let who = if who == pid { "it" } else if who == 0 { "none" } else { "another" };
    say!("{label}: {result:?} signo {} code {} {who} status {status}", info.si_signo, info.si_code);
}
