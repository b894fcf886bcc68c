//! An integer division by zero is SIGFPE with FPE_INTDIV (sigaction(2)).
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::all(usize::MAX, || {
        // SAFETY: the registers are declared; the fault ends the process.
        unsafe { asm!("xor edx, edx", "xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _) }
    })
}
