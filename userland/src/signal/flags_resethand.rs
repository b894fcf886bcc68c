//! SA_RESETHAND: the default is back before the handler runs; the second signal kills.
use crate::out::say;
use crate::sys::{child, signal};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    let now = signal::current(libc::SIGUSR1).map(|a| (a.handler, a.flags));
    say!("in the handler: default {}", now.is_ok_and(|(handler, _)| handler == 0));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| {
        let _ = signal::handle(libc::SIGUSR1, on_signal, libc::SA_RESETHAND, 0);
        let _ = signal::raise(libc::SIGUSR1);
        say!("after the first");
        let _ = signal::raise(libc::SIGUSR1);
        say!("not reached");
        0
    }));
    0
}
