//! A fault in the vDSO: the handler's backtrace goes through it to the function that called it.
use crate::out::say;
use crate::sys::{child, process, signal, vdso};
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

unsafe extern "C" {
    fn _Unwind_Backtrace(step: extern "C" fn(*mut c_void, *mut c_void) -> i32, data: *mut c_void) -> i32;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

static VDSO: AtomicUsize = AtomicUsize::new(0);
static CALLER: AtomicUsize = AtomicUsize::new(0);

/// What frames there are: 1 the vDSO's, 2 its caller's.
extern "C" fn step(context: *mut c_void, seen: *mut c_void) -> i32 {
    // SAFETY: the unwinder's own pointer; and ours, to an integer.
    let (ip, seen) = unsafe { (_Unwind_GetIP(context), &mut *seen.cast::<u32>()) };
    let within = |start: &AtomicUsize, len| (0..len).contains(&ip.wrapping_sub(start.load(Ordering::Relaxed)));
    if within(&VDSO, 8192) {
        *seen |= 1;
    }
    if *seen & 1 != 0 && within(&CALLER, 256) {
        *seen |= 2;
    }
    0
}

extern "C" fn on_fault(sig: i32, info: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    say!("{} in the vDSO: {}", signal::name(sig), (0..8192).contains(&rip.wrapping_sub(VDSO.load(Ordering::Relaxed))));
    // SAFETY: a fault's siginfo carries an address.
    say!("at the page asked for: {}", unsafe { info.si_addr() } as usize & !4095 == 0x10_000);
    let mut seen = 0u32;
    // SAFETY: `step` takes the pointer for what it is.
    unsafe { _Unwind_Backtrace(step, (&raw mut seen).cast()) };
    say!("frames of vDSO and caller: {seen}");
    process::exit(0)
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: no signal's bit is set.
    unsafe { std::mem::zeroed() }
}

#[inline(never)]
extern "C" fn caller(call: vdso::ClockCall) -> i32 {
    // SAFETY: the fault that follows is what the handler is for.
    let answer = unsafe { call(libc::CLOCK_MONOTONIC, 0x10_000 as *mut libc::timespec) };
    answer + 1
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (Some(image), Some(call)) = (vdso::Vdso::find(), vdso::clock_gettime()) else { return 1 };
    VDSO.store(image.base(), Ordering::Relaxed);
    CALLER.store(caller as extern "C" fn(vdso::ClockCall) -> i32 as usize, Ordering::Relaxed);
    say!("{}", child::run(|| {
        // The C library's way back from a handler, which an unwinder knows.
        let mut action = libc::sigaction { sa_sigaction: 0, sa_mask: empty_set(), sa_flags: libc::SA_SIGINFO, sa_restorer: None };
        let handler: extern "C" fn(i32, &mut libc::siginfo_t, &mut libc::ucontext_t) = on_fault;
        action.sa_sigaction = handler as usize;
        // SAFETY: the handler has the type that SA_SIGINFO asks for.
        unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut()) };
        caller(call)
    }));
    0
}
