//! What happens when: timed waits of threads, and [`Timer`]s, which call a function.
//!
//! All are in one heap. The timer interrupt only says that it is time; the timers are looked at in
//! a thread, at the next `resched`, switch or idle moment, so what expires may take locks, though
//! not sleep.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;

use kiln_core::timers::{TimerHeap, TimerId};

use super::cpu;
use super::thread::Thread;
use super::wait::{Deadline, Mode, WaitQueue, Wake};
use crate::mm::OutOfMemory;
use crate::sync::SpinLock;

/// What a [`Timer`] calls.
pub(crate) trait OnExpiry: Send + Sync {
    /// The deadline has passed. May take locks and wake threads, must not sleep. `now` is in
    /// nanoseconds.
    fn expired(self: Arc<Self>, now: u64);
}

enum Target {
    Thread(Weak<Thread>),
    Callback(Weak<dyn OnExpiry>),
}

/// What [`run_expired`] found.
enum Expired {
    Thread(Arc<Thread>),
    Callback(Arc<dyn OnExpiry>),
    Gone,
}

static TIMERS: SpinLock<TimerHeap<Target>> = SpinLock::new(TimerHeap::new());

/// A deadline with a function to call. It is disarmed when dropped.
pub(crate) struct Timer(TimerId);

impl Timer {
    /// A disarmed timer for `target`.
    pub(crate) fn new(target: Weak<dyn OnExpiry>) -> Result<Self, OutOfMemory> {
        let id = TIMERS.lock().register(Target::Callback(target));
        id.map(Self).map_err(|_| OutOfMemory)
    }

    /// Sets when it expires, in nanoseconds of `arch::time::now_ns`.
    pub(crate) fn arm(&self, deadline: u64) {
        set(self.0, deadline);
    }

    /// Keeps it from expiring.
    pub(crate) fn disarm(&self) {
        TIMERS.lock().disarm(self.0);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        unregister(self.0);
    }
}

fn set(id: TimerId, deadline: u64) {
    if TIMERS.lock().arm(id, deadline) {
        cpu::arm(deadline);
    }
}

pub(super) fn register_thread(thread: &Arc<Thread>) -> Result<TimerId, OutOfMemory> {
    let target = Target::Thread(Arc::downgrade(thread));
    TIMERS.lock().register(target).map_err(|_| OutOfMemory)
}

pub(super) fn unregister(id: TimerId) {
    let target = TIMERS.lock().unregister(id);
    drop(target);
}

/// A timed wait of the running thread begins.
pub(super) fn arm_thread(thread: &Thread, deadline: u64) {
    thread.timed_out.store(false, Ordering::Relaxed);
    if let Some(id) = thread.timer.get() {
        set(*id, deadline);
    }
}

/// The timed wait is over.
pub(super) fn disarm_thread(thread: &Thread) {
    if let Some(id) = thread.timer.get() {
        TIMERS.lock().disarm(*id);
    }
}

/// The earliest deadline.
pub(super) fn next() -> Option<u64> {
    TIMERS.lock().next()
}

/// Deals with everything whose deadline has passed.
pub(super) fn run_expired(now: u64) {
    loop {
        let mut timers = TIMERS.lock();
        let Some(target) = timers.expire(now) else {
            return;
        };
        let expired = match target {
            Target::Thread(thread) => thread.upgrade().map(Expired::Thread),
            Target::Callback(callback) => callback.upgrade().map(Expired::Callback),
        };
        drop(timers);
        match expired.unwrap_or(Expired::Gone) {
            Expired::Thread(thread) => {
                thread.timed_out.store(true, Ordering::Release);
                thread.wake();
            }
            Expired::Callback(callback) => callback.expired(now),
            Expired::Gone => {}
        }
    }
}

/// Sleeps until a point in time; `Ok` when it has come.
pub(crate) fn sleep_until(mode: Mode, deadline: Deadline) -> Result<(), Wake> {
    let nobody = WaitQueue::new();
    match nobody.wait(mode, deadline, || None::<()>) {
        Err(Wake::Timeout) | Ok(()) => Ok(()),
        Err(Wake::Signal) => Err(Wake::Signal),
    }
}
