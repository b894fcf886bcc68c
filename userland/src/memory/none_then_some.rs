//! PROT_NONE reserves; a part made accessible works and the rest faults (the way allocators and
//! thread stacks are built).
use crate::out::say;
use crate::sys::{child, memory::{Map, PAGE}};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE;
    let Ok(map) = Map::new(1 << 30, libc::PROT_NONE, flags, -1, 0) else { return 1 };
    let (start, len) = (512 << 20, 64 * PAGE);
    say!("{:?}", map.protect(start, len, libc::PROT_READ | libc::PROT_WRITE));
    (0..64).for_each(|p| map.set(start + p * PAGE, 3));
    say!("sum {}", (0..64).map(|p| u32::from(map.get(start + p * PAGE))).sum::<u32>());
    say!("before: {}", child::run(|| i32::from(map.get(start - 1))));
    say!("behind: {}", child::run(|| i32::from(map.get(start + len))));
    0
}
