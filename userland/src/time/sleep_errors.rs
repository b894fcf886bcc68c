//! nanosleep(2), clock_nanosleep(2): EINVAL for times and clocks that can't be.
use crate::out::show;
use crate::sys::time::{self, spec};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (seconds, nanoseconds) in [(0, -1), (0, 1_000_000_000), (-1, 0), (0, i64::MAX), (i64::MIN, 0)] {
        let label = format!("{seconds} {nanoseconds}");
        show(&format!("nanosleep {label}"), time::nanosleep(&spec(seconds, nanoseconds), None));
        show(&format!("absolute {label}"), time::clock_nanosleep(libc::CLOCK_MONOTONIC, 1, &spec(seconds, nanoseconds), None));
    }
    let moment = spec(0, 1000);
    show("unknown clock", time::clock_nanosleep(99, 0, &moment, None));
    show("MONOTONIC_RAW", time::clock_nanosleep(libc::CLOCK_MONOTONIC_RAW, 0, &moment, None));
    show("MONOTONIC_COARSE", time::clock_nanosleep(libc::CLOCK_MONOTONIC_COARSE, 0, &moment, None));
    show("THREAD_CPUTIME", time::clock_nanosleep(libc::CLOCK_THREAD_CPUTIME_ID, 0, &moment, None));
    show("odd flags", time::clock_nanosleep(libc::CLOCK_MONOTONIC, 2, &moment, None));
    0
}
