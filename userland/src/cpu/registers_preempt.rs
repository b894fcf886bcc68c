//! Every general register and flag survives preemption: four processes with different patterns
//! spin beside each other and check theirs.
use crate::out::say;
use crate::sys::{child, time};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pids: Vec<i32> = (1..=4u64)
        .map(|i| {
            child::start(|| {
                let end = time::monotonic() + 200_000_000;
                while time::monotonic() < end {
                    if spin(0x0101_0101_0101_0101 * i, 200_000) != 0 {
                        return 1;
                    }
                }
                0
            })
        })
        .collect();
    for pid in pids {
        say!("{}", child::end_of(pid));
    }
    0
}

/// Keeps multiples of `seed` in the registers for so many rounds, and checks their sum in each.
fn spin(seed: u64, rounds: u64) -> u64 {
    let wrong: u64;
    // SAFETY: RBX and RBP are saved on the stack, which stays balanced; all others declared.
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "lea rax, [rdi]", "lea rbx, [rdi + rax]", "lea rdx, [rdi + rbx]", "lea rbp, [rdi + rdx]",
            "lea r8, [rdi + rbp]", "lea r9, [rdi + r8]", "lea r10, [rdi + r9]", "lea r11, [rdi + r10]",
            "lea r12, [rdi + r11]", "lea r13, [rdi + r12]", "lea r14, [rdi + r13]",
            "imul r15, rdi, 66", // 1 + 2 + ... + 11
            "2:",
            "lea rcx, [rax + rbx]", "add rcx, rdx", "add rcx, rbp", "add rcx, r8", "add rcx, r9",
            "add rcx, r10", "add rcx, r11", "add rcx, r12", "add rcx, r13", "add rcx, r14",
            "sub rcx, r15", "jnz 3f",
            "stc", "pause", "jnc 3f",
            "std", "pause", "cld",
            "dec rsi", "jnz 2b",
            "jmp 4f",
            "3:", "or rcx, 1",
            "4:", "mov rax, rcx",
            "pop rbp", "pop rbx",
            inout("rdi") seed => _, inout("rsi") rounds => _,
            out("rax") wrong, out("rcx") _, out("rdx") _, out("r8") _, out("r9") _, out("r10") _,
            out("r11") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    wrong
}
