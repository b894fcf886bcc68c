//! The selectors of a 64-bit program: CS 0x33, SS 0x2b, the others 0.
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (cs, ss, ds, es, fs, gs): (u16, u16, u16, u16, u16, u16);
    // SAFETY: only reads selectors.
    unsafe {
        asm!("mov {0:x}, cs", "mov {1:x}, ss", "mov {2:x}, ds", out(reg) cs, out(reg) ss, out(reg) ds);
        asm!("mov {0:x}, es", "mov {1:x}, fs", "mov {2:x}, gs", out(reg) es, out(reg) fs, out(reg) gs);
    }
    say!("cs {cs:#x} ss {ss:#x} ds {ds:#x} es {es:#x} fs {fs:#x} gs {gs:#x}");
    0
}
