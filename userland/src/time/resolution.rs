//! clock_getres(2): 1 ns for the precise clocks, more for the coarse ones; errors.
use crate::out::{say, show};
use crate::sys::{Plain, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (name, clock) in [("REALTIME", libc::CLOCK_REALTIME), ("MONOTONIC", libc::CLOCK_MONOTONIC), ("BOOTTIME", libc::CLOCK_BOOTTIME), ("PROCESS_CPUTIME", libc::CLOCK_PROCESS_CPUTIME_ID), ("THREAD_CPUTIME", libc::CLOCK_THREAD_CPUTIME_ID)] {
        let mut out = libc::timespec::zeroed();
        show(name, time::clock_getres(clock, Some(&mut out)));
        say!("{} {}", out.tv_sec, out.tv_nsec);
    }
    let mut coarse = libc::timespec::zeroed();
    show("MONOTONIC_COARSE", time::clock_getres(libc::CLOCK_MONOTONIC_COARSE, Some(&mut coarse)));
    say!("a tick: {}", (1_000_000..=10_000_000).contains(&coarse.tv_nsec));
    show("null", time::clock_getres(libc::CLOCK_MONOTONIC, None));
    show("unknown", time::clock_getres(99, None));
    0
}
