//! A system call changes no general register but RAX, RCX and R11 (syscall(2)).
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

/// The registers that the call must keep, in the order in which they are stored.
const NAMES: [&str; 13] =
    ["rbx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r12", "r13", "r14", "r15", "rsp"];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (name, number) in [
        ("getpid", libc::SYS_getpid),
        ("sched_yield", libc::SYS_sched_yield),
        ("unknown", 100_000),
        ("bad pointer", libc::SYS_write),
    ] {
        let after = around(number as u64);
        for (reg, value) in NAMES.iter().zip(after) {
            if *reg == "rsp" {
                say!("{name}: rsp kept: {}", value == 0);
            } else {
                say!("{name}: {reg} {value:#018x}");
            }
        }
    }
    0
}

/// Fills the registers, calls, and stores them (the stack pointer as a difference).
fn around(number: u64) -> [u64; 13] {
    let mut out = [0u64; 13];
    // SAFETY: the call is one that touches no memory (write gets a bad pointer and length);
    // RBX and RBP, which can't be declared, are saved on the stack, as is the array's address;
    // the block isn't `nostack`, so the red zone isn't in use.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "push {out}",
            "mov rax, {number}",
            "mov rbx, 0x1111111111111111",
            "mov rdx, 0x2222222222222222",
            "mov rsi, 0x3333333333333333",
            "mov rdi, 0x0000000000000001",
            "mov r8,  0x5555555555555555",
            "mov r9,  0x6666666666666666",
            "mov r10, 0x7777777777777777",
            "mov r12, 0x8888888888888888",
            "mov r13, 0x9999999999999999",
            "mov r14, 0xaaaaaaaaaaaaaaaa",
            "mov r15, 0xbbbbbbbbbbbbbbbb",
            "mov rbp, rsp",
            "syscall",
            "mov rcx, rsp",
            "pop rax",
            "mov [rax], rbx",
            "mov [rax+8], rdx",
            "mov [rax+16], rsi",
            "mov [rax+24], rdi",
            "mov [rax+40], r8",
            "mov [rax+48], r9",
            "mov [rax+56], r10",
            "mov [rax+64], r12",
            "mov [rax+72], r13",
            "mov [rax+80], r14",
            "mov [rax+88], r15",
            "sub rcx, rbp",
            "mov [rax+96], rcx",
            "mov qword ptr [rax+32], rcx",
            "pop rbp",
            "pop rbx",
            out = in(reg) out.as_mut_ptr(),
            number = in(reg) number,
            out("rax") _, out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    out
}
