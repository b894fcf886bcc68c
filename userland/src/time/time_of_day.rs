//! gettimeofday(2) and time(2) agree with CLOCK_REALTIME.
use crate::out::{say, show};
use crate::sys::{Plain, time};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let before = time::now(libc::CLOCK_REALTIME);
    let mut tv = libc::timeval::zeroed();
    let mut zone = libc::timezone::zeroed();
    show("gettimeofday", time::gettimeofday(Some(&mut tv), Some(&mut zone)));
    let middle = (tv.tv_sec * 1_000_000 + tv.tv_usec) * 1000;
    let after = time::now(libc::CLOCK_REALTIME);
    say!("between: {}", before / 1000 * 1000 <= middle && middle <= after);
    show("nulls", time::gettimeofday(None, None));
    let mut stored = 0;
    let result = time::time(Some(&mut stored));
    say!("time: stored {} near {}", result == Ok(stored as usize), (stored - before / 1_000_000_000).abs() <= 2);
    say!("null: {}", time::time(None).is_ok());
    0
}
