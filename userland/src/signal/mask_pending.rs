//! A blocked signal stays pending, once however often it was sent, and arrives when unblocked;
//! SIGKILL and SIGSTOP can't be blocked (sigprocmask(2), sigpending(2)).
use crate::out::{say, show};
use crate::sys::signal::{self, bit};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, Ordering::SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("handle", signal::handle(libc::SIGUSR1, on_signal, 0, 0));
    show("block", signal::block(bit(libc::SIGUSR1) | bit(libc::SIGTERM)));
    say!("mask {}", signal::mask_names(signal::mask()));
    for _ in 0..3 {
        show("kill", signal::raise(libc::SIGUSR1));
    }
    say!("count {} pending {}", COUNT.load(Ordering::SeqCst), signal::mask_names(signal::pending()));
    show("unblock", signal::unblock(bit(libc::SIGUSR1)));
    say!("count {} pending {}", COUNT.load(Ordering::SeqCst), signal::mask_names(signal::pending()));
    show("block all", signal::set_mask(u64::MAX));
    let missing = !signal::mask();
    say!("not blocked: {}", signal::mask_names(missing));
    show("none", signal::set_mask(0));
    show("bad how", signal::rt_sigprocmask(7, Some(&0), None, signal::SET));
    show("bad how without a set", signal::rt_sigprocmask(7, None, None, signal::SET));
    show("bad size", signal::rt_sigprocmask(0, Some(&0), None, 4));
    0
}
