//! kill(2) by an ordinary user: EPERM for others' processes, also with signal 0; allowed by real
//! or saved user ID; SIGCONT within a session.
use crate::out::{say, show};
use crate::sys::{child, process, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let targets: Vec<(&str, i32)> =
        [("root's", 0, 0, 0), ("same user", 1000, 1000, 1000), ("same real", 1000, 2000, 2000), ("same saved", 2000, 2000, 1000), ("same effective only", 2000, 1000, 2000), ("another's", 2000, 2000, 2000)]
            .map(|(label, real, effective, saved)| {
                let pid = child::start(|| {
                    let _ = process::setresuid(real, effective, saved);
                    let _ = signal::raise(libc::SIGSTOP);
                    0
                });
                let _ = process::wait4(pid, None, libc::WUNTRACED, None);
                (label, pid)
            })
            .to_vec();
    say!("{}", child::run(|| {
        // Whom nobody belongs to may ask for all, and signal none.
        let _ = child::run(|| {
            let _ = process::setresuid(54_321, 54_321, 54_321);
            show("everybody", signal::kill(-1, 0));
            0
        });
        let _ = process::setresuid(1000, 1000, 1000);
        for (label, pid) in &targets {
            show(&format!("{label}: 0"), signal::kill(*pid, 0));
            show(&format!("{label}: TERM"), signal::kill(*pid, libc::SIGTERM));
            show(&format!("{label}: CONT"), signal::kill(*pid, libc::SIGCONT));
        }
        0
    }));
    for (label, pid) in targets {
        let _ = signal::kill(pid, libc::SIGCONT);
        say!("{label}: {}", child::end_of(pid));
    }
    0
}
