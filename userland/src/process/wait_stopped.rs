//! wait4(2) with WUNTRACED and WCONTINUED: stops and continues are told once each.
use crate::out::{say, show};
use crate::sys::{child, file, process, signal};
use libc::{WCONTINUED, WNOHANG, WUNTRACED};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    // A group of its own, whose leader's parent is in the same session: not orphaned, so that
    // SIGTSTP stops.
    let pid = child::start(|| {
        let _ = process::setpgid(0, 0);
        for sig in [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            let _ = signal::raise(sig);
            let _ = file::read(rx, &mut [0]);
        }
        loop {
            let _ = signal::pause();
        }
    });
    for _ in 0..4 {
        say!("{}", next(pid, WUNTRACED));
        show("told once", process::wait4(pid, None, WUNTRACED | WNOHANG, None));
        show("cont", signal::kill(pid, libc::SIGCONT));
        say!("{}", next(pid, WCONTINUED));
        show("told once", process::wait4(pid, None, WCONTINUED | WNOHANG, None));
        let _ = file::write(tx, b"x");
    }
    show("stop", signal::kill(pid, libc::SIGSTOP));
    say!("{}", next(pid, WUNTRACED));
    show("term a stopped one", signal::kill(pid, libc::SIGTERM));
    show("not yet", process::wait4(pid, None, WNOHANG, None));
    show("cont", signal::kill(pid, libc::SIGCONT));
    say!("{}", next(pid, 0));
    let pid = child::start(|| {
        let _ = signal::raise(libc::SIGSTOP);
        0
    });
    say!("{}", next(pid, WUNTRACED));
    show("kill a stopped one", signal::kill(pid, libc::SIGKILL));
    say!("{}", next(pid, 0));
    0
}

fn next(pid: i32, options: i32) -> String {
    let mut status = 0;
    match process::wait4(pid, Some(&mut status), options, None) {
        Ok(_) => child::Status(status).to_string(),
        Err(errno) => errno.to_string(),
    }
}
