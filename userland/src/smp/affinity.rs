//! sched_setaffinity(2): a thread runs where it may, at once, and its threads and children too.
use crate::out::{say, show};
use crate::sys::sched::{getcpu, sched_getaffinity, sched_setaffinity};
use crate::sys::child;
use std::ffi::CStr;

/// Room for more CPUs than the host has.
pub(super) type Set = [u64; 128];

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let cpus = allowed();
    if cpus.is_empty() {
        return 1;
    }
    let all = set_of(&cpus);
    let kept = cpus.iter().all(|cpu| {
        let there = pin(*cpu) && (0..100).all(|_| here() == *cpu);
        let thread = std::thread::spawn(here).join().ok();
        there && thread == Some(*cpu) && child::run(|| i32::from(here() != *cpu)) == "exited 0"
    });
    say!("each thread where it was put: {kept}");
    let mut set: Set = [0; 128];
    show("no CPU", sched_setaffinity(0, size_of::<Set>(), &set));
    set[127] = 1 << 63;
    show("no such CPU", sched_setaffinity(0, size_of::<Set>(), &set));
    show("an empty set", sched_setaffinity(0, 0, &all));
    show("no such process", sched_setaffinity(0x3fff_fff0, size_of::<Set>(), &all));
    show("no such process", sched_getaffinity(0x3fff_fff0, size_of::<Set>(), &mut set));
    show("half a word", sched_getaffinity(0, 4, &mut set));
    show("a word and a half", sched_getaffinity(0, 12, &mut set));
    show("back", sched_setaffinity(0, size_of::<Set>(), &all));
    0
}

/// The CPUs the caller may run on.
pub(super) fn allowed() -> Vec<usize> {
    let mut all: Set = [0; 128];
    let _ = sched_getaffinity(0, size_of::<Set>(), &mut all);
    (0..128 * 64).filter(|cpu| all[cpu / 64] >> (cpu % 64) & 1 != 0).collect()
}

/// These CPUs.
pub(super) fn set_of(cpus: &[usize]) -> Set {
    let mut set: Set = [0; 128];
    cpus.iter().for_each(|cpu| set[cpu / 64] |= 1 << (cpu % 64));
    set
}

fn pin(cpu: usize) -> bool {
    sched_setaffinity(0, size_of::<Set>(), &set_of(&[cpu])).is_ok()
}

fn here() -> usize {
    let mut cpu = 0;
    let _ = getcpu(&mut cpu, None, 0);
    cpu as usize
}
