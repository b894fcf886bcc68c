//! `ud2` is SIGILL with ILL_ILLOPN at the instruction (sigaction(2)).
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::all(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!("ud2") }
    })
}
