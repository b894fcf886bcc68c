//! Calls that a handler always ends with EINTR, SA_RESTART or not: pause, sigsuspend, poll,
//! select, nanosleep, sigtimedwait (signal(7)); an ignored signal ends none.
use crate::out::say;
use crate::sys::{Plain, Res, child, file, process, signal, time};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, _tx) = file::pipe();
    let second = time::spec(5, 0);
    for flags in [0, libc::SA_RESTART] {
        let _ = signal::handle(libc::SIGUSR1, on_signal, flags, 0);
        disturbed("pause", signal::pause);
        disturbed("sigsuspend", || signal::rt_sigsuspend(&0, signal::SET));
        disturbed("poll", || {
            file::poll(&mut [libc::pollfd { fd: rx, events: libc::POLLIN, revents: 0 }], 5000)
        });
        disturbed("select", || {
            let mut wait = libc::timeval { tv_sec: 5, tv_usec: 0 };
            file::select(0, None, None, None, Some(&mut wait))
        });
        disturbed("nanosleep", || time::nanosleep(&second, None));
        disturbed("clock_nanosleep", || {
            time::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &second, None)
        });
        disturbed("sigtimedwait", || {
            let set = signal::bit(libc::SIGHUP);
            signal::rt_sigtimedwait(&set, None, Some(&second), signal::SET)
        });
    }
    let _ = signal::set(libc::SIGUSR1, signal::SIG_IGN);
    disturbed("ignored: nanosleep", || time::nanosleep(&time::spec(0, 40_000_000), None));
    disturbed("ignored: poll", || file::poll(&mut [], 40));
    let _ = libc::timespec::zeroed();
    0
}

fn disturbed(label: &str, call: impl FnOnce() -> Res) {
    let me = process::getpid().unwrap_or(0) as i32;
    // Again and again: on a busy machine the first may come before the call has begun.
    let pid = child::start(|| {
        loop {
            let _ = time::sleep_ms(15);
            if signal::kill(me, libc::SIGUSR1).is_err() {
                return 0;
            }
        }
    });
    let start = time::monotonic();
    let result = call();
    let early = time::monotonic() - start < 3_000_000_000;
    let _ = signal::kill(pid, libc::SIGKILL);
    crate::out::show(label, result);
    if !early {
        say!("{label}: too late");
    }
    let _ = child::wait(pid);
}
