//! A hog of real time leaves the rest a little (sched(7), `sched_rt_runtime_us`): 50 ms of every second.
use crate::out::{say, show};
use crate::sys::sched::{sched_setaffinity, sched_setscheduler};
use crate::sys::time::{monotonic, now};
use crate::sys::{child, file, signal};
use std::ffi::CStr;

const SECOND: i64 = 1_000_000_000;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut first = [0; 128];
    first[0] = 1;
    let _ = sched_setaffinity(0, size_of_val(&first), &first);
    shares("SCHED_FIFO", libc::SCHED_FIFO, 1, std::hint::spin_loop);
    shares("SCHED_RR", libc::SCHED_RR, 1, std::hint::spin_loop);
    // Most of their time is the kernel's, for switches.
    shares("two that yield", libc::SCHED_FIFO, 2, std::thread::yield_now);
    less_urgent();
    0
}

/// The rest is for those that share: one of real time that is less urgent doesn't run meanwhile.
fn less_urgent() {
    let ((told, tell), (go, let_go)) = (file::pipe(), file::pipe());
    let start = |priority, work: &dyn Fn()| {
        let child = child::start(|| {
            let _ = sched_setscheduler(0, libc::SCHED_FIFO, Some(&priority));
            let _ = file::write(tell, b"s");
            loop {
                work();
            }
        });
        let _ = file::read(told, &mut [0]);
        child
    };
    // It waits when the hog comes: one that is running may go on for a while after it has become less urgent.
    let late = start(1, &|| {
        let _ = file::read(go, &mut [0]);
        let _ = file::write(tell, b"r");
    });
    let hog = start(50, &std::hint::spin_loop);
    let _ = file::write(let_go, b"g");
    let begin = monotonic();
    while monotonic() < begin + 5 * SECOND / 2 {}
    let mut ran = [libc::pollfd { fd: told, events: libc::POLLIN, revents: 0 }];
    show("one less urgent has run", file::poll(&mut ran, 0));
    for child in [hog, late] {
        let _ = signal::kill(child, libc::SIGKILL);
        say!("{}", child::end_of(child));
    }
}

fn shares(name: &str, policy: i32, count: usize, work: fn()) {
    let hog = |_| {
        let (rx, tx) = file::pipe();
        let hog = child::start(|| {
            let set = sched_setscheduler(0, policy, Some(&50)).is_ok();
            let _ = file::write(tx, &[u8::from(set)]);
            loop {
                work();
            }
        });
        let mut set = [0];
        let _ = file::read(rx, &mut set);
        say!("{name}: set {}", set[0]);
        hog
    };
    let hogs: Vec<_> = (0..count).map(hog).collect();
    // Where this machine is itself one of many, what others take of its time may count as used here: the least of a few
    // spells tells.
    let spell = |_| {
        let (start, used) = (monotonic(), now(libc::CLOCK_PROCESS_CPUTIME_ID));
        while monotonic() < start + 3 * SECOND / 2 {}
        let used = now(libc::CLOCK_PROCESS_CPUTIME_ID) - used;
        used * 2 < monotonic() - start
    };
    say!("{name}: the rest goes on: true, as the lesser part: {}", (0..5).any(spell));
    for hog in hogs {
        let _ = signal::kill(hog, libc::SIGKILL);
        say!("{name}: {}", child::end_of(hog));
    }
}
