//! `hlt` in user mode is a general protection fault: SIGSEGV with SI_KERNEL and no address.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::all(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("hlt") }
    })
}
