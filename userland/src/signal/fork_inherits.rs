//! fork(2): the child has the dispositions and the mask, but nothing pending, no alarm.
use crate::out::say;
use crate::sys::signal::{self, bit, mask_names};
use crate::sys::child;
use std::ffi::CStr;

extern "C" fn on_signal(sig: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("handled {}", signal::name(sig));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
    let _ = signal::set(libc::SIGUSR2, signal::SIG_IGN);
    let _ = signal::block(bit(libc::SIGUSR1) | bit(libc::SIGTERM));
    let _ = signal::raise(libc::SIGUSR1);
    let _ = signal::alarm(100);
    say!("{}", child::run(|| {
        say!("child: mask {}", mask_names(signal::mask()));
        say!("child: pending {}", mask_names(signal::pending()));
        say!("child: USR2 ignored {}", signal::current(libc::SIGUSR2).map(|a| a.handler) == Ok(1));
        say!("child: alarm {:?}", signal::alarm(0));
        let _ = signal::raise(libc::SIGUSR1);
        let _ = signal::unblock(bit(libc::SIGUSR1));
        let _ = signal::set(libc::SIGUSR1, signal::SIG_DFL);
        0
    }));
    say!("parent: alarm {:?}", signal::alarm(0));
    say!("parent: pending {}", mask_names(signal::pending()));
    let _ = signal::unblock(bit(libc::SIGUSR1));
    0
}
