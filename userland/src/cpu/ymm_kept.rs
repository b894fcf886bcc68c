//! With AVX, the upper halves of YMM registers survive system calls, preemption and signals.
use crate::out::say;
use crate::sys::{child, process, signal, time};
use std::arch::asm;
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    // SAFETY: only called when the CPU has AVX.
    unsafe {
        asm!("vzeroall",
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _);
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    if !std::arch::is_x86_feature_detected!("avx") {
        say!("wrong in any: 0");
        return 0;
    }
    let _ = signal::handle(libc::SIGALRM, on_signal, 0, 0);
    let pids: Vec<i32> = (1..=3u64)
        .map(|i| {
            child::start(|| {
                let value = libc::timeval { tv_sec: 0, tv_usec: 3_000 };
                let timer = libc::itimerval { it_interval: value, it_value: value };
                let _ = signal::setitimer(libc::ITIMER_REAL, &timer, None);
                let end = time::monotonic() + 150_000_000;
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

/// Fills YMM0, YMM7, YMM8 and YMM15 with words made from `seed`, spins and calls, compares.
fn kept(seed: u64) -> bool {
    let pattern: [u64; 4] = std::array::from_fn(|i| seed << 8 | i as u64);
    let mut out = [[0u64; 4]; 4];
    // SAFETY: only called when the CPU has AVX; reads 32 bytes and writes 128.
    unsafe {
        asm!(
            "vmovdqu ymm0, [rsi]", "vmovdqu ymm7, [rsi]", "vmovdqu ymm8, [rsi]", "vmovdqu ymm15, [rsi]",
            "2:", "dec rdx", "jnz 2b",
            "mov eax, 24", "syscall",
            "vmovdqu [rdi], ymm0", "vmovdqu [rdi+32], ymm7", "vmovdqu [rdi+64], ymm8", "vmovdqu [rdi+96], ymm15",
            "vzeroupper",
            in("rsi") pattern.as_ptr(), in("rdi") out.as_mut_ptr(), inout("rdx") 200_000u64 => _,
            out("rax") _, out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
            out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
    }
    out.iter().all(|register| *register == pattern)
}
