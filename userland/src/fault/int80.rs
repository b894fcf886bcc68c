//! `int 0x80`, the 32-bit system call gate: answered or refused (the kernel's configuration says
//! which), never a crash.
use super::probe;
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("getpid: {}", probe::at_worst_a_signal(|| {
        // SAFETY: 20 is the 32-bit getpid; R8..R11 may be cleared.
        unsafe { asm!("int 0x80", inout("eax") 20 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _) }
    }));
    say!("unknown: {}", probe::at_worst_a_signal(|| {
        // SAFETY: no such call.
        unsafe { asm!("int 0x80", inout("eax") -1 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _) }
    }));
    0
}
