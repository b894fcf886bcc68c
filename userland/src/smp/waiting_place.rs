//! A thread of real time that wakes while every CPU runs others goes where its turn comes sooner: beside an equal,
//! not behind one more urgent (sched(7), "SCHED_FIFO").
use super::affinity::{Set, allowed, set_of};
use crate::out::say;
use crate::sys::sched::{sched_setaffinity, sched_setscheduler};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

static WOKEN: AtomicBool = AtomicBool::new(false);
static OVER: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let cpus = allowed();
    let (Some(first), Some(last)) = (cpus.first(), cpus.get(1).or(cpus.first())) else { return 1 };
    become_urgent(10, &set_of(&cpus));
    // Not each time on Linux, where the balancing of a moment may have moved the sleeper.
    let wakes = |own, other| (0..4).any(|_| wakes_on(own, other));
    say!("on the one: {}", wakes(*first, *last));
    say!("on the other: {}", wakes(*last, *first));
    0
}

/// A thread sleeps that ran on `own`, where an equal one gives way again and again, while one more urgent
/// has the `other`: whether it is there again in time.
fn wakes_on(own: usize, other: usize) -> bool {
    WOKEN.store(false, SeqCst);
    OVER.store(false, SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            become_urgent(1, &set_of(&[own]));
            become_urgent(1, &set_of(&[own, other]));
            std::thread::sleep(Duration::from_millis(200));
            WOKEN.store(true, SeqCst);
        });
        scope.spawn(move || {
            become_urgent(1, &set_of(&[own]));
            until_over(std::thread::yield_now);
        });
        if own != other {
            scope.spawn(move || {
                become_urgent(2, &set_of(&[other]));
                until_over(std::hint::spin_loop);
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        let in_time = WOKEN.load(SeqCst);
        OVER.store(true, SeqCst);
        in_time
    })
}

fn become_urgent(priority: i32, cpus: &Set) {
    let _ = sched_setaffinity(0, size_of::<Set>(), cpus);
    let _ = sched_setscheduler(0, libc::SCHED_FIFO, Some(&priority));
}

fn until_over(between: fn()) {
    while !OVER.load(SeqCst) {
        between();
    }
}
