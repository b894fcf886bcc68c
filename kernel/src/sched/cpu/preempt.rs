//! When the running thread makes way for another: its time is over, one that comes before it woke, or it says so
//! itself.

use core::sync::atomic::Ordering;

use super::switch::schedule;
use super::{Leave, current, this, this_id};
use crate::arch::{self, time};
use crate::sched::thread::Kind;
use crate::sched::{balance, budget};

/// Lets another thread run if it is its turn. Cheap when nothing asks for it.
#[inline]
pub(crate) fn resched() {
    if arch::cpu::this_cpu().need_resched() {
        resched_now();
    }
}

#[inline(never)]
fn resched_now() {
    if !arch::cpu::this_cpu().take_need_resched() {
        return;
    }
    let cpu = this();
    let cycles = time::cycles();
    let now = time::ns_at(cycles);
    let thread = current();
    thread.advance(cycles);
    cpu.run_timers(now);
    budget::look(&thread, cpu, now);
    if !thread.may_run_on(this_id()) {
        drop(thread);
        return schedule(Leave::Yield);
    }
    let preempt = cpu.preempt.swap(false, Ordering::Relaxed);
    let running = thread.rank();
    cpu.running.store(running.to_word(), Ordering::Relaxed);
    let Some(first) = cpu.first() else {
        if let Some(at) = budget::tick(&thread, now, false) {
            cpu.arm(at);
        }
        return;
    };
    let rounds = thread.round_is_over(now) && first <= running;
    let weight = thread.weight.load(Ordering::Relaxed);
    let over = running.makes_way_for(first, weight);
    if preempt || over || rounds {
        thread.times.involuntary.fetch_add(1, Ordering::Relaxed);
        drop(thread);
        let urgent = first < running && running.is_real_time();
        schedule(if urgent {
            Leave::Preempted
        } else {
            Leave::Yield
        });
    } else {
        balance::relieve(cpu);
        if let Some(at) = budget::tick(&thread, now, true) {
            cpu.arm(at);
        }
    }
}

/// Lets every other runnable thread run first.
pub(crate) fn yield_now() {
    let cpu = this();
    let thread = current();
    if thread.kind() == Kind::Deadline {
        return budget::give_up(&thread);
    }
    if let Some(first) = cpu.first() {
        if !first.is_real_time() {
            thread
                .virtual_time
                .fetch_max(first.time(), Ordering::Relaxed);
        }
        thread.times.voluntary.fetch_add(1, Ordering::Relaxed);
        drop(thread);
        schedule(Leave::Yield);
    } else {
        drop(thread);
        resched();
    }
}
