//! A sleeper wakes in time beside a loop that never calls the kernel.
use crate::out::say;
use crate::sys::{child, signal, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let hogs: Vec<i32> = (0..2)
        .map(|_| {
            child::start(|| loop {
                std::hint::spin_loop();
            })
        })
        .collect();
    let late = (0..10)
        .map(|_| {
            let start = time::monotonic();
            let _ = time::sleep_ms(10);
            time::monotonic() - start - 10_000_000
        })
        .min();
    say!("woke in time: {}", late.is_some_and(|l| (0..60_000_000).contains(&l)));
    for pid in hogs {
        let _ = signal::kill(pid, libc::SIGKILL);
        say!("{}", child::end_of(pid));
    }
    0
}
