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

/// Where a runnable thread stands: the lesser runs sooner. One word, so that comparing two is one instruction.
///
/// With the top bit set, the rest is the virtual time of a thread that shares. Without it, the upper byte is 0 for a
/// thread with a deadline, which the rest is, and 1 to 99 for priority 99 to 1 of `SCHED_FIFO` and `SCHED_RR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank(u64);

/// The bit of threads that share by virtual time.
const FAIR: u64 = 1 << 63;
/// Where the band of the others stands.
const BAND_SHIFT: u32 = 56;
/// The bits of a deadline: two years of uptime.
const DEADLINE_BITS: u64 = (1 << BAND_SHIFT) - 1;
/// A priority's band is this less the priority: 1 for 99, the highest.
const PRIORITIES: u8 = 100;

impl Rank {
    /// Of a thread with a real-time priority, 1 to 99.
    #[must_use]
    pub const fn real_time(priority: u8) -> Self {
        Self((PRIORITIES.saturating_sub(priority) as u64) << BAND_SHIFT)
    }

    /// Of a thread that must have run until a point in time.
    #[must_use]
    pub const fn deadline(at: u64) -> Self {
        Self(if at < DEADLINE_BITS {
            at
        } else {
            DEADLINE_BITS
        })
    }

    /// Of a thread that shares, with its virtual time.
    #[must_use]
    pub const fn fair(time: u64) -> Self {
        Self(FAIR | time)
    }

    /// Whether the thread comes before all that share: it has a real-time priority or a deadline.
    #[must_use]
    pub const fn is_real_time(self) -> bool {
        self.0 & FAIR == 0
    }

    const fn has_deadline(self) -> bool {
        self.0 <= DEADLINE_BITS
    }

    /// The same for those of one priority, for all that share, and for all that have deadlines.
    pub(super) const fn band(self) -> u64 {
        if self.is_real_time() {
            self.0 >> BAND_SHIFT
        } else {
            FAIR
        }
    }

    /// As Linux counts: -1 for a thread with a deadline, 99 less the priority for one of real time;
    /// `None` for one that shares, where the nice value says more.
    #[must_use]
    pub const fn kernel_priority(self) -> Option<i32> {
        if self.is_real_time() {
            Some(crate::num::low8(self.0 >> BAND_SHIFT) as i32 - 1)
        } else {
            None
        }
    }

    /// The virtual time, or the deadline; 0 for real time.
    #[must_use]
    pub const fn time(self) -> u64 {
        if self.is_real_time() {
            self.0 & DEADLINE_BITS
        } else {
            self.0 & !FAIR
        }
    }

    /// As a word for an atomic, in the same order.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// What [`Self::to_word`] made a word of.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// Whether a thread that becomes runnable with this rank should run at once instead of one that
    /// runs with `running`.
    #[must_use]
    pub const fn preempts(self, running: Self) -> bool {
        self.is_ahead_of(running, PREEMPT_NS)
    }

    /// Whether a thread that runs with this rank should make way for a waiting one, because that has
    /// a higher priority, or this one is ahead of it by a slice of its own weight.
    #[must_use]
    pub const fn makes_way_for(self, waiting: Self, weight: u64) -> bool {
        waiting.is_ahead_of(self, virtual_time(SLICE_NS, weight).saturating_sub(1))
    }

    /// Whether this comes first, by more than `margin` where both share.
    const fn is_ahead_of(self, other: Self, margin: u64) -> bool {
        if self.is_real_time() || other.is_real_time() {
            self.band() < other.band() || self.has_deadline() && self.0 < other.0
        } else {
            self.0.saturating_add(margin) < other.0
        }
    }
}
