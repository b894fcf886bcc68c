//! `icebp` (0xF1) raises a debug exception: SIGTRAP.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(usize::MAX, || {
        // SAFETY: the fault ends the process.
        unsafe { asm!(".byte 0xf1") }
    });
    0
}
