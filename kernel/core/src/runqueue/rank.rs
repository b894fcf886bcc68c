//! [`Rank`]: where a thread stands among the runnable; nice values as [weights](weight), and virtual time.

/// Weight of nice 0.
pub const NICE_0_WEIGHT: u64 = 1024;
/// Weight of `SCHED_IDLE`.
pub const IDLE_WEIGHT: u64 = 3;
/// How long a thread runs, weighted, before another of the same virtual time gets its turn.
pub const SLICE_NS: u64 = 4_000_000;
/// How far behind the queue a woken thread may start.
pub const WAKE_CREDIT_NS: u64 = 3_000_000;
/// How far behind the running thread a woken one must be to take its place at once.
const PREEMPT_NS: u64 = 1_000_000;

/// The weight of a nice value, -20..=19: a step is a factor of 1.25, so that two threads one
/// step apart share the CPU 55 to 45.
#[must_use]
pub const fn weight(nice: i8) -> u64 {
    // 16 fractional bits keep the small weights exact enough.
    let mut value = NICE_0_WEIGHT << 16;
    let mut step = nice;
    while step < 0 {
        value = value * 5 / 4;
        step += 1;
    }
    while step > 0 {
        value = value * 4 / 5;
        step -= 1;
    }
    let rounded = (value + (1 << 15)) >> 16;
    if rounded == 0 { 1 } else { rounded }
}

/// Run time turned into virtual time.
#[must_use]
pub const fn virtual_time(ran_ns: u64, weight: u64) -> u64 {
    if weight == NICE_0_WEIGHT {
        return ran_ns;
    }
    match (ran_ns.saturating_mul(NICE_0_WEIGHT)).checked_div(weight) {
        Some(time) => time,
        None => ran_ns,
    }
}

/// Where a runnable thread stands: the lesser runs sooner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank {
    /// [`DEADLINE`]; 1 to 99: priority 99 to 1 of `SCHED_FIFO` and `SCHED_RR`; [`FAIR`] for all others.
    pub(super) band: u8,
    /// Virtual time, or the deadline; 0 in the bands of real time.
    time: u64,
}

/// The band of threads with a deadline.
const DEADLINE: u8 = 0;
/// The band of threads that share by virtual time.
const FAIR: u8 = 100;

impl Rank {
    /// Of a thread with a real-time priority, 1 to 99.
    #[must_use]
    pub const fn real_time(priority: u8) -> Self {
        Self {
            band: FAIR.saturating_sub(priority),
            time: 0,
        }
    }

    /// Of a thread that must have run until a point in time.
    #[must_use]
    pub const fn deadline(at: u64) -> Self {
        Self {
            band: DEADLINE,
            time: at,
        }
    }

    /// Of a thread that shares, with its virtual time.
    #[must_use]
    pub const fn fair(time: u64) -> Self {
        Self { band: FAIR, time }
    }

    /// Whether the thread comes before all that share: it has a real-time priority or a deadline.
    #[must_use]
    pub const fn is_real_time(self) -> bool {
        self.band < FAIR
    }

    /// As Linux counts: -1 for a thread with a deadline, 99 less the priority for one of real time;
    /// `None` for one that shares, where the nice value says more.
    #[must_use]
    pub const fn kernel_priority(self) -> Option<i32> {
        match self.band {
            FAIR => None,
            band => Some(band as i32 - 1),
        }
    }

    /// The virtual time, or the deadline; 0 for real time.
    #[must_use]
    pub const fn time(self) -> u64 {
        self.time
    }

    /// As a word for an atomic, in the same order but for virtual times beyond some centuries.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        let time = if self.time >> 57 == 0 {
            self.time
        } else {
            (1 << 57) - 1
        };
        (self.band as u64) << 57 | time
    }

    /// What [`Self::to_word`] made a word of.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            band: crate::num::low8(word >> 57),
            time: word & ((1 << 57) - 1),
        }
    }

    /// Whether a thread that becomes runnable with this rank should run at once instead of one that
    /// runs with `running`.
    #[must_use]
    pub const fn preempts(self, running: Self) -> bool {
        if self.band != running.band {
            return self.band < running.band;
        }
        match self.band {
            DEADLINE => self.time < running.time,
            FAIR => self.time.saturating_add(PREEMPT_NS) < running.time,
            _ => false,
        }
    }

    /// Whether a thread that runs with this rank should make way for a waiting one, because that has
    /// a higher priority, or this one is ahead of it by a slice of its own weight.
    #[must_use]
    pub const fn makes_way_for(self, waiting: Self, weight: u64) -> bool {
        if self.band != waiting.band {
            return waiting.band < self.band;
        }
        match self.band {
            DEADLINE => waiting.time < self.time,
            FAIR => waiting.time.saturating_add(virtual_time(SLICE_NS, weight)) <= self.time,
            _ => false,
        }
    }
}
