//! setitimer(2): ITIMER_REAL repeats; ITIMER_VIRTUAL and ITIMER_PROF count CPU time; errors.
use crate::out::{say, show};
use crate::sys::{Plain, signal, time};
use libc::{ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {
    COUNT.fetch_add(1, SeqCst);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (which, sig) in [(ITIMER_REAL, libc::SIGALRM), (ITIMER_VIRTUAL, libc::SIGVTALRM), (ITIMER_PROF, libc::SIGPROF)] {
        COUNT.store(0, SeqCst);
        let _ = signal::handle(sig, on_signal, 0, 0);
        let start = time::monotonic();
        show("set", signal::setitimer(which, &timer(8_000), None));
        while COUNT.load(SeqCst) < 4 {
            std::hint::spin_loop();
        }
        let spent = time::monotonic() - start;
        let mut old = libc::itimerval::zeroed();
        show("off", signal::setitimer(which, &libc::itimerval::zeroed(), Some(&mut old)));
        say!("{}: not early {}", signal::name(sig), spent >= 28_000_000);
        say!("interval was {} {}", old.it_interval.tv_sec, old.it_interval.tv_usec);
    }
    for which in [ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF] {
        let mut off = timer(10_000);
        off.it_value.tv_usec = 0;
        show("a period alone", signal::setitimer(which, &off, None));
        let mut old = libc::itimerval::zeroed();
        show("off", signal::setitimer(which, &libc::itimerval::zeroed(), Some(&mut old)));
        // The clock of a processor's time may be coarse.
        say!("kept {}", old.it_interval.tv_usec >= 10_000);
    }
    show("bad which", signal::setitimer(3, &timer(1), None));
    show("bad value", signal::setitimer(ITIMER_REAL, &timer(1_000_000), None));
    show("negative", signal::setitimer(ITIMER_REAL, &timer(-1), None));
    0
}

fn timer(micros: i64) -> libc::itimerval {
    let value = libc::timeval { tv_sec: 0, tv_usec: micros };
    libc::itimerval { it_interval: value, it_value: value }
}
