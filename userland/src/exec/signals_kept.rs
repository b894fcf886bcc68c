//! execve(2) resets handlers to the default, keeps ignored signals, the mask and what is pending.
use crate::out::{say, show};
use crate::sys::{child, process, signal};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
        let _ = signal::handle(libc::SIGTERM, on_signal, 0, 0);
        let _ = signal::set(libc::SIGUSR2, signal::SIG_IGN);
        let _ = signal::set(libc::SIGCHLD, signal::SIG_IGN);
        let _ = signal::block(signal::bit(libc::SIGTERM) | signal::bit(libc::SIGHUP) | signal::bit(40));
        let _ = signal::raise(libc::SIGHUP);
        let _ = signal::raise(40);
        show("exec", process::execve(super::SELF, &[c"b", c"--helper", c"signals"], &[]));
        1
    }));
    0
}
