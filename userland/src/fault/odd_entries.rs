//! Other ways into the kernel that a 64-bit program shouldn't use: never a crash.
use super::probe;
use crate::out::say;
use std::arch::asm;
use std::ffi::CStr;

macro_rules! each {
    ($($label:literal: $($code:literal),+;)+) => { $(
        say!("{}: {}", $label, probe::at_worst_a_signal(|| {
            // SAFETY: never comes back: leaves, or a fault ends the process.
            unsafe { asm!($($code,)+ "xor edi, edi", "mov eax, 231", "syscall", "ud2", options(noreturn)) }
        }));
    )+ };
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    each! {
        "sysenter": "mov eax, 20", "mov ebp, esp", "sysenter";
        "sysenter without a stack": "xor ebp, ebp", "xor esp, esp", "sysenter";
        "sysexit": "sysexit";
        "far jump through memory": "push 0x10", "push 0", ".byte 0x48, 0xff, 0x2c, 0x24";
        "far call to a gate": "push 0x23", "push 0", ".byte 0x48, 0xff, 0x1c, 0x24";
        "compatibility mode": "push 0x23", "lea rax, [rip + 2f]", "push rax", "retfq", "2: nop";
        "lar and verr": "mov eax, 0x10", "verr ax", "lar ecx, eax", "lsl ecx, eax";
        "sgdt": "sub rsp, 16", "sgdt [rsp]";
        "str": "str eax";
        "smsw": "smsw eax";
        "rdpmc": "xor ecx, ecx", "rdpmc";
        "monitor": "lea rax, [rsp]", "xor ecx, ecx", "xor edx, edx", "monitor";
        "vmcall": "mov eax, 999", "vmcall";
        "xbegin": "xor eax, eax", "cpuid";
        "into the vsyscall page": "mov rax, 0xffffffffff600000", "call rax";
        "lock prefix": ".byte 0xf0, 0x90";
        "fifteen prefixes": ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90";
        "syscall with prefix": "mov eax, 39", ".byte 0x66", "syscall";
    }
    0
}
