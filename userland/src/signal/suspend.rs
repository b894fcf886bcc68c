//! sigsuspend(2): takes the mask for its time, returns EINTR after a handler, restores the mask;
//! no signal is lost between the two. pause(2) too.
use crate::out::{say, show};
use crate::sys::signal::{self, SET, bit};
use crate::sys::{child, process, time};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, SeqCst);
    say!("handler: mask {}", signal::mask_names(signal::mask()));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
    let _ = signal::set_mask(bit(libc::SIGUSR1));
    let _ = signal::raise(libc::SIGUSR1);
    show("already pending", signal::rt_sigsuspend(&bit(libc::SIGHUP), SET));
    say!("mask {}", signal::mask_names(signal::mask()));
    let me = process::getpid().unwrap_or(0) as i32;
    let pid = child::start(|| {
        let _ = time::sleep_ms(15);
        let _ = signal::kill(me, libc::SIGUSR1);
        0
    });
    show("comes later", signal::rt_sigsuspend(&0, SET));
    say!("count {} {}", COUNT.load(SeqCst), child::end_of(pid));
    show("bad size", signal::rt_sigsuspend(&0, 4));
    let _ = signal::set_mask(0);
    let pid = child::start(|| {
        let _ = time::sleep_ms(15);
        let _ = signal::kill(me, libc::SIGWINCH);
        let _ = time::sleep_ms(15);
        let _ = signal::kill(me, libc::SIGUSR1);
        0
    });
    show("pause", signal::pause());
    say!("an ignored one didn't wake it: {}", COUNT.load(SeqCst) == 3);
    say!("{}", child::end_of(pid));
    0
}
