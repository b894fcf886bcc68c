//! brk(2): the break moves by bytes, new memory is zero, shrinking gives it back, and growing
//! again gives zeros again.
use crate::out::say;
use crate::sys::{child, memory};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let start = memory::brk(0);
        say!("exact: {}", memory::brk(start + 10_001) == start + 10_001);
        let top = (start + 0x10_0000) & !0xfff;
        say!("grow: {}", memory::brk(top) == top);
        let first = (start + 0xfff) & !0xfff;
        let dirty = count(first, top, 0);
        say!("not zero: {dirty}");
        fill(first, top);
        say!("filled: {}", count(first, top, 0));
        let half = ((first + top) / 2) & !0xfff;
        say!("shrink: {}", memory::brk(half) == half);
        say!("grow again: {}", memory::brk(top) == top);
        say!("kept {} zero again {}", count(first, half, 0x5a) == 0, count(half, top, 0) == 0);
        say!("back: {}", memory::brk(start) == start);
        0
    }));
    0
}

/// Bytes in the range that differ from `value`, looked at one in 16.
fn count(from: usize, to: usize, value: u8) -> usize {
    // SAFETY: the range is below the break.
    (from..to).step_by(16).filter(|at| unsafe { (*at as *const u8).read_volatile() } != value).count()
}

fn fill(from: usize, to: usize) {
    for at in (from..to).step_by(16) {
        // SAFETY: the range is below the break and holds nothing of the C library's.
        unsafe { (at as *mut u8).write_volatile(0x5a) };
    }
}
