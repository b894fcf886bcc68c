//! getcpu(2) names a CPU that sched_getaffinity(2) allows.
use crate::out::{say, show};
use crate::sys;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (mut cpu, mut node) = (u32::MAX, u32::MAX);
    let args = [(&raw mut cpu) as usize, (&raw mut node) as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes both numbers.
    show("getcpu", unsafe { sys::call(libc::SYS_getcpu, args) });
    say!("below 1024 {} node {node}", cpu < 1024);
    // SAFETY: null pointers are skipped.
    show("nulls", unsafe { sys::call(libc::SYS_getcpu, [0; 6]) });
    0
}
