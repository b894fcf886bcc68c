//! Unmasked SSE exceptions are SIGFPE: FPE_FLTDIV, FPE_FLTINV, FPE_FLTRES.
use super::probe;
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("division");
    probe::children(usize::MAX, || divide(0x1d80, 1.0, 0.0));
    say!("invalid");
    probe::children(usize::MAX, || divide(0x1f00, 0.0, 0.0));
    say!("inexact");
    probe::children(usize::MAX, || divide(0x0f80, 1.0, 3.0));
    0
}

fn divide(mxcsr: u32, a: f64, b: f64) {
    // SAFETY: the exception ends the process.
    unsafe {
        asm!("ldmxcsr [{0}]", "divsd {1}, {2}", in(reg) &raw const mxcsr, inout(xmm_reg) a => _, in(xmm_reg) b);
    }
}
