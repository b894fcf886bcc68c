//! `SCHED_DEADLINE` (sched(7), sched_setattr(2)): what may be reserved, what is told of it, and what it
//! forbids.
use crate::out::{say, show};
use crate::sys::sched::{
    sched_getattr, sched_getparam, sched_getscheduler, sched_setaffinity, sched_setattr, sched_setscheduler,
};
use crate::sys::{Res, child, process, signal};
use std::ffi::CStr;

const DEADLINE: u32 = 6;
const MS: u64 = 1_000_000;
const RESET_ON_FORK: u32 = 1;
const KEEP: u32 = 0x18;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(reservations));
    say!("{}", child::run(what_it_forbids));
    say!("{}", child::run(in_turn));
    0
}

/// Asks for a run time, a deadline and a period, with flags, and says what is so now.
fn ask(label: &str, policy: u32, flags: u32, times: [u64; 3]) {
    show(label, set(policy, flags, 0, 0, times));
    let mut attr = [u32::MAX; 14];
    show("now", sched_getattr(0, &mut attr, 56, 0));
    if attr[1] == DEADLINE {
        say!("{attr:?}");
    } else {
        say!("policy {} flags {} nice {} priority {}", attr[1], attr[2], attr[4], attr[5]);
    }
}

fn set(policy: u32, flags: u32, nice: u32, priority: u32, times: [u64; 3]) -> Res {
    let mut attr = [0u32; 14];
    attr[..6].copy_from_slice(&[56, policy, flags, 0, nice, priority]);
    for (pair, time) in attr[6..].chunks_exact_mut(2).zip(times) {
        pair.copy_from_slice(&[time as u32, (time >> 32) as u32]);
    }
    sched_setattr(0, &attr, 0)
}

fn reservations() -> i32 {
    // On a busy machine the run time may be used up while its overrun is to be told.
    let _ = signal::set(libc::SIGXCPU, signal::SIG_IGN);
    ask("the deadline is the period", DEADLINE, 0, [10 * MS, 30 * MS, 0]);
    ask("an earlier one", DEADLINE, 0, [10 * MS, 20 * MS, 30 * MS]);
    ask("kept", DEADLINE, KEEP, [0; 3]);
    ask("nothing", DEADLINE, 0, [0; 3]);
    ask("more than the deadline", DEADLINE, 0, [40 * MS, 30 * MS, 40 * MS]);
    ask("a deadline behind the period", DEADLINE, 0, [10 * MS, 40 * MS, 30 * MS]);
    ask("too little", DEADLINE, 0, [1000, 30 * MS, 30 * MS]);
    ask("too often", DEADLINE, 0, [10_000, 50_000, 50_000]);
    ask("too seldom", DEADLINE, 0, [10_000 * MS, 50_000 * MS, 50_000 * MS]);
    ask("without end", DEADLINE, 0, [10 * MS, 1 << 63, 0]);
    ask("flags", DEADLINE, 7, [10 * MS, 30 * MS, 30 * MS]);
    show("a priority", set(DEADLINE, 0, 0, 1, [10 * MS, 30 * MS, 30 * MS]));
    show("a nice value", set(DEADLINE, 0, 7, 0, [10 * MS, 30 * MS, 30 * MS]));
    show("another way", sched_setscheduler(0, DEADLINE as i32, Some(&0)));
    ask("fifo of no priority", 1, 0, [0; 3]);
    ask("batch", 3, 4, [0; 3]);
    show("kept priority", set(1, 0, 0, 5, [0; 3]));
    ask("kept policy", 0, 8, [0; 3]);
    ask("kept both", 0, KEEP, [0; 3]);
    0
}

fn what_it_forbids() -> i32 {
    ask("reserved", DEADLINE, 0, [10 * MS, 30 * MS, 30 * MS]);
    let mut priority = 9;
    show("is", sched_getscheduler(0));
    show("at", sched_getparam(0, Some(&mut priority)));
    say!("{priority}");
    show("a child", process::fork());
    let mut set_of_cpus = [0; 128];
    set_of_cpus[0] = 1 << 63;
    show("no CPU", sched_setaffinity(0, size_of_val(&set_of_cpus), &set_of_cpus));
    ask("not for children", DEADLINE, RESET_ON_FORK, [10 * MS, 30 * MS, 30 * MS]);
    say!("{}", child::run(|| {
        show("a child's", sched_getscheduler(0));
        0
    }));
    show("user", process::setuid(1234));
    show("again", set(DEADLINE, 0, 0, 0, [10 * MS, 30 * MS, 30 * MS]));
    show("none", set(0, RESET_ON_FORK, 0, 0, [0; 3]));
    show("again", set(DEADLINE, 0, 0, 0, [10 * MS, 30 * MS, 30 * MS]));
    0
}

/// A hog with a reservation, 5 ms of every 50, doesn't have the CPU for itself; how little it gets isn't
/// told exactly where the machine itself is stopped now and then.
fn in_turn() -> i32 {
    use crate::sys::time::{monotonic, now};
    show("reserved", set(DEADLINE, 0, 0, 0, [5 * MS, 50 * MS, 50 * MS]));
    let (start, used) = (monotonic(), now(libc::CLOCK_THREAD_CPUTIME_ID));
    while monotonic() < start + 400_000_000 {}
    let (wall, used) = (monotonic() - start, now(libc::CLOCK_THREAD_CPUTIME_ID) - used);
    say!("had no more than it may: {}", used * 4 < wall * 3);
    0
}
