//! A handler runs, sees the signal's number and siginfo, and the program goes on (sigaction(2)).
use crate::out::{say, show};
use crate::sys::{process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(99);
static FROM_ME: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(sig: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    SIGNAL.store(sig, Ordering::SeqCst);
    CODE.store(info.si_code, Ordering::SeqCst);
    // SAFETY: a signal from kill carries a PID.
    let pid = unsafe { info.si_pid() };
    let me = process::getpid().unwrap_or(0) as i32;
    FROM_ME.store(i32::from(pid == me && info.si_signo == sig), Ordering::SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    show("sigaction", signal::handle(libc::SIGUSR1, on_signal, 0, 0));
    let me = process::getpid().unwrap_or(0) as i32;
    show("kill", signal::kill(me, libc::SIGUSR1));
    report();
    show("tgkill", signal::tgkill(me, me, libc::SIGUSR1));
    report();
    show("tkill", signal::tkill(me, libc::SIGUSR1));
    report();
    0
}

fn report() {
    say!(
        "got {} code {} from me {}",
        signal::name(SIGNAL.swap(0, Ordering::SeqCst)),
        CODE.swap(99, Ordering::SeqCst),
        FROM_ME.swap(0, Ordering::SeqCst)
    );
}
