//! A sleeper that is stopped and continued sleeps on to its time, and isn't told (signal(7)).
use crate::out::{say, show};
use crate::sys::{child, process, signal, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pid = child::start(|| {
        let start = time::monotonic();
        show("nanosleep", time::nanosleep(&time::spec(0, 80_000_000), None));
        i32::from(time::monotonic() - start < 80_000_000)
    });
    let _ = time::sleep_ms(20);
    let _ = signal::kill(pid, libc::SIGSTOP);
    let _ = process::wait4(pid, None, libc::WUNTRACED, None);
    let _ = time::sleep_ms(20);
    let _ = signal::kill(pid, libc::SIGCONT);
    say!("{}", child::end_of(pid));
    0
}
