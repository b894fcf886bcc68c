//! nanosleep(2), clock_nanosleep(2), poll, select never end before their time.
use crate::out::say;
use crate::sys::{file, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for ns in [0i64, 1, 1_000, 50_000, 999_999, 1_000_001, 7_300_000, 25_000_000] {
        let request = time::spec(0, ns);
        tell(&format!("nanosleep {ns}"), ns, || time::nanosleep(&request, None).is_ok());
        for (name, clock) in [("MONOTONIC", libc::CLOCK_MONOTONIC), ("REALTIME", libc::CLOCK_REALTIME), ("BOOTTIME", libc::CLOCK_BOOTTIME)] {
            tell(&format!("{name} {ns}"), ns, || time::clock_nanosleep(clock, 0, &request, None).is_ok());
        }
    }
    for ms in [1, 12] {
        tell(&format!("poll {ms} ms"), ms * 1_000_000, || file::poll(&mut [], ms as i32).is_ok());
    }
    tell("select 3100 us", 3_100_000, || {
        let mut wait = libc::timeval { tv_sec: 0, tv_usec: 3_100 };
        file::select(0, None, None, None, Some(&mut wait)).is_ok()
    });
    0
}

fn tell(label: &str, least: i64, mut sleep: impl FnMut() -> bool) {
    let early = (0..5).filter(|_| {
        let start = time::monotonic();
        let ok = sleep();
        !ok || time::monotonic() - start < least
    });
    say!("{label}: early {}", early.count());
}
