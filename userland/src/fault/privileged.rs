//! Instructions that only the kernel may use are SIGSEGV each: I/O, control registers, MSRs, flags.
use super::probe;
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

macro_rules! each {
    ($($label:literal: $($code:literal),+;)+) => { $(
        say!($label);
        probe::children(usize::MAX, || {
            // SAFETY: the fault ends the process.
            unsafe { asm!($($code),+, out("eax") _, out("ecx") _, out("edx") _) }
        });
    )+ };
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    each! {
        "cli": "cli";
        "sti": "sti";
        "in": "in al, 0x80";
        "in dx": "mov edx, 0x501", "in ax, dx";
        "out": "xor eax, eax", "out 0x80, al";
        "out debug exit": "mov edx, 0x501", "mov eax, 0x10", "out dx, ax";
        "out debug console": "mov edx, 0xe9", "mov eax, 0x41", "out dx, al";
        "outsb": "mov edx, 0xe9", "push rsi", "lea rsi, [rip]", "outsb", "pop rsi";
        "mov to cr3": "xor eax, eax", "mov cr3, rax";
        "mov from cr0": "mov rax, cr0";
        "mov to cr4": "xor eax, eax", "mov cr4, rax";
        "mov to dr7": "xor eax, eax", "mov dr7, rax";
        "rdmsr": "mov ecx, 0xc0000080", "rdmsr";
        "wrmsr": "mov ecx, 0xc0000080", "xor eax, eax", "xor edx, edx", "wrmsr";
        "invlpg": "invlpg [rsp]";
        "wbinvd": "wbinvd";
        "lgdt": "lgdt [rsp]";
        "lidt": "lidt [rsp]";
        "ltr": "mov eax, 0x40", "ltr ax";
        "lldt": "xor eax, eax", "lldt ax";
        "clts": "clts";
        "swapgs": "swapgs";
        "sysretq": "sysretq";
        "xsetbv": "xor ecx, ecx", "xor eax, eax", "xor edx, edx", "xsetbv";
    }
    0
}
