//! MAP_GROWSDOWN and the gap below the stack are the kernel's affair; a mapping below the stack
//! stays unharmed when the stack runs into its guard (mmap(2)).
use crate::out::say;
use crate::sys::child;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let here = 0u8;
        let page = (&raw const here as usize) & !4095;
        // 512 KiB below this frame, in one step, then back up page by page.
        let sum: u64 = (1..128)
            .rev()
            .map(|p| {
                let at = (page - p * 4096) as *mut u8;
                // SAFETY: below the stack pointer; nothing lies there, the kernel grows the stack.
                unsafe {
                    at.write_volatile(1);
                    u64::from(at.read_volatile())
                }
            })
            .sum();
        sum as i32
    }));
    0
}
