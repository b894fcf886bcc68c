//! Reading address 0 is SIGSEGV with SEGV_MAPERR at address 0 (sigaction(2)).
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::all(usize::MAX, || {
        // SAFETY: nothing is mapped at 0; the fault ends the process.
        unsafe { asm!("mov al, [{0}]", in(reg) 0usize, out("al") _) }
    })
}
