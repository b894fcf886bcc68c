//! Which CPU a thread goes to.
//!
//! A thread that wakes goes to an idle CPU, the one it ran on last if that is idle, else to the one it
//! ran on last. A CPU with nothing to do takes a thread from the one where most are waiting. One whose
//! timer comes while others have at least two threads less gives one away. So as long as there are
//! more runnable threads than CPUs all are busy, and no CPU has two threads more than another for
//! longer than a slice; one that runs a thread of real time is worth one more.
//!
//! Threads that come before all that share are never kept waiting while a CPU runs something less urgent
//! that they may have: one that must make way goes there, and a CPU that changes threads looks for them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use super::cpu::{self, Cpu, Place, this_id};
use super::thread::Thread;
use crate::arch::{self, ipi, smp, time};

/// CPUs with nothing to do: a bit for each. Whoever sends a thread to one clears its bit, so that the
/// next goes elsewhere.
static IDLE: AtomicU64 = AtomicU64::new(0);

/// This CPU has nothing to do.
pub(super) fn enter_idle() {
    if smp::count() > 1 {
        IDLE.fetch_or(1 << this_id(), Ordering::SeqCst);
    }
}

/// It has.
pub(super) fn leave_idle() {
    if smp::count() > 1 {
        IDLE.fetch_and(!(1 << this_id()), Ordering::SeqCst);
    }
}

/// An idle CPU among those of `mask`, for the caller alone.
fn claim(mask: u64) -> Option<u32> {
    loop {
        let idle = IDLE.load(Ordering::Relaxed) & mask;
        if idle == 0 {
            return None;
        }
        let id = idle.trailing_zeros();
        if IDLE.fetch_and(!(1 << id), Ordering::AcqRel) >> id & 1 != 0 {
            return Some(id);
        }
    }
}

/// Makes a CPU look at its queue soon.
pub(super) fn kick(id: u32) {
    if let Some(block) = arch::cpu::block(id) {
        ipi::kick(block);
    }
}

/// Makes a CPU's thread look at its notices.
pub(super) fn prod(id: u32) {
    if let Some(block) = arch::cpu::block(id) {
        ipi::prod(block);
    }
}

/// The CPU for a thread that has just woken.
pub(super) fn place(thread: &Thread) -> u32 {
    let last = thread.cpu.load(Ordering::Relaxed);
    // Its stack may still be in use there, be it for idling.
    if smp::count() == 1 || thread.on_cpu.load(Ordering::SeqCst) {
        return last;
    }
    let allowed = thread.allowed();
    if let Some(id) = claim(allowed & 1 << last).or_else(|| claim(allowed)) {
        return id;
    }
    let stays = thread.may_run_on(last)
        && cpu::cpu(last).is_some_and(|cpu| !cpu.running_rank().is_real_time());
    if stays && !thread.is_new() {
        return last;
    }
    least_loaded(allowed, last).unwrap_or(last)
}

/// The CPU for a thread that may not stay on this one.
pub(super) fn another(thread: &Thread) -> u32 {
    let allowed = thread.allowed() & !(1 << this_id());
    claim(allowed)
        .or_else(|| least_loaded(allowed, this_id()))
        .unwrap_or_else(|| allowed.trailing_zeros().min(smp::count() - 1))
}

/// Of the CPUs in `mask` the one that runs the least urgent; of several, the one with the least to do, `last` if that is one of them.
fn least_loaded(mask: u64, last: u32) -> Option<u32> {
    let candidates = cpu::all().filter(|(id, _)| mask >> id & 1 != 0);
    // Nothing is gained by waiting behind a priority of 99 instead of 1.
    let urgency = |cpu: &Cpu| {
        let priority = cpu.running_rank().kernel_priority();
        priority.map_or(0, |priority| 100 - priority)
    };
    let least = candidates.min_by_key(|(id, cpu)| (urgency(cpu), cpu.load(), *id != last));
    least.map(|(id, _)| id)
}

/// A thread from the CPU where most are waiting, for this one.
pub(super) fn steal() -> Option<Arc<Thread>> {
    if smp::count() == 1 {
        return None;
    }
    let id = this_id();
    // One try at each: what isn't free now, its CPU gives away at its next tick.
    let mut tried = 1 << id;
    loop {
        let others = cpu::all().filter(|(other, cpu)| tried >> other & 1 == 0 && cpu.waiting() > 0);
        let (busiest, cpu) = others.max_by_key(|(_, cpu)| cpu.waiting())?;
        if let Some(thread) = cpu.give_to(id) {
            cpu::adopt(id, &thread);
            return Some(thread);
        }
        tried |= 1 << busiest;
    }
}

/// A CPU that runs something less urgent than `thread`, which must leave this one, and that it may have.
pub(super) fn less_urgent(thread: &Thread) -> Option<(u32, &'static Cpu)> {
    if smp::count() == 1 {
        return None;
    }
    let (rank, allowed) = (thread.rank(), thread.allowed() & !(1 << this_id()));
    let others = cpu::all().filter(|(id, _)| allowed >> id & 1 != 0);
    let least = others.max_by_key(|(_, cpu)| (cpu.is_idling(), cpu.running_rank()));
    least.filter(|(_, cpu)| cpu.is_idling() || rank.preempts(cpu.running_rank()))
}

/// Takes a thread over that waits elsewhere and is more urgent than what waits here.
pub(super) fn pull_urgent(cpu: &Cpu) {
    if smp::count() == 1 {
        return;
    }
    let id = this_id();
    for (_, from) in cpu::all().filter(|(other, _)| *other != id) {
        let Some(urgent) = from.waiting_urgent() else {
            continue;
        };
        if cpu.first().is_none_or(|first| urgent < first)
            && let Some(thread) = from.give_to(id)
        {
            cpu.push(id, thread, Place::Kept, time::now_ns());
        }
    }
}

/// What a CPU has to do, for who waits there: one of real time that runs leaves little to others, so it counts twice.
fn burden(cpu: &Cpu) -> usize {
    let hogged = !cpu.is_idling() && cpu.running_rank().is_real_time();
    cpu.load() + usize::from(hogged)
}

/// Gives a waiting thread of this CPU's to one with two less that it may run on, if there is one.
pub(super) fn relieve(cpu: &Cpu) {
    if smp::count() == 1 {
        return;
    }
    let mut tried = 1 << this_id();
    loop {
        let others = cpu::all().filter(|(other, _)| tried >> other & 1 == 0);
        let least = others.min_by_key(|(_, other)| burden(other));
        let Some((id, least)) = least.filter(|(_, least)| burden(least) + 2 <= burden(cpu)) else {
            return;
        };
        if let Some(thread) = cpu.give_to(id) {
            return cpu::hand_over(id, least, thread);
        }
        tried |= 1 << id;
    }
}
