//! `lretq` to selectors that can't be: SIGSEGV; to the user's own code segment it works.
use crate::out::say;
use crate::sys::child;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for selector in [0x33u64, 0, 3, 0x10, 0x18, 0x2b, 0x40, 0xfff8] {
        say!("{selector:#x}: {}", child::run(|| {
            // SAFETY: comes to the label, or the fault ends the process.
            unsafe {
                asm!("push {0}", "lea {0}, [rip + 2f]", "push {0}", "retfq", "2:", inout(reg) selector => _);
            }
            0
        }));
    }
    0
}
