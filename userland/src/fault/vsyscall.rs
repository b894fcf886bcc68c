//! The old vsyscall page: nothing of it can be read, and a call to where no function is ends the program.
use crate::out::say;
use crate::sys::child;
use std::ffi::CStr;

const PAGE: usize = 0xffff_ffff_ff60_0000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("read: {}", child::run(|| {
        // SAFETY: the fault ends the process.
        unsafe { std::arch::asm!("mov al, [{0}]", in(reg) PAGE, out("al") _) };
        0
    }));
    say!("call beside the functions: {}", child::run(|| {
        // SAFETY: as above.
        unsafe { std::arch::asm!("call {0}", in(reg) PAGE + 16, clobber_abi("C")) };
        0
    }));
    say!("call beyond the page: {}", child::run(|| {
        // SAFETY: as above.
        unsafe { std::arch::asm!("call {0}", in(reg) PAGE + 4096, clobber_abi("C")) };
        0
    }));
    0
}
