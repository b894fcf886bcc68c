//! Jumping to an address that is not canonical is SIGSEGV.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("jmp {0}", in(reg) 0x0000_8000_0000_0000usize) }
    });
    0
}
