//! Loading segment registers: null and the user's data segment are fine, the kernel's and absent
//! ones are SIGSEGV; the selectors survive system calls.
use crate::out::say;
use crate::sys::{child, process};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for selector in [0u16, 1, 3, 0x2b, 0x33, 0x10, 0x18, 0x13, 0x1b, 0x40, 0x7ff8, 0xfff8, 0x7] {
        let ds = child::run(|| {
            let kept: u16;
            // SAFETY: DS isn't used in 64-bit mode; it is null again after.
            unsafe {
                asm!("mov ds, {0:x}", "mov eax, 24", "syscall", "mov {1:x}, ds", "xor eax, eax", "mov ds, eax",
                    in(reg) selector, out(reg) kept, out("rax") _, out("rcx") _, out("r11") _);
            }
            // A return by IRET may clear the RPL of a null selector.
            i32::from(kept != selector && selector > 3)
        });
        let ss = child::run(|| {
            // SAFETY: reloaded before anything else.
            unsafe {
                asm!("mov ss, {0:x}", "mov eax, 0x2b", "mov ss, eax", in(reg) selector, out("eax") _);
            }
            0
        });
        say!("{selector:#x}: ds {ds}, ss {ss}");
    }
    let _ = process::sched_yield();
    0
}
