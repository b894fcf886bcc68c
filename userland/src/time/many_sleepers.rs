//! Fifty sleepers with different times wake in the order of their times.
use crate::out::say;
use crate::sys::{child, file, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let base = time::monotonic() + 100_000_000;
    let pids: Vec<i32> = (0..50u8)
        .map(|i| {
            let i = (i * 17) % 50;
            child::start(|| {
                let then = base + i64::from(i) * 8_000_000;
                let until = time::spec(then / 1_000_000_000, then % 1_000_000_000);
                let _ = time::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &until, None);
                let late = time::monotonic() - then;
                let _ = file::write(tx, &[i]);
                i32::from(late < 0)
            })
        })
        .collect();
    let early = pids.into_iter().filter(|pid| child::end_of(*pid) != "exited 0").count();
    let _ = file::close(tx);
    let order = file::read_all(rx).unwrap_or_default();
    // Neighbours may swap on a busy machine; far ones may not.
    let far = order.windows(2).filter(|w| w[0] > w[1].saturating_add(4)).count();
    say!("early {early}, {} woke, far out of order {far}", order.len());
    0
}
