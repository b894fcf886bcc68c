//! What the scheduler counts, for `/proc`: each CPU's time and switches, and the load.

use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::loadavg::Load;

use super::cpu::{self, Cpu};
use super::thread::Thread;
use crate::sync::IrqLock;

/// The load, and when it is to be looked at again.
static LOAD: IrqLock<Load> = IrqLock::new(Load::new());
static NEXT_LOOK: AtomicU64 = AtomicU64::new(0);

/// What a CPU has done.
#[derive(Default)]
pub(super) struct Counts {
    /// Nanoseconds of user time at nice values above 0.
    nice: AtomicU64,
    /// Nanoseconds in the kernel.
    system: AtomicU64,
    /// Switches from one thread to another.
    switches: AtomicU64,
    /// Nanoseconds that threads waited for it.
    waited: AtomicU64,
    /// Timer interrupts.
    ticks: AtomicU64,
}

/// A CPU's counts, times in nanoseconds. What isn't idle, system or nice is ordinary user time.
#[derive(Clone, Copy, Default)]
pub(crate) struct CpuCounts {
    /// Nothing to do.
    pub(crate) idle: u64,
    /// User time at nice values above 0.
    pub(crate) nice: u64,
    /// In the kernel.
    pub(crate) system: u64,
    /// Switches from one thread to another.
    pub(crate) switches: u64,
    /// What threads waited for the CPU, together.
    pub(crate) waited: u64,
    /// Timer interrupts.
    pub(crate) ticks: u64,
}

impl Counts {
    pub(super) const fn new() -> Self {
        Self {
            nice: AtomicU64::new(0),
            system: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
        }
    }

    /// Only the CPU itself counts, so a load and a store are enough.
    fn add(counter: &AtomicU64, more: u64) {
        counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    /// A timer interrupt came.
    pub(super) fn tick(&self) {
        Self::add(&self.ticks, 1);
    }

    /// The running thread leaves the CPU, when the TSC is `cycles`: what it ran since it came is the CPU's time.
    pub(super) fn leave(&self, thread: &Thread, cycles: u64) {
        let (user, system) = thread.cpu_times_at(cycles);
        let seen = &thread.times.booked;
        let book = |seen: &AtomicU64, sum: u64| {
            let new = sum.saturating_sub(seen.load(Ordering::Relaxed));
            seen.store(sum, Ordering::Relaxed);
            new
        };
        let new_user = book(&seen.0, user);
        Self::add(&self.system, book(&seen.1, system));
        if thread.nice() > 0 {
            Self::add(&self.nice, new_user);
        }
    }

    /// Another thread comes, which has waited since it was queued.
    pub(super) fn switch(&self, next: &Thread, now: u64) {
        Self::add(&self.switches, 1);
        let since = next.times.queued.load(Ordering::Relaxed);
        if since != 0 {
            next.times.queued.store(0, Ordering::Relaxed);
            let waited = now.saturating_sub(since);
            Self::add(&self.waited, waited);
            Self::add(&next.times.waited, waited);
        }
        Self::add(&next.times.turns, 1);
    }
}

/// CPU `id`'s counts.
pub(crate) fn counts(id: u32) -> CpuCounts {
    let Some(cpu) = cpu::cpu(id) else {
        return CpuCounts::default();
    };
    let counts = &cpu.counts;
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    CpuCounts {
        idle: cpu::idle_ns_of(id),
        nice: get(&counts.nice),
        system: get(&counts.system),
        switches: get(&counts.switches),
        waited: get(&counts.waited),
        ticks: get(&counts.ticks),
    }
}

/// Threads that run or wait for a CPU. What waits for one that still idles has only just woken.
pub(crate) fn active() -> u64 {
    let of = |cpu: &Cpu| {
        if cpu.is_idling() {
            0
        } else {
            1 + cpu.waiting()
        }
    };
    let active: usize = cpu::all().map(|(_, cpu)| of(cpu)).sum();
    kiln_core::num::u64_of(active)
}

/// Before which threads run changes: looks at the load if it is time to.
#[inline]
pub(super) fn before_change(now: u64) {
    if now >= NEXT_LOOK.load(Ordering::Relaxed) {
        look(now);
    }
}

#[cold]
fn look(now: u64) {
    let active = active();
    let mut load = LOAD.lock();
    load.look(now, active);
    NEXT_LOOK.store(load.next(), Ordering::Relaxed);
}

/// The load averages.
pub(crate) fn load(now: u64) -> Load {
    before_change(now);
    *LOAD.lock()
}
