//! timer_create(2), timerfd_create(2) and clock_nanosleep(2) on every clock that has them, for a time and
//! until one: never early, and told what is left.
use crate::out::{say, show, show_ok};
use crate::sys::{child, event, file, signal, time::{self, now}};
use std::ffi::CStr;

const SIGNAL: i32 = libc::SIGUSR2;

fn spec(ns: i64) -> libc::timespec {
    time::spec(ns / 1_000_000_000, ns % 1_000_000_000)
}

/// Waits for the timer's signal with the clock's time going on meanwhile.
fn fires(clock: i32) -> bool {
    let until = time::monotonic() + 20_000_000_000;
    while time::monotonic() < until {
        let busy = clock == libc::CLOCK_PROCESS_CPUTIME_ID || clock == libc::CLOCK_THREAD_CPUTIME_ID;
        let wait = if busy { 0 } else { 50_000_000 };
        if signal::rt_sigtimedwait(&signal::bit(SIGNAL), None, Some(&spec(wait)), 8) == Ok(SIGNAL as usize) {
            return true;
        }
    }
    false
}

fn posix(clock: i32) {
    let mut event = [0u64; 8];
    event[1] = SIGNAL as u64;
    let mut id = 0;
    show_ok("timer", time::timer_create(clock, Some(&event), &mut id));
    show("for 100 s", time::timer_settime(id, 0, &[3, 0, 100, 0], None));
    let mut left = [7; 4];
    show("left", time::timer_gettime(id, &mut left));
    say!("{} {} {}", left[0], left[1], (10..=100).contains(&left[2]));
    let start = now(clock);
    show("for 5 ms", time::timer_settime(id, 0, &[0, 0, 0, 5_000_000], Some(&mut left)));
    say!("before: {} {}", left[0], (10..=100).contains(&left[2]));
    say!("came {} not early {}", fires(clock), now(clock) - start >= 5_000_000);
    let target = now(clock) + 5_000_000;
    let at = [0, 0, target / 1_000_000_000, target % 1_000_000_000];
    show("until", time::timer_settime(id, libc::TIMER_ABSTIME, &at, None));
    say!("came {} not early {}", fires(clock), now(clock) >= target);
    show("in the past", time::timer_settime(id, libc::TIMER_ABSTIME, &[0, 0, 0, 1], None));
    say!("came {}", fires(clock));
    show("a period alone", time::timer_settime(id, 0, &[3, 0, 0, 0], None));
    show("left", time::timer_gettime(id, &mut left));
    say!("{left:?}");
    show("delete", time::timer_delete(id));
    quiet(clock);
}

/// A timer that tells nobody has nothing left when it is over.
fn quiet(clock: i32) {
    let mut event = [0u64; 8];
    event[1] = (libc::SIGEV_NONE as u64) << 32;
    let (mut id, mut left) = (0, [7; 4]);
    show_ok("quiet", time::timer_create(clock, Some(&event), &mut id));
    show("for 1 ms", time::timer_settime(id, 0, &[0, 0, 0, 1_000_000], None));
    let start = now(clock);
    while now(clock) - start < 3_000_000 {}
    show("left", time::timer_gettime(id, &mut left));
    say!("{left:?}");
    show("delete", time::timer_delete(id));
}

fn descriptor(clock: i32) {
    let Ok(fd) = event::timerfd_create(clock, 0) else {
        return say!("no timerfd");
    };
    let fd = fd as i32;
    let mut bytes = [0; 8];
    let start = now(clock);
    show("timerfd", event::timerfd_settime(fd, 0, Some(&[0, 0, 0, 5_000_000]), None));
    let read = file::read(fd, &mut bytes);
    say!("{read:?} not early {}", now(clock) - start >= 5_000_000);
    let target = now(clock) + 5_000_000;
    let at = [0, 0, target / 1_000_000_000, target % 1_000_000_000];
    show("until", event::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, Some(&at), None));
    let read = file::read(fd, &mut bytes);
    say!("{read:?} not early {}", now(clock) >= target);
    let _ = file::close(fd);
}

fn sleep(clock: i32) {
    let start = now(clock);
    show("sleep", time::clock_nanosleep(clock, 0, &spec(5_000_000), None));
    say!("not early {}", now(clock) - start >= 5_000_000);
    let target = now(clock) + 5_000_000;
    show("sleep until", time::clock_nanosleep(clock, libc::TIMER_ABSTIME, &spec(target), None));
    say!("not early {}", now(clock) >= target);
    show("until the past", time::clock_nanosleep(clock, libc::TIMER_ABSTIME, &spec(1), None));
}

/// A signal that is blocked is kept although nothing will come of it, and the periods missed meanwhile are told; then
/// the timer goes on, and nobody hears of it.
fn ignored(name: &str, number: i32) {
    let _ = signal::block(signal::bit(number));
    let mut event = [0u64; 8];
    event[1] = number as u64;
    let mut id = 0;
    show_ok(name, time::timer_create(libc::CLOCK_MONOTONIC, Some(&event), &mut id));
    show("every 100 ns", time::timer_settime(id, 0, &[0, 100, 0, 1_000_000], None));
    let _ = time::sleep_ms(20);
    let _ = signal::unblock(signal::bit(number));
    say!("many missed: {}", time::timer_getoverrun(id).is_ok_and(|missed| missed > 100_000));
    let mut left = [0; 4];
    show("left", time::timer_gettime(id, &mut left));
    say!("goes on: {}", left[3] > 0);
    show("delete", time::timer_delete(id));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    ignored("SIGCONT", libc::SIGCONT);
    ignored("SIGURG", libc::SIGURG);
    let _ = signal::block(signal::bit(SIGNAL));
    for (name, clock) in [
        ("REALTIME", libc::CLOCK_REALTIME), ("MONOTONIC", libc::CLOCK_MONOTONIC),
        ("BOOTTIME", libc::CLOCK_BOOTTIME), ("TAI", libc::CLOCK_TAI),
    ] {
        say!("{name}");
        posix(clock);
        descriptor(clock);
        sleep(clock);
    }
    say!("PROCESS_CPUTIME");
    posix(libc::CLOCK_PROCESS_CPUTIME_ID);
    say!("THREAD_CPUTIME");
    posix(libc::CLOCK_THREAD_CPUTIME_ID);
    say!("{}", child::run(|| {
        // A child has none of its parent's timers.
        let mut left = [0; 4];
        show("parent's timer", time::timer_gettime(0, &mut left));
        0
    }));
    0
}
