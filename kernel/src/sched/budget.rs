//! What threads may have that come before all others: threads of real time together most of each CPU
//! ([`LIMIT`]), a thread of `SCHED_DEADLINE` what it has reserved ([`reserve`]).
//!
//! One that has had it is [held](hold) where it would enter user mode, so it never keeps a lock of the
//! kernel's meanwhile, and waits there for its next period. Threads of real time are held only when a
//! thread that shares waits for the CPU, then all that come there in the same period; who borrows their
//! priority is one of them.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::bandwidth::{Limit, Params, Reservation};

use super::cpu::{self, Cpu};
use super::thread::{Kind, NOTIFY_HELD, Thread};
use super::wait::Mode;
use super::{timer, wait::Wake};
use crate::arch::{smp, time};
use crate::sync::SpinLock;

/// What threads of real time may have of each CPU (`sched_rt_runtime_us`, `sched_rt_period_us`).
static LIMIT: SpinLock<Limit> = SpinLock::new(Limit::DEFAULT);
/// The parts of CPUs that are reserved, together.
static RESERVED: SpinLock<u64> = SpinLock::new(0);

/// It can't be reserved: there isn't as much left.
pub(crate) struct Overbooked;

/// What threads of real time may have of each CPU.
pub(crate) fn limit() -> Limit {
    *LIMIT.lock()
}

/// Changes that, unless more is reserved already.
pub(crate) fn set_limit(limit: Limit) -> Result<(), Overbooked> {
    let reserved = RESERVED.lock();
    if *reserved > all_of(limit) {
        return Err(Overbooked);
    }
    *LIMIT.lock() = limit;
    Ok(())
}

fn all_of(limit: Limit) -> u64 {
    limit.bandwidth().saturating_mul(smp::count().into())
}

/// Gives a thread's old reservation back and makes the new one; all zeroes are none.
pub(super) fn reserve(thread: &Thread, params: Params) -> Result<(), Overbooked> {
    let mut reserved = RESERVED.lock();
    let mut own = thread.reservation.lock();
    let others = reserved.saturating_sub(own.params().bandwidth());
    let all = others.saturating_add(params.bandwidth());
    if params.bandwidth() > 0 && all > all_of(limit()) {
        return Err(Overbooked);
    }
    *reserved = all;
    let mut new = Reservation::new(params);
    if params.runtime > 0 {
        new.wake(time::now_ns());
    }
    *own = new;
    thread.deadline.store(new.deadline(), Ordering::Relaxed);
    Ok(())
}

/// Gives back what an ending thread has reserved.
pub(super) fn release(thread: &Thread) {
    if thread.kind() == Kind::Deadline {
        // Nothing is never too much.
        let _ = reserve(thread, Params::default());
    }
}

/// A thread has run on its CPU.
pub(super) fn charge(thread: &Thread, ran: u64) {
    if !thread.is_real_time() {
        return;
    }
    if thread.kind() == Kind::Deadline {
        thread.reservation.lock().charge(ran);
    } else {
        let now = time::now_ns();
        cpu::this().throttle.lock().charge(limit(), now, ran);
    }
}

/// A thread with a deadline becomes runnable.
pub(super) fn wake(thread: &Thread, now: u64) {
    let mut own = thread.reservation.lock();
    own.wake(now);
    thread.deadline.store(own.deadline(), Ordering::Relaxed);
}

/// Looks whether the running thread has had what it may; then it is held before user mode.
pub(super) fn look(thread: &Thread, cpu: &Cpu, now: u64) {
    if let Some(until) = spent_until(thread, cpu, now) {
        hold_until(thread, until);
    }
}

/// Whether that can be said of a thread before it runs.
pub(super) fn is_spent(thread: &Thread, cpu: &Cpu, now: u64) -> bool {
    spent_until(thread, cpu, now).is_some()
}

fn spent_until(thread: &Thread, cpu: &Cpu, now: u64) -> Option<u64> {
    if !thread.is_real_time() {
        None
    } else if thread.kind() == Kind::Deadline {
        let until = thread.reservation.lock().spent_until();
        until.filter(|_| !thread.borrows())
    } else {
        throttled_until(cpu, now)
    }
}

/// Until when threads of real time are held on the CPU. Once one is, the less urgent are, too: the rest of the
/// period isn't theirs.
fn throttled_until(cpu: &Cpu, now: u64) -> Option<u64> {
    let mut throttle = cpu.throttle.lock();
    let until = throttle.spent_until(limit(), now)?;
    throttle
        .holds(|| cpu.queue.lock().has_fair())
        .then_some(until)
}

/// The running thread wants no more in its period.
pub(super) fn give_up(thread: &Thread) {
    let mut own = thread.reservation.lock();
    own.give_up();
    if let Some(until) = own.spent_until() {
        hold_until(thread, until);
    }
}

fn hold_until(thread: &Thread, until: u64) {
    thread.held.store(until, Ordering::Relaxed);
    thread.note(NOTIFY_HELD);
}

/// Before user mode: keeps a thread that has had what it may until its next period. Whether it is one
/// with a deadline that has overrun its time.
#[inline]
pub(crate) fn hold(thread: &Arc<Thread>) -> bool {
    thread.take_notice(NOTIFY_HELD) && hold_now(thread)
}

#[cold]
fn hold_now(thread: &Thread) -> bool {
    let until = thread.held.load(Ordering::Relaxed);
    // Its end needn't wait, and nothing else is told.
    let _: Result<(), Wake> = timer::sleep_until(Mode::Killable, Some(until));
    if thread.kind() != Kind::Deadline {
        return false;
    }
    let mut own = thread.reservation.lock();
    own.replenish(time::now_ns());
    thread.deadline.store(own.deadline(), Ordering::Relaxed);
    true
}

/// When the CPU looks again at a thread that runs on it from now on; `others` wait there.
pub(super) fn tick(thread: &Thread, now: u64, others: bool) -> Option<u64> {
    let slice = others.then(|| thread.slice());
    let left = (thread.kind() == Kind::Deadline).then(|| thread.reservation.lock().left());
    let soonest = slice.into_iter().chain(left).min()?;
    Some(now.saturating_add(soonest))
}

/// No priority is lent.
pub(super) const NOTHING_LENT: u64 = u64::MAX;

impl Thread {
    /// How urgent it is, if it comes before all that share: the less, the more. What it has borrowed
    /// counts.
    pub(crate) fn urgency(&self) -> Option<u64> {
        let rank = self.rank();
        rank.is_real_time().then(|| rank.to_word())
    }

    /// Lends it another's urgency, or takes back what was lent. Whether that is a change.
    pub(crate) fn lend(self: &Arc<Self>, urgency: Option<u64>) -> bool {
        let new = urgency.unwrap_or(NOTHING_LENT);
        let changes = self.lent.swap(new, Ordering::Relaxed) != new;
        if changes {
            cpu::requeue(self);
        }
        changes
    }

    fn borrows(&self) -> bool {
        self.lent.load(Ordering::Relaxed) != NOTHING_LENT
    }

    /// Its priority as `/proc` tells it (proc(5), `stat`, field 18).
    pub(crate) fn shown_priority(&self) -> i32 {
        let nice = i32::from(self.nice());
        self.rank()
            .kernel_priority()
            .map_or(20 + nice, |priority| priority - 100)
    }
}
