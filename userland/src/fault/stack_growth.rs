//! The stack grows on demand down to its limit (setrlimit(2), RLIMIT_STACK), in small and large
//! steps, and keeps what is in it.
use crate::out::say;
use crate::sys::{child, process};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let limit = libc::rlimit64 { rlim_cur: 8 << 20, rlim_max: u64::MAX };
    crate::out::show("limit 8 MiB", process::setrlimit(libc::RLIMIT_STACK, &limit));
    say!("by pages: {}", child::run(|| i32::from(descend(1500) != 1500)));
    for (label, distance) in [("1 MiB", 1usize << 20), ("7 MiB", 7 << 20), ("9 MiB", 9 << 20), ("1 GiB", 1 << 30)] {
        say!("{label} at once: {}", child::run(|| {
            let value: u64;
            // SAFETY: the stack below is unused; at worst the fault ends the process.
            unsafe {
                asm!("mov rcx, rsp", "sub rcx, {0}", "mov qword ptr [rcx], 77", "mov {1}, [rcx]",
                    in(reg) distance, out(reg) value, out("rcx") _);
            }
            value as i32
        }));
    }
    0
}

#[inline(never)]
fn descend(left: u64) -> u64 {
    let block = std::hint::black_box([left; 150]);
    if left == 0 { 0 } else { descend(left - 1) + u64::from(block.iter().all(|x| *x == left)) }
}
