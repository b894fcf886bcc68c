//! setsid(2), getsid(2): a new session is a new group; group leaders can't; others can't join.
use crate::out::{say, show};
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let me = process::getpid();
        say!("setsid: {}", process::setsid() == me);
        say!("session: {} group: {}", process::getsid(0) == me, process::getpgid(0) == me);
        show("again", process::setsid());
        show("setpgid of a session leader", process::setpgid(0, 0));
        let inner = child::run(|| {
            say!("child's session: {}", process::getsid(0) == me);
            let parent = process::getppid().unwrap_or(0) as i32;
            show("own group", process::setpgid(0, 0));
            show("back into the parent's", process::setpgid(0, parent));
            0
        });
        say!("{inner}");
        0
    }));
    say!("{}", child::run(|| {
        let _ = process::setpgid(0, 0);
        show("setsid of a group leader", process::setsid());
        0
    }));
    let pid = child::start(|| {
        let _ = process::setsid();
        let _ = crate::sys::signal::raise(libc::SIGSTOP);
        0
    });
    let _ = process::wait4(pid, None, libc::WUNTRACED, None);
    show("setpgid into another session", process::setpgid(0, pid));
    show("setpgid of another session's", process::setpgid(pid, 0));
    let _ = crate::sys::signal::kill(pid, libc::SIGKILL);
    say!("{}", child::end_of(pid));
    show("getsid of none", process::getsid(0x3fff_fff0));
    0
}
