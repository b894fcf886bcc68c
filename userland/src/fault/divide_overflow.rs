//! A quotient that is too large (`i32::MIN / -1`) is SIGFPE with FPE_INTDIV too.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("mov eax, 0x80000000", "cdq", "mov ecx, -1", "idiv ecx", out("eax") _, out("ecx") _, out("edx") _) }
    });
    0
}
