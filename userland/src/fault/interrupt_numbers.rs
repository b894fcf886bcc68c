//! `int N` for vectors that user mode may not call is a general protection fault whose error code
//! names the vector; `int 4` is open but SIGSEGV (x86-64 Linux).
use super::probe;
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

macro_rules! vectors {
    ($($vector:literal)+) => { $(
        say!("int {:#x}", $vector);
        probe::children(usize::MAX, || {
            // SAFETY: the fault ends the process.
            unsafe { asm!(concat!("int ", $vector)) }
        });
    )+ };
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    vectors!(0x0 0x1 0x2 0x3 0x4 0x6 0x8 0xd 0xe 0x12 0x20 0x21 0x7f 0x81 0xec 0xff);
    0
}
