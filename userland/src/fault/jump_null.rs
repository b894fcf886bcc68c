//! Jumping to 0 is SIGSEGV with SEGV_MAPERR; the error code tells of the fetch.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("jmp {0}", in(reg) 0usize) }
    });
    0
}
