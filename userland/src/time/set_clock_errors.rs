//! clock_settime(2): EINVAL for clocks that can't be set and for odd times, EPERM for a user.
use crate::out::{say, show};
use crate::sys::{child, process, time::{self, spec}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("MONOTONIC", time::clock_settime(libc::CLOCK_MONOTONIC, &spec(5, 0)));
    show("unknown", time::clock_settime(99, &spec(5, 0)));
    show("odd", time::clock_settime(libc::CLOCK_REALTIME, &spec(5, -1)));
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("user", time::clock_settime(libc::CLOCK_REALTIME, &spec(5, 0)));
        0
    }));
    0
}
