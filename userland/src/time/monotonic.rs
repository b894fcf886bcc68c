//! clock_gettime(2): the monotonic clocks never go back, and do go on.
use crate::out::{say, show};
use crate::sys::{Plain, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (name, clock) in [
        ("MONOTONIC", libc::CLOCK_MONOTONIC),
        ("MONOTONIC_RAW", libc::CLOCK_MONOTONIC_RAW),
        ("MONOTONIC_COARSE", libc::CLOCK_MONOTONIC_COARSE),
        ("BOOTTIME", libc::CLOCK_BOOTTIME),
        ("REALTIME", libc::CLOCK_REALTIME),
    ] {
        let first = time::now(clock);
        let mut last = first;
        let mut back = 0;
        for _ in 0..20_000 {
            let now = time::now(clock);
            back += i32::from(now < last);
            last = now;
        }
        let _ = time::sleep_ms(20);
        say!("{name}: back {back}, goes on {}", time::now(clock) - first > 10_000_000);
    }
    let mut t = libc::timespec::zeroed();
    show("bad clock", time::clock_gettime(99, &mut t));
    show("negative clock", time::clock_gettime(-1, &mut t));
    0
}
