//! An unmasked x87 exception is SIGFPE with FPE_FLTDIV; masked, there is none.
use super::probe;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    probe::children(usize::MAX - 1, || {
        let word = 0x037b_u16;
        // SAFETY: the exception ends the process.
        unsafe {
            asm!("fninit", "fldcw [{0}]", "fld1", "fldz", "fdivp st(1), st", "fwait", in(reg) &raw const word,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _);
        }
    });
    let quotient = std::hint::black_box(1.0f64) / std::hint::black_box(0.0);
    crate::out::say!("masked: {quotient}");
    0
}
