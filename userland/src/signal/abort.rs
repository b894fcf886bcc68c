//! abort(3) ends with SIGABRT whatever the disposition.
use crate::out::say;
use crate::sys::{child, signal};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("handled");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("handled: {}", child::run(|| {
        let _ = signal::handle(libc::SIGABRT, on_signal, 0, 0);
        std::process::abort()
    }));
    say!("ignored and blocked: {}", child::run(|| {
        let _ = signal::set(libc::SIGABRT, signal::SIG_IGN);
        let _ = signal::block(signal::bit(libc::SIGABRT));
        std::process::abort()
    }));
    std::process::abort()
}
