//! A push with a stack pointer that is not canonical is a stack fault: SIGBUS (x86-64 Linux).
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("mov rcx, rsp", "mov rsp, {0}", "push rax", "mov rsp, rcx", in(reg) 0x0000_8000_0000_1000usize, out("rcx") _) }
    });
    0
}
