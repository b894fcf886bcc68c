//! Reading an address that is not canonical is a general protection fault: SIGSEGV, SI_KERNEL.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("mov al, [{0}]", in(reg) 0x1234_5678_9abc_def0usize, out("al") _) }
    });
    0
}
