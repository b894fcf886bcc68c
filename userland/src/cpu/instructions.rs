//! Instructions that Linux lets programs use: CPUID, RDTSC, RDRAND, XGETBV, CLFLUSH, the fences.
use crate::out::say;
use crate::sys::child;
use std::arch::asm;
use std::ffi::CStr;

macro_rules! each {
    ($($label:literal: $($code:literal),+;)+) => { $(
        say!("{}: {}", $label, child::run(|| {
            // SAFETY: registers declared; RBX, which CPUID changes, is saved.
            unsafe {
                asm!("push rbx", $($code,)+ "pop rbx", out("rax") _, out("rcx") _, out("rdx") _);
            }
            0
        }));
    )+ };
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    each! {
        "cpuid": "xor eax, eax", "xor ecx, ecx", "cpuid";
        "rdtsc": "rdtsc";
        "clflush": "clflush [rsp]";
        "fences": "mfence", "lfence", "sfence";
        "prefetch": "prefetcht0 [rsp]", "prefetchnta [8]";
        "endbr64": "endbr64";
        "cmpxchg16b": "xor eax, eax", "xor ecx, ecx", "xor edx, edx", "sub rsp, 24", "and rsp, -16", "lock cmpxchg16b [rsp]", "mov edi, 0", "mov eax, 231", "syscall";
        "fxsave": "mov rcx, rsp", "sub rsp, 640", "and rsp, -64", "fxsave [rsp]", "fxrstor [rsp]", "mov rsp, rcx";
    }
    let tsc_goes_on = {
        // SAFETY: RDTSC is allowed to programs.
        let first = unsafe { std::arch::x86_64::_rdtsc() };
        let _ = crate::sys::time::sleep_ms(2);
        // SAFETY: as above.
        unsafe { std::arch::x86_64::_rdtsc() > first }
    };
    say!("the counter goes on: {tsc_goes_on}");
    0
}
