//! Clocks and sleeping.

use super::{Plain, Res, calls};

calls! {
    fn clock_gettime(clock: i32, out: &mut libc::timespec) = SYS_clock_gettime;
    fn clock_getres(clock: i32, out: Option<&mut libc::timespec>) = SYS_clock_getres;
    fn clock_settime(clock: i32, new: &libc::timespec) = SYS_clock_settime;
    fn nanosleep(request: &libc::timespec, rest: Option<&mut libc::timespec>) = SYS_nanosleep;
    fn clock_nanosleep(clock: i32, flags: i32, request: &libc::timespec, rest: Option<&mut libc::timespec>)
        = SYS_clock_nanosleep;
    fn timer_create(clock: i32, event: Option<&[u64; 8]>, id: &mut i32) = SYS_timer_create;
    fn timer_settime(id: i32, flags: i32, new: &[i64; 4], old: Option<&mut [i64; 4]>) = SYS_timer_settime;
    fn timer_gettime(id: i32, out: &mut [i64; 4]) = SYS_timer_gettime;
    fn timer_delete(id: i32) = SYS_timer_delete;
    fn timer_getoverrun(id: i32) = SYS_timer_getoverrun;
    fn gettimeofday(out: Option<&mut libc::timeval>, zone: Option<&mut libc::timezone>) = SYS_gettimeofday;
    fn settimeofday(new: Option<&libc::timeval>, zone: Option<&[i32; 2]>) = SYS_settimeofday;
    fn time(out: Option<&mut i64>) = SYS_time;
}

/// A `timespec`.
pub(crate) const fn spec(seconds: i64, nanoseconds: i64) -> libc::timespec {
    libc::timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    }
}

/// A clock in nanoseconds, -1 when it can't be read.
pub(crate) fn now(clock: i32) -> i64 {
    let mut t = libc::timespec::zeroed();
    match clock_gettime(clock, &mut t) {
        Ok(_) => t.tv_sec * 1_000_000_000 + t.tv_nsec,
        Err(_) => -1,
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(crate) fn monotonic() -> i64 {
    now(libc::CLOCK_MONOTONIC)
}

/// Sleeps this many milliseconds.
pub(crate) fn sleep_ms(ms: i64) -> Res {
    nanosleep(&spec(ms / 1000, ms % 1000 * 1_000_000), None)
}
