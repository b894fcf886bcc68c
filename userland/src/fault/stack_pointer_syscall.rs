//! The kernel never uses the program's stack pointer: calls work with any value in RSP.
use crate::out::say;
use crate::sys::{child, process};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for rsp in [0usize, 1, 8, 4096, 0x0000_8000_0000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, usize::MAX, usize::MAX - 7] {
        say!("{rsp:#x}: {}", child::run(|| {
            let expected = process::getpid().unwrap_or(0);
            let got: usize;
            // SAFETY: the stack pointer is back before anything uses it.
            unsafe {
                asm!(
                    "mov r12, rsp",
                    "mov rsp, {rsp}",
                    "syscall",
                    "mov r13, rax",
                    "mov r14d, 20",
                    "2:", "mov eax, 24", "syscall", "dec r14d", "jnz 2b",
                    "mov rcx, rsp",
                    "mov rsp, r12",
                    "sub rcx, {rsp}",
                    "add r13, rcx",
                    rsp = in(reg) rsp,
                    inlateout("rax") libc::SYS_getpid => _,
                    lateout("rcx") _, lateout("r11") _,
                    out("r12") _, out("r13") got, out("r14") _,
                );
            }
            i32::from(got != expected)
        }));
    }
    0
}
