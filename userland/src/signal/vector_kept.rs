//! XMM registers, the x87 stack and the control words survive a handler that changes them; the
//! handler itself starts with the default control words, as Linux gives them.
use crate::out::say;
use crate::sys::signal;
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static SEEN: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    let (mut mxcsr, mut word) = (0u32, 0u16);
    let other = 0x5f80u32;
    // SAFETY: all registers are declared; the control words come back with the frame.
    unsafe {
        asm!(
            "stmxcsr [{0}]", "fnstcw [{1}]", "fninit", "fldpi", "ldmxcsr [{2}]",
            "pcmpeqd xmm0, xmm0", "pcmpeqd xmm1, xmm1", "pcmpeqd xmm7, xmm7", "pcmpeqd xmm15, xmm15",
            in(reg) &raw mut mxcsr, in(reg) &raw mut word, in(reg) &raw const other,
            out("xmm0") _, out("xmm1") _, out("xmm7") _, out("xmm15") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
    }
    SEEN.store(mxcsr << 16 | u32::from(word), SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
    let pid = crate::sys::process::getpid().unwrap_or(0);
    let (word, mxcsr) = (0x0f7fu16, 0x3f80u32);
    let (mut word_after, mut mxcsr_after, mut pi) = (0u16, 0u32, 0f64);
    let (x0, x1, x7, x15): (u64, u64, u64, u64);
    // SAFETY: kill(pid, SIGUSR1) with known vector state; the state is reset afterwards.
    unsafe {
        asm!(
            "fldcw [{word}]", "ldmxcsr [{mxcsr}]", "fldpi",
            "movq xmm0, {pid}", "movq xmm1, rsp", "movq xmm7, {pid}", "movq xmm15, rsp",
            "syscall",
            "fstp qword ptr [{pi}]", "fnstcw [{word_after}]", "stmxcsr [{mxcsr_after}]",
            "movq {x0}, xmm0", "movq {x1}, xmm1", "movq {x7}, xmm7", "movq {x15}, xmm15",
            "sub {x1}, rsp", "sub {x15}, rsp",
            "fninit",
            "push 0x1f80", "ldmxcsr [rsp]", "pop {scratch}",
            word = in(reg) &raw const word, mxcsr = in(reg) &raw const mxcsr,
            pid = in(reg) pid, pi = in(reg) &raw mut pi,
            word_after = in(reg) &raw mut word_after, mxcsr_after = in(reg) &raw mut mxcsr_after,
            x0 = out(reg) x0, x1 = out(reg) x1, x7 = lateout(reg) x7, x15 = lateout(reg) x15,
            scratch = out(reg) _,
            inlateout("rax") libc::SYS_kill => _, in("rdi") pid, in("rsi") libc::SIGUSR1 as usize,
            lateout("rcx") _, lateout("r11") _,
            out("xmm0") _, out("xmm1") _, out("xmm7") _, out("xmm15") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
    }
    say!("xmm kept: {} {x1} {} {x15}", x0 == pid as u64, x7 == pid as u64);
    say!("pi {pi:.6} fcw {word_after:#x} mxcsr {mxcsr_after:#x}");
    let seen = SEEN.load(SeqCst);
    say!("the handler saw fcw {:#x} mxcsr {:#x}", seen & 0xffff, seen >> 16);
    0
}
