//! Two threads that change places all the time, at the same moment: each arrives where it goes.
use crate::out::say;
use crate::sys::sched::{getcpu, sched_getaffinity, sched_setaffinity};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Room for more CPUs than the host has.
type Set = [u64; 128];
const MOVES: usize = 400;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut all: Set = [0; 128];
    if sched_getaffinity(0, size_of::<Set>(), &mut all).is_err() {
        return 1;
    }
    let cpus: Vec<usize> = (0..128 * 64).filter(|cpu| all[cpu / 64] >> (cpu % 64) & 1 != 0).collect();
    let ready = AtomicUsize::new(0);
    let arrived: usize = std::thread::scope(|scope| {
        let walk = |first: usize| {
            let way = cpus.iter().cycle().skip(first).take(MOVES);
            way.enumerate().filter(|(round, cpu)| goes_to(**cpu, &ready, 2 * round)).count()
        };
        let walkers = [0, 1].map(|first| scope.spawn(move || walk(first)));
        walkers.into_iter().map(|walker| walker.join().unwrap_or(0)).sum()
    });
    say!("arrived: {arrived} of {}", 2 * MOVES);
    0
}

/// Goes as soon as both are `ready`.
fn goes_to(cpu: usize, ready: &AtomicUsize, before: usize) -> bool {
    let mut set: Set = [0; 128];
    set[cpu / 64] = 1 << (cpu % 64);
    ready.fetch_add(1, SeqCst);
    while ready.load(SeqCst) < before + 2 {
        std::thread::yield_now();
    }
    let mut here = 0;
    sched_setaffinity(0, size_of::<Set>(), &set).is_ok() && getcpu(&mut here, None, 0).is_ok() && here as usize == cpu
}
