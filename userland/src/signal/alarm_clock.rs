//! alarm(2): SIGALRM after the seconds, ends the process by default; a new one replaces the old.
use crate::out::{say, show};
use crate::sys::{child, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("first", signal::alarm(100));
    show("second", signal::alarm(50));
    show("off", signal::alarm(0));
    show("none", signal::alarm(0));
    let timer = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: 20_000 },
    };
    say!("busy: {}", child::run(|| {
        let _ = signal::setitimer(libc::ITIMER_REAL, &timer, None);
        loop {
            std::hint::spin_loop();
        }
    }));
    say!("asleep: {}", child::run(|| {
        let _ = signal::setitimer(libc::ITIMER_REAL, &timer, None);
        loop {
            let _ = signal::pause();
        }
    }));
    0
}
