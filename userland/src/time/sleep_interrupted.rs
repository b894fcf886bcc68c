//! A sleep broken by a handler is EINTR and tells what was left; an absolute one doesn't; SA_RESTART
//! changes nothing; a stop and continue doesn't break it (nanosleep(2), signal(7)).
use crate::out::{say, show};
use crate::sys::{child, process, signal, time};
use std::ffi::CStr;

extern "C" fn on_signal(_: i32, _: &mut libc::siginfo_t, _: &mut libc::ucontext_t) {}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _ = signal::handle(libc::SIGUSR1, on_signal, libc::SA_RESTART, 0);
    let me = process::getpid().unwrap_or(0) as i32;
    let disturb = |after: i64| {
        child::start(|| {
            let _ = time::sleep_ms(after);
            let _ = signal::kill(me, libc::SIGUSR1);
            0
        })
    };
    let untouched = time::spec(7, 7);
    let mut rest = untouched;
    let pid = disturb(20);
    show("relative", time::nanosleep(&time::spec(10, 0), Some(&mut rest)));
    say!("left a little less: {}", rest.tv_sec == 9 && rest.tv_nsec > 0);
    let _ = child::wait(pid);
    let start = time::monotonic();
    let mut request = time::spec(0, 60_000_000);
    let pid = disturb(20);
    let mut rounds = 0;
    while time::nanosleep(&request, Some(&mut rest)).is_err() {
        request = rest;
        rounds += 1;
    }
    say!("gone on with the rest: rounds {rounds}, not early {}", time::monotonic() - start >= 60_000_000);
    let _ = child::wait(pid);
    rest = untouched;
    let pid = disturb(20);
    let then = time::monotonic() + 10_000_000_000;
    let until = time::spec(then / 1_000_000_000, then % 1_000_000_000);
    show("absolute", time::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &until, Some(&mut rest)));
    say!("rest untouched: {}", (rest.tv_sec, rest.tv_nsec) == (7, 7));
    let _ = child::wait(pid);
    let pid = disturb(20);
    show("null rest", time::nanosleep(&time::spec(10, 0), None));
    let _ = child::wait(pid);
    0
}
