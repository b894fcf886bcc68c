//! fork(2): the child starts with the parent's general and vector registers, RAX alone differs.
use crate::out::say;
use crate::sys::{child, process};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (result, sum): (isize, u64);
    let vector: u64;
    // SAFETY: the child is a copy of this single-threaded process.
    unsafe {
        asm!(
            "mov r12, 0x1000", "mov r13, 0x2000", "mov r14, 0x4000", "mov r15, 0x8000",
            "mov rdx, 0x100", "mov rsi, 0x200", "mov rdi, 0x400", "mov r8, 0x10", "mov r9, 0x20", "mov r10, 0x40",
            "movq xmm11, r12", "syscall",
            "add r12, r13", "add r12, r14", "add r12, r15", "add r12, rdx", "add r12, rsi",
            "add r12, rdi", "add r12, r8", "add r12, r9", "add r12, r10", "movq r13, xmm11",
            inlateout("rax") libc::SYS_fork as isize => result,
            out("r12") sum, out("r13") vector, out("r14") _, out("r15") _, out("rdx") _,
            out("rsi") _, out("rdi") _, out("r8") _, out("r9") _, out("r10") _, out("xmm11") _,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    let who = if result == 0 { "child" } else { "parent" };
    if result != 0 {
        say!("child {}", child::end_of(result as i32));
    }
    say!("{who}: sum {sum:#x} xmm11 {vector:#x}");
    if result == 0 {
        process::exit(4);
    }
    0
}
