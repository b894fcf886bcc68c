//! No clock goes back: not from a call to the vDSO and the other way round, nor from one thread to
//! another, on whichever CPU.
use crate::out::say;
use crate::sys::{time, vdso};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI64, Ordering};

const ROUNDS: usize = 20_000;

/// How often a clock showed less than somebody had seen before.
fn went_back(call: vdso::ClockCall, clock: i32, latest: &AtomicI64) -> usize {
    (0..ROUNDS)
        .filter(|round| {
            let seen = latest.load(Ordering::SeqCst);
            let now = if round % 2 == 0 { time::now(clock) } else { vdso::now(call, clock) };
            latest.fetch_max(now, Ordering::SeqCst);
            now < seen
        })
        .count()
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Some(call) = vdso::clock_gettime() else { return 1 };
    for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME, libc::CLOCK_MONOTONIC_COARSE] {
        let latest = AtomicI64::new(0);
        let back: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| went_back(call, clock, &latest))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(1)).sum()
        });
        say!("clock {clock} went back {back} times");
    }
    0
}
