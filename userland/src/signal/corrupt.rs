//! Handlers that spoil the frame they return through; see `corrupt_frames`.
use crate::sys::{child, signal};
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

/// What to do to a frame.
pub(super) type Spoil = fn(&mut libc::ucontext_t);

static SPOIL: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    let spoil = SPOIL.load(SeqCst);
    // SAFETY: only `end_with` stores here, and it stores a `Spoil`.
    let spoil = unsafe { std::mem::transmute::<*mut (), Spoil>(spoil) };
    spoil(context);
}

/// How a child ends that returns from a handler through a frame spoilt this way, then checks that
/// the floating-point unit still works, and exits 0.
pub(super) fn end_with(spoil: Spoil) -> String {
    child::run(|| {
        SPOIL.store(spoil as *mut (), SeqCst);
        let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
        let _ = signal::raise(libc::SIGUSR1);
        let half = std::hint::black_box(3.0f64) / std::hint::black_box(2.0);
        if half == 1.5 { 0 } else { 1 }
    })
}

/// Sets a general register in the frame.
pub(super) fn set(context: &mut libc::ucontext_t, register: i32, value: u64) {
    context.uc_mcontext.gregs[register as usize] = value.cast_signed();
}

/// Writes 32 bits into the saved floating-point state at `offset`.
pub(super) fn state_word(context: &mut libc::ucontext_t, offset: usize, value: u32) {
    let at = context.uc_mcontext.fpregs as usize + offset;
    // SAFETY: inside the frame's state, which the kernel laid out above this context.
    unsafe { (at as *mut u32).write_unaligned(value) }
}

/// Writes 64 bits into the saved state at `offset`.
pub(super) fn state_long(context: &mut libc::ucontext_t, offset: usize, value: u64) {
    state_word(context, offset, value as u32);
    state_word(context, offset + 4, (value >> 32) as u32);
}
