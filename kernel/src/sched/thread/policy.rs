//! How a thread shares the CPUs: its policy and priority ([`Kind`]), nice value and affinity, and the
//! [`Rank`] that follows from them.
//!
//! What its fields hold is changed here alone; the run queues ([`cpu`](crate::sched::cpu)) are told of every change.
//! What a policy with a deadline or of real time may have at most is [`budget`](crate::sched::budget)'s.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::bandwidth::Params;
use kiln_core::runqueue::{self, Rank};

use super::Thread;
use crate::arch::smp;
use crate::sched::budget::{self, NOTHING_LENT, Overbooked};
use crate::sched::cpu;

/// How a thread shares its CPU (`SCHED_*`, sched(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sched) enum Kind {
    /// `SCHED_OTHER`: by virtual time.
    Other,
    /// `SCHED_FIFO`: before all of lower priority, until it waits.
    Fifo,
    /// `SCHED_RR`: the same, in turns with those of its own priority.
    RoundRobin,
    /// `SCHED_BATCH`: by virtual time, without a claim to run as soon as it wakes.
    Batch,
    /// `SCHED_IDLE`: the same with next to no weight.
    Idle,
    /// `SCHED_DEADLINE`: before all others, the earliest first, for as long as it has reserved.
    Deadline,
}

impl Kind {
    /// `SCHED_*`.
    const fn number(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::Fifo => 1,
            Self::RoundRobin => 2,
            Self::Batch => 3,
            Self::Idle => 5,
            Self::Deadline => 6,
        }
    }

    const fn of_number(number: u8) -> Self {
        match number {
            1 => Self::Fifo,
            2 => Self::RoundRobin,
            3 => Self::Batch,
            5 => Self::Idle,
            6 => Self::Deadline,
            _ => Self::Other,
        }
    }
}

impl Thread {
    /// Where it stands among the runnable.
    pub(in crate::sched) fn rank(&self) -> Rank {
        let lent = self.lent.load(Ordering::Relaxed);
        if lent == NOTHING_LENT {
            self.own_rank()
        } else {
            self.own_rank().min(Rank::from_word(lent))
        }
    }

    /// Whether it comes before all that share, as its rank says.
    pub(crate) fn is_real_time(&self) -> bool {
        let [kind, priority] = self.schedule.load(Ordering::Relaxed).to_le_bytes();
        let lent = self.lent.load(Ordering::Relaxed);
        priority != 0
            || kind == Kind::Deadline.number()
            || lent != NOTHING_LENT && Rank::from_word(lent).is_real_time()
    }

    fn own_rank(&self) -> Rank {
        let [kind, priority] = self.schedule.load(Ordering::Relaxed).to_le_bytes();
        if priority != 0 {
            Rank::real_time(priority)
        } else if kind == Kind::Deadline.number() {
            Rank::deadline(self.deadline.load(Ordering::Relaxed))
        } else {
            Rank::fair(self.virtual_time.load(Ordering::Relaxed))
        }
    }

    /// It never takes a running thread's place when it wakes (`SCHED_BATCH`, `SCHED_IDLE`).
    pub(in crate::sched) fn is_batch(&self) -> bool {
        matches!(self.kind(), Kind::Batch | Kind::Idle)
    }

    /// How long it runs at most before its CPU looks who is waiting.
    pub(in crate::sched) fn slice(&self) -> u64 {
        match self.kind() {
            Kind::RoundRobin => cpu::ROUND_NS.load(Ordering::Relaxed),
            _ => runqueue::SLICE_NS,
        }
    }

    /// Whether it has run for a round of `SCHED_RR`, if that is how it is run.
    pub(in crate::sched) fn round_is_over(&self, now: u64) -> bool {
        let since = self.on_since.load(Ordering::Relaxed);
        self.kind() == Kind::RoundRobin && now.saturating_sub(since) >= self.slice()
    }

    pub(in crate::sched) fn kind(&self) -> Kind {
        let [kind, _] = self.schedule.load(Ordering::Relaxed).to_le_bytes();
        Kind::of_number(kind)
    }

    /// Changes how it is scheduled, at once: `SCHED_*`, the priority of real time, and what it reserves
    /// with a deadline.
    pub(crate) fn set_schedule(
        self: &Arc<Self>,
        policy: u8,
        priority: u8,
        params: Params,
    ) -> Result<(), Overbooked> {
        let kind = Kind::of_number(policy);
        if kind == Kind::Deadline {
            budget::reserve(self, params)?;
        } else {
            budget::release(self);
        }
        let priority = if matches!(kind, Kind::Fifo | Kind::RoundRobin) {
            priority.clamp(1, 99)
        } else {
            0
        };
        let word = u16::from_le_bytes([kind.number(), priority]);
        self.schedule.store(word, Ordering::Relaxed);
        self.set_weight();
        cpu::requeue(self);
        Ok(())
    }

    /// Takes over how `parent` shares the CPUs, and which ones; with `reset` as if it were an ordinary
    /// thread (`SCHED_RESET_ON_FORK`). Before it first runs.
    pub(crate) fn inherit(&self, parent: &Self, reset: bool) {
        let affinity = parent.affinity.load(Ordering::Relaxed);
        self.affinity.store(affinity, Ordering::Relaxed);
        let schedule = parent.schedule.load(Ordering::Relaxed);
        let [_, priority] = schedule.to_le_bytes();
        // A deadline isn't inherited.
        let reset = reset || parent.kind() == Kind::Deadline;
        if !reset {
            self.schedule.store(schedule, Ordering::Relaxed);
        }
        let nice = if reset && (priority != 0 || parent.nice() < 0) {
            0
        } else {
            parent.nice()
        };
        self.set_nice(nice);
    }

    /// The CPUs it may run on, of those there are: a bit for each.
    pub(crate) fn allowed(&self) -> u64 {
        self.affinity.load(Ordering::Relaxed) & smp::mask()
    }

    /// Whether it may run on CPU `id`.
    pub(in crate::sched) fn may_run_on(&self, id: u32) -> bool {
        self.affinity.load(Ordering::Relaxed) >> id & 1 != 0
    }

    /// Says which CPUs it may run on, one that there is at least; it leaves another at once.
    pub(crate) fn set_allowed(self: &Arc<Self>, mask: u64) {
        self.affinity.store(mask, Ordering::Relaxed);
        cpu::requeue(self);
    }

    /// The CPU it runs on or ran on last.
    pub(crate) fn last_cpu(&self) -> u32 {
        self.cpu.load(Ordering::Relaxed)
    }

    /// Whether it has never been on a CPU.
    pub(in crate::sched) fn is_new(&self) -> bool {
        self.on_since.load(Ordering::Relaxed) == 0
    }

    /// Its nice value, -20..=19.
    pub(crate) fn nice(&self) -> i8 {
        self.nice.load(Ordering::Relaxed)
    }

    /// Sets its nice value.
    pub(crate) fn set_nice(&self, nice: i8) {
        let nice = nice.clamp(-20, 19);
        self.nice.store(nice, Ordering::Relaxed);
        self.set_weight();
    }

    fn set_weight(&self) {
        let weight = match self.kind() {
            Kind::Idle => runqueue::IDLE_WEIGHT,
            _ => runqueue::weight(self.nice()),
        };
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Its virtual time, and the weight by which that grows.
    pub(crate) fn fair_share(&self) -> (u64, u64) {
        (
            self.virtual_time.load(Ordering::Relaxed),
            self.weight.load(Ordering::Relaxed),
        )
    }
}
