//! A handler may be interrupted by another signal's handler, to any depth, and each returns to
//! where it was.
use crate::out::say;
use crate::sys::signal;
use std::ffi::CStr;

extern "C" fn on_signal(sig: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("enter {}", signal::name(sig));
    let local = std::hint::black_box([sig; 32]);
    if sig < 50 {
        let _ = signal::raise(sig + 1);
    }
    say!("leave {} {}", signal::name(sig), local.iter().all(|x| *x == sig));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for sig in 40..=50 {
        let _ = signal::handle(sig, on_signal, 0, 0);
    }
    let _ = signal::raise(40);
    say!("back");
    0
}
