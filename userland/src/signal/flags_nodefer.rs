//! SA_NODEFER lets a signal interrupt its own handler; without it, it waits (sigaction(2)).
use crate::out::say;
use crate::sys::signal;
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static DEPTH: AtomicI32 = AtomicI32::new(0);
static CALLS: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    let depth = DEPTH.fetch_add(1, SeqCst) + 1;
    say!("enter at depth {depth}");
    if CALLS.fetch_add(1, SeqCst) < 2 {
        let _ = signal::raise(libc::SIGUSR1);
        say!("raised at depth {depth}, pending {}", signal::mask_names(signal::pending()));
    }
    DEPTH.fetch_sub(1, SeqCst);
    say!("leave depth {depth}");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, flags) in [("deferred", 0), ("SA_NODEFER", libc::SA_NODEFER)] {
        say!("{label}");
        CALLS.store(0, SeqCst);
        let _ = signal::handle(libc::SIGUSR1, on_signal, flags, 0);
        let _ = signal::raise(libc::SIGUSR1);
    }
    0
}
