//! While a handler runs, its sa_mask and its own signal are blocked on top of the mask before;
//! returning restores that, also when the handler changed the mask (sigaction(2)).
use crate::out::say;
use crate::sys::signal::{self, bit, mask_names};
use std::ffi::CStr;

extern "C" fn on_signal(sig: i32, _: &mut libc::siginfo_t, context: &mut libc::ucontext_t) {
    say!("{}: mask {}", signal::name(sig), mask_names(signal::mask()));
    // SAFETY: the kernel's set is the first word of the C library's larger one.
    let saved = unsafe { *(&raw const context.uc_sigmask).cast::<u64>() };
    say!("saved {}", mask_names(saved));
    let _ = signal::block(bit(libc::SIGWINCH));
    if sig == libc::SIGUSR2 {
        let edited = saved | bit(libc::SIGURG);
        // SAFETY: as above; rt_sigreturn takes the mask from here.
        unsafe { *(&raw mut context.uc_sigmask).cast::<u64>() = edited };
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::set_mask(bit(libc::SIGHUP));
    let mask = bit(libc::SIGTERM) | bit(libc::SIGINT) | bit(libc::SIGKILL);
    let _ = signal::handle(libc::SIGUSR1, on_signal, 0, mask);
    let _ = signal::handle(libc::SIGUSR2, on_signal, libc::SA_NODEFER, 0);
    for sig in [libc::SIGUSR1, libc::SIGUSR2] {
        let _ = signal::raise(sig);
        say!("after: {}", mask_names(signal::mask()));
    }
    0
}
