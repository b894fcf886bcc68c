//! Writing to text and to read-only memory is SIGSEGV with SEGV_ACCERR at the address.
use super::probe;
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

static CONSTANT: [u8; 8] = [7; 8];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let text = run as fn(&[&CStr]) -> i32 as usize;
    say!("text");
    probe::children(text, || {
        // SAFETY: the fault ends the process. (Read before, the page is present.)
        unsafe { asm!("mov al, [{0}]", "mov byte ptr [{0}], 1", in(reg) run as fn(&[&CStr]) -> i32 as usize, out("al") _) }
    });
    say!("constants");
    probe::children(CONSTANT.as_ptr() as usize, || {
        // SAFETY: the fault ends the process. (Read before, the page is present.)
        unsafe { asm!("mov al, [{0}]", "mov byte ptr [{0}], 1", in(reg) CONSTANT.as_ptr(), out("al") _) }
    });
    0
}
