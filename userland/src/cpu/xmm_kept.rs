//! All XMM registers survive system calls and preemption by processes that use them too.
use crate::out::say;
use crate::sys::{child, process, time};
use std::arch::asm;
use std::ffi::CStr;

type Set = [[u64; 2]; 16];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pids: Vec<i32> = (1..=3u64)
        .map(|i| {
            child::start(|| {
                let set: Set = std::array::from_fn(|r| [i << 32 | r as u64, i * 1000 + r as u64]);
                let end = time::monotonic() + 150_000_000;
                while time::monotonic() < end {
                    for number in [libc::SYS_getpid, libc::SYS_sched_yield, -1] {
                        if around(&set, number, 50_000) != set {
                            return 1;
                        }
                    }
                    let _ = process::sched_yield();
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

/// Loads the registers, calls (no call for -1), spins, stores them.
fn around(set: &Set, number: i64, spins: u64) -> Set {
    let mut out = [[0u64; 2]; 16];
    // SAFETY: reads 256 bytes of `set`, writes 256 of `out`; the calls touch no memory.
    unsafe {
        asm!(
            "movdqu xmm0, [rsi]", "movdqu xmm1, [rsi+16]", "movdqu xmm2, [rsi+32]", "movdqu xmm3, [rsi+48]",
            "movdqu xmm4, [rsi+64]", "movdqu xmm5, [rsi+80]", "movdqu xmm6, [rsi+96]", "movdqu xmm7, [rsi+112]",
            "movdqu xmm8, [rsi+128]", "movdqu xmm9, [rsi+144]", "movdqu xmm10, [rsi+160]", "movdqu xmm11, [rsi+176]",
            "movdqu xmm12, [rsi+192]", "movdqu xmm13, [rsi+208]", "movdqu xmm14, [rsi+224]", "movdqu xmm15, [rsi+240]",
            "cmp rax, -1", "je 2f", "syscall", "2:",
            "dec rdx", "jnz 2b",
            "movdqu [rdi], xmm0", "movdqu [rdi+16], xmm1", "movdqu [rdi+32], xmm2", "movdqu [rdi+48], xmm3",
            "movdqu [rdi+64], xmm4", "movdqu [rdi+80], xmm5", "movdqu [rdi+96], xmm6", "movdqu [rdi+112], xmm7",
            "movdqu [rdi+128], xmm8", "movdqu [rdi+144], xmm9", "movdqu [rdi+160], xmm10", "movdqu [rdi+176], xmm11",
            "movdqu [rdi+192], xmm12", "movdqu [rdi+208], xmm13", "movdqu [rdi+224], xmm14", "movdqu [rdi+240], xmm15",
            in("rsi") set.as_ptr(), in("rdi") out.as_mut_ptr(), inout("rdx") spins => _,
            inout("rax") number => _, out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
    }
    out
}
