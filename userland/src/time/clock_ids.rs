//! Each clock's number with each call that takes one: what there is, what can be set, slept on, and have
//! timers. (Clocks 8 and 9 depend on the machine's having an alarm clock.)
use crate::out::{line, say};
use crate::sys::{Errno, Plain, child, event, process, time::{self, spec}};
use std::ffi::CStr;

fn word<T>(result: Result<T, Errno>) -> String {
    result.map_or_else(|errno| errno.to_string(), |_| "ok".to_owned())
}

/// A clock of processor time of a process (or thread) by its number: 0 both, 1 user, 2 precisely.
const fn cpu(pid: i32, thread: bool, kind: i32) -> i32 {
    (!pid) << 3 | if thread { 4 } else { 0 } | kind
}

fn probe(name: &str, clock: i32) {
    let mut out = libc::timespec::zeroed();
    let mut words = vec![
        word(time::clock_gettime(clock, &mut out)),
        word(time::clock_getres(clock, Some(&mut out))),
        word(time::clock_settime(clock, &spec(5, 1_000_000_000))),
        word(time::clock_nanosleep(clock, 0, &spec(0, -1), None)),
        word(time::clock_nanosleep(clock, libc::TIMER_ABSTIME, &spec(0, 0), None)),
    ];
    let mut id = 0;
    let timer = time::timer_create(clock, None, &mut id);
    words.push(word(timer));
    if timer.is_ok() {
        words.push(word(time::timer_delete(id)));
    }
    words.push(word(event::timerfd_create(clock, 0)));
    line(&format!("{name}: {}", words.join(" ")));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for clock in (0..=13).filter(|id| *id != 8 && *id != 9).chain([i32::MAX]) {
        probe(&format!("clock {clock}"), clock);
    }
    let me = process::getpid().unwrap_or(0) as i32;
    for kind in 0..4 {
        probe(&format!("own process {kind}"), cpu(0, false, kind));
        probe(&format!("own thread {kind}"), cpu(0, true, kind));
        probe(&format!("by number {kind}"), cpu(me, false, kind));
        probe(&format!("thread by number {kind}"), cpu(me, true, kind));
    }
    let pid = child::start(|| time::sleep_ms(20_000).map_or(1, |_| 0));
    probe("another process", cpu(pid, false, 2));
    probe("another's thread", cpu(pid, true, 2));
    let _ = crate::sys::signal::kill(pid, libc::SIGKILL);
    say!("{}", child::end_of(pid));
    probe("nobody", cpu(pid, false, 2));
    0
}
