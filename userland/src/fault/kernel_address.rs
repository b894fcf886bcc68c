//! Reading the kernel's half is SIGSEGV, at the address, telling nothing of what is mapped.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(0xffff_ffff_8000_0000, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("mov al, [{0}]", in(reg) 0xffff_ffff_8000_0000usize, out("al") _) }
    });
    0
}
