//! With AVX-512 enabled, ZMM and mask registers survive calls and preemption; without, nothing.
use crate::out::say;
use crate::sys::{child, process, time};
use std::arch::asm;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    if !std::arch::is_x86_feature_detected!("avx512f") {
        say!("wrong in any: 0");
        return 0;
    }
    let pids: Vec<i32> = (1..=3u64)
        .map(|i| {
            child::start(|| {
                let end = time::monotonic() + 100_000_000;
                let mut wrong = 0;
                while time::monotonic() < end {
                    wrong |= i32::from(!kept(i * 0x0101_0101));
                    let _ = process::sched_yield();
                }
                wrong
            })
        })
        .collect();
    let wrong = pids.into_iter().filter(|pid| child::end_of(*pid) != "exited 0").count();
    say!("wrong in any: {wrong}");
    0
}

fn kept(seed: u64) -> bool {
    let pattern: [u64; 8] = std::array::from_fn(|i| seed << 8 | i as u64);
    let mut out = [[0u64; 8]; 2];
    let mask: u64;
    // SAFETY: only called when the CPU has AVX-512F; reads 64 bytes and writes 128.
    unsafe {
        asm!(
            "vmovdqu64 zmm5, [rsi]", "vmovdqu64 zmm29, [rsi]", "kmovw k3, edx",
            "2:", "dec r8", "jnz 2b",
            "mov eax, 24", "syscall",
            "vmovdqu64 [rdi], zmm5", "vmovdqu64 [rdi+64], zmm29", "kmovw edx, k3",
            "vzeroupper",
            in("rsi") pattern.as_ptr(), in("rdi") out.as_mut_ptr(), inout("rdx") seed & 0xffff => mask,
            inout("r8") 200_000u64 => _,
            out("rax") _, out("rcx") _, out("r11") _, out("xmm5") _, out("xmm29") _, out("k3") _,
        );
    }
    out.iter().all(|register| *register == pattern) && mask == seed & 0xffff
}
