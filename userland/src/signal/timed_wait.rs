//! sigtimedwait(2): takes a pending signal without its handler, waits, gives EAGAIN in time.
use crate::out::{say, show};
use crate::sys::signal::{self, SET, bit};
use crate::sys::{child, process, time};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    say!("handler");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGUSR1, on_signal, 0, 0);
    let set = bit(libc::SIGUSR1);
    let _ = signal::block(set);
    let _ = signal::raise(libc::SIGUSR1);
    show("pending", signal::rt_sigtimedwait(&set, None, None, SET));
    say!("pending {}", signal::mask_names(signal::pending()));
    let start = time::monotonic();
    show("timeout", signal::rt_sigtimedwait(&set, None, Some(&time::spec(0, 20_000_000)), SET));
    say!("not early: {}", time::monotonic() - start >= 20_000_000);
    show("poll", signal::rt_sigtimedwait(&set, None, Some(&time::spec(0, 0)), SET));
    let me = process::getpid().unwrap_or(0) as i32;
    let pid = child::start(|| {
        let _ = time::sleep_ms(10);
        let _ = signal::kill(me, libc::SIGUSR1);
        0
    });
    let mut info = signal::info();
    show("arrives", signal::rt_sigtimedwait(&set, Some(&mut info), None, SET));
    // SAFETY: a signal from kill carries a PID.
    say!("code {} from the child {}", info.si_code, unsafe { info.si_pid() } == pid);
    say!("{}", child::end_of(pid));
    // One without a handler is taken as well, and doesn't kill.
    let other = bit(libc::SIGUSR2);
    let _ = signal::block(other);
    let pid = child::start(|| {
        let _ = time::sleep_ms(10);
        let _ = signal::kill(me, libc::SIGUSR2);
        0
    });
    show("deadly", signal::rt_sigtimedwait(&other, None, None, SET));
    say!("{}", child::end_of(pid));
    show("bad time", signal::rt_sigtimedwait(&set, None, Some(&time::spec(0, -1)), SET));
    show("bad size", signal::rt_sigtimedwait(&set, None, None, 4));
    0
}
