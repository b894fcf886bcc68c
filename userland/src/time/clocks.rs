//! clock_gettime(2): how the clocks relate to each other.
use crate::out::say;
use crate::sys::time::now;
use std::ffi::CStr;

const SECOND: i64 = 1_000_000_000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let wall = now(libc::CLOCK_REALTIME);
    say!("after 2024: {}", wall > 1_700_000_000 * SECOND);
    say!("before 2100: {}", wall < 4_102_444_800 * SECOND);
    near("REALTIME_COARSE", wall, now(libc::CLOCK_REALTIME_COARSE));
    near("TAI", wall, now(libc::CLOCK_TAI) / SECOND * SECOND);
    let mono = now(libc::CLOCK_MONOTONIC);
    near("MONOTONIC_COARSE", mono, now(libc::CLOCK_MONOTONIC_COARSE));
    say!("BOOTTIME isn't behind: {}", now(libc::CLOCK_BOOTTIME) >= mono);
    say!("positive: {}", mono > 0 && now(libc::CLOCK_MONOTONIC_RAW) > 0);
    let (wall_start, mono_start) = (now(libc::CLOCK_REALTIME), now(libc::CLOCK_MONOTONIC));
    let _ = crate::sys::time::sleep_ms(50);
    let (wall_went, mono_went) =
        (now(libc::CLOCK_REALTIME) - wall_start, now(libc::CLOCK_MONOTONIC) - mono_start);
    say!("same pace: {}", (wall_went - mono_went).abs() < 5_000_000);
    0
}

fn near(name: &str, a: i64, b: i64) {
    say!("{name} near: {}", (a - b).abs() < 60 * SECOND);
}
