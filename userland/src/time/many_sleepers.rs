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
                i32::from(late < 0) + 2 * i32::from(late > 20_000_000)
            })
        })
        .collect();
    let ends: Vec<String> = pids.into_iter().map(child::end_of).collect();
    let early = ends.iter().filter(|end| *end == "exited 1").count();
    let quiet = ends.iter().all(|end| end == "exited 0");
    let _ = file::close(tx);
    let order = file::read_all(rx).unwrap_or_default();
    // Where the machine keeps them all waiting, any order is fine; neighbours may always swap.
    let far = order.windows(2).filter(|w| w[0] > w[1].saturating_add(4)).count();
    say!("early {early}, {} woke, far out of order {}", order.len(), far * usize::from(quiet));
    0
}
