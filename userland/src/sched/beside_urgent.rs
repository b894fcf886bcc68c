//! Who shares a CPU with a hog of real time has more than the moments that this leaves when another CPU runs only those
//! that share (sched(7) leaves it open; Linux weighs what real time leaves of each CPU).
use crate::out::say;
use crate::sys::sched::{sched_setaffinity, sched_setscheduler};
use crate::sys::time::now;
use crate::sys::{child, signal};
use std::ffi::CStr;
use std::time::Duration;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    run_on(&[0, 1]);
    let sharers = [(); 2].map(|()| spin(|| ()));
    let hog = spin(|| {
        run_on(&[0]);
        let _ = sched_setscheduler(0, libc::SCHED_FIFO, Some(&50));
    });
    // Others may run on this machine, too: one spell of several tells.
    let spell = |_| {
        let used = || sharers.map(|pid| now(clock_of(pid)));
        let before = used();
        std::thread::sleep(Duration::from_millis(1500));
        let after = used();
        let [one, other] = [0, 1].map(|which: usize| after[which] - before[which]);
        one.min(other) * 3 > one.max(other)
    };
    say!("both have their share: {}", (0..6).any(spell));
    for pid in sharers.into_iter().chain([hog]) {
        let _ = signal::kill(pid, libc::SIGKILL);
        say!("{}", child::end_of(pid));
    }
    0
}

fn spin(first: impl Fn()) -> i32 {
    child::start(|| {
        first();
        loop {
            std::hint::spin_loop();
        }
    })
}

fn run_on(cpus: &[usize]) {
    let mut mask = [0; 128];
    mask[0] = cpus.iter().fold(0, |mask, cpu| mask | 1 << cpu);
    let _ = sched_setaffinity(0, size_of_val(&mask), &mask);
}

/// A process's clock of processor time (clock_getcpuclockid(3)).
fn clock_of(pid: i32) -> i32 {
    (!pid << 3) | 2
}
