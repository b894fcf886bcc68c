//! The CPU-time clocks count work, not sleep; a child starts at zero.
use crate::out::say;
use crate::sys::{child, time};
use libc::{CLOCK_PROCESS_CPUTIME_ID as PROCESS, CLOCK_THREAD_CPUTIME_ID as THREAD};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let start = time::now(PROCESS);
    while time::now(PROCESS) - start < 40_000_000 {}
    say!("worked: process {} thread {}", time::now(PROCESS) >= 40_000_000, time::now(THREAD) >= 40_000_000);
    let before = time::now(PROCESS);
    let _ = time::sleep_ms(60);
    say!("asleep it stands: {}", time::now(PROCESS) - before < 30_000_000);
    say!("child {}", child::run(|| i32::from(time::now(PROCESS) > 30_000_000)));
    say!("not ahead of the wall: {}", time::now(PROCESS) <= time::monotonic());
    0
}
