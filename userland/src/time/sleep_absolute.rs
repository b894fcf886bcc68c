//! clock_nanosleep(2) with TIMER_ABSTIME: sleeps to the moment; one in the past returns at once.
use crate::out::{say, show};
use crate::sys::time;
use libc::TIMER_ABSTIME;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (name, clock) in [("MONOTONIC", libc::CLOCK_MONOTONIC), ("REALTIME", libc::CLOCK_REALTIME), ("BOOTTIME", libc::CLOCK_BOOTTIME)] {
        let then = time::now(clock) + 15_000_000;
        let until = time::spec(then / 1_000_000_000, then % 1_000_000_000);
        show(name, time::clock_nanosleep(clock, TIMER_ABSTIME, &until, None));
        say!("reached {}", time::now(clock) >= then);
        show("past", time::clock_nanosleep(clock, TIMER_ABSTIME, &time::spec(0, 5), None));
        show("the same again", time::clock_nanosleep(clock, TIMER_ABSTIME, &until, None));
    }
    0
}
