//! SIGCHLD for stops and continues, unless SA_NOCLDSTOP (sigaction(2)).
use crate::out::say;
use crate::sys::{child, process, signal};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static COUNT: AtomicI32 = AtomicI32::new(0);
static CODES: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_child(_: i32, info: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, SeqCst);
    CODES.store(CODES.load(SeqCst) * 10 + info.si_code, SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, flags) in [("told", 0), ("SA_NOCLDSTOP", libc::SA_NOCLDSTOP)] {
        COUNT.store(0, SeqCst);
        CODES.store(0, SeqCst);
        let _ = signal::handle(libc::SIGCHLD, on_child, flags | libc::SA_RESTART, 0);
        let pid = child::start(|| {
            let _ = signal::raise(libc::SIGSTOP);
            loop {
                let _ = signal::pause();
            }
        });
        let _ = process::wait4(pid, None, libc::WUNTRACED, None);
        let _ = signal::kill(pid, libc::SIGCONT);
        let _ = process::wait4(pid, None, libc::WCONTINUED, None);
        // The news of going on may still be under way.
        while flags == 0 && COUNT.load(SeqCst) < 2 {
            let _ = process::sched_yield();
        }
        let _ = signal::kill(pid, libc::SIGKILL);
        let end = child::end_of(pid);
        say!("{label}: {} signals, codes {}, {end}", COUNT.load(SeqCst), CODES.load(SeqCst));
    }
    0
}
