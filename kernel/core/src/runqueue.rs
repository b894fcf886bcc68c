//! The order in which threads run: [`RunQueue`], by virtual time, and nice values as
//! [weights](weight). Each CPU has one.
//!
//! A thread's virtual time is the time it ran, divided by its weight. The runnable thread with
//! the least virtual time runs next, so over time each gets its share. A thread that wakes is
//! put back to at most [`WAKE_CREDIT_NS`] behind the queue, so that sleeping earns no long turn.
//! (sched(7) promises nothing about the algorithm, only that a lower nice value gets more.)

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

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
    band: u8,
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

struct Entry<T> {
    rank: Rank,
    order: i64,
    thread: T,
}

impl<T> Entry<T> {
    fn is_before(&self, other: &Self) -> bool {
        (self.rank, self.order) < (other.rank, other.order)
    }
}

/// Runnable threads, by [`Rank`], equal ones in order of arrival.
///
/// A binary heap in a vector whose room is reserved when threads are made, because adding a
/// thread happens in interrupts, where nothing may be allocated.
pub struct RunQueue<T> {
    heap: Vec<Entry<T>>,
    arrivals: i64,
    /// No thread that runs is behind this; it only grows.
    floor: u64,
}

impl<T> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for threads, made without the queue, which may be locked where nothing can be allocated.
pub struct Room<T>(Vec<Entry<T>>);

impl<T> Room<T> {
    /// Room for this many.
    ///
    /// # Errors
    /// No memory.
    pub fn new(threads: usize) -> Result<Self, TryReserveError> {
        let mut room = Vec::new();
        room.try_reserve_exact(threads)?;
        Ok(Self(room))
    }
}

impl<T> RunQueue<T> {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            arrivals: 0,
            floor: 0,
        }
    }

    /// How many threads there is room for.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.heap.capacity()
    }

    /// Moves into `room` if it is larger, and leaves the old one there.
    pub fn move_into(&mut self, room: &mut Room<T>) {
        if room.0.capacity() > self.heap.capacity() {
            core::mem::swap(&mut self.heap, &mut room.0);
            self.heap.append(&mut room.0);
        }
    }

    /// How many threads wait for their turn.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no thread waits for its turn.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The virtual time a new thread gets: that of one that has had its turn, so that whoever makes many
    /// gets no more for it, and goes on first.
    #[must_use]
    pub const fn placed_new(&self, weight: u64) -> u64 {
        self.floor.saturating_add(virtual_time(SLICE_NS, weight))
    }

    /// The virtual time a thread gets that wakes with this one.
    #[must_use]
    pub fn placed(&self, time: u64) -> u64 {
        time.max(self.floor.saturating_sub(WAKE_CREDIT_NS))
    }

    /// The queue's own virtual time.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Adds a thread behind those of the same rank.
    pub fn push(&mut self, rank: Rank, thread: T) {
        self.arrivals = self.arrivals.wrapping_add(1);
        let order = self.arrivals;
        self.add(Entry {
            rank,
            order,
            thread,
        });
    }

    /// Adds a thread before those of the same rank: one that had to make way.
    pub fn push_first(&mut self, rank: Rank, thread: T) {
        self.arrivals = self.arrivals.wrapping_add(1);
        // The later it comes, the more to the front.
        let order = self.arrivals.wrapping_neg();
        self.add(Entry {
            rank,
            order,
            thread,
        });
    }

    fn add(&mut self, entry: Entry<T>) {
        self.heap.push(entry);
        self.sift_up(self.heap.len() - 1);
    }

    /// Takes the thread whose turn it is.
    pub fn pop(&mut self) -> Option<(Rank, T)> {
        let (rank, thread) = self.take_at(0)?;
        if !rank.is_real_time() {
            self.floor = self.floor.max(rank.time);
        }
        Some((rank, thread))
    }

    /// Takes a thread that `wanted` says yes to: among those of the most urgent band, if any.
    pub fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Option<(Rank, T)> {
        let fits = self
            .heap
            .iter()
            .enumerate()
            .filter(|(_, entry)| wanted(&entry.thread));
        let (at, _) = fits.min_by_key(|(_, entry)| entry.rank.band)?;
        self.take_at(at)
    }

    fn take_at(&mut self, at: usize) -> Option<(Rank, T)> {
        if at >= self.heap.len() {
            return None;
        }
        let entry = self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.sift_down(at);
            self.sift_up(at);
        }
        Some((entry.rank, entry.thread))
    }

    /// Whether a thread waits that has a real-time priority or a deadline.
    #[must_use]
    pub fn has_urgent(&self) -> bool {
        self.first().is_some_and(Rank::is_real_time)
    }

    /// Whether a thread waits that shares by virtual time.
    #[must_use]
    pub fn has_fair(&self) -> bool {
        self.heap.iter().any(|entry| !entry.rank.is_real_time())
    }

    /// The rank of the thread whose turn is next.
    #[must_use]
    pub fn first(&self) -> Option<Rank> {
        self.heap.first().map(|first| first.rank)
    }

    fn sift_up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.is_before(at, parent) {
                break;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            for child in [left, right] {
                if self.is_before(child, least) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        match (self.heap.get(a), self.heap.get(b)) {
            (Some(a), Some(b)) => a.is_before(b),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn weights() {
        assert_eq!(weight(0), 1024);
        assert_eq!(weight(1), 819);
        assert_eq!(weight(-1), 1280);
        assert!((88_000..90_000).contains(&weight(-20)));
        assert_eq!(weight(19), 15);
        assert!((-20..19).all(|nice| weight(nice) > weight(nice + 1)));
    }

    #[test]
    fn shares_follow_weights() {
        // Three threads that never sleep, nice 0, 0 and 5, run for 10 simulated seconds.
        let nices = [0i8, 0, 5];
        let mut times = [0u64; 3];
        let mut ran = [0u64; 3];
        let mut queue = RunQueue::new();
        for i in 0..3usize {
            queue.push(Rank::fair(0), i);
        }
        for _ in 0..10_000 {
            let (_, i) = queue.pop().unwrap();
            let weight = weight(nices[i]);
            while !Rank::fair(times[i]).makes_way_for(queue.first().unwrap(), weight) {
                ran[i] += 1_000_000;
                times[i] += virtual_time(1_000_000, weight);
            }
            queue.push(Rank::fair(times[i]), i);
        }
        let share = |i: usize| ran[i] as f64 / ran.iter().sum::<u64>() as f64;
        assert!((share(0) - share(1)).abs() < 0.01);
        let expected = weight(5) as f64 / (2.0 * 1024.0 + weight(5) as f64);
        assert!((share(2) - expected).abs() < 0.02, "{}", share(2));
    }

    #[test]
    fn a_sleeper_earns_little() {
        let mut queue = RunQueue::new();
        queue.push(Rank::fair(10_000_000_000), 1);
        queue.pop();
        assert_eq!(queue.placed(0), 10_000_000_000 - WAKE_CREDIT_NS);
        assert_eq!(queue.placed(20_000_000_000), 20_000_000_000);
        assert!(!Rank::fair(queue.placed_new(NICE_0_WEIGHT)).preempts(Rank::fair(10_002_000_000)));
    }

    #[test]
    fn real_time_comes_first_and_keeps_its_order() {
        let mut queue = RunQueue::new();
        queue.push(Rank::fair(0), 'f');
        queue.push(Rank::real_time(1), 'a');
        queue.push(Rank::real_time(99), 'b');
        queue.push(Rank::real_time(99), 'c');
        queue.push_first(Rank::real_time(99), 'd');
        queue.push_first(Rank::real_time(99), 'e');
        let order: Vec<char> = core::iter::from_fn(|| queue.pop())
            .map(|(_, t)| t)
            .collect();
        assert_eq!(order, ['e', 'd', 'b', 'c', 'a', 'f']);
        assert_eq!(queue.floor(), 0);
    }

    #[test]
    fn who_makes_way_for_whom() {
        let (high, low, fair) = (Rank::real_time(50), Rank::real_time(2), Rank::fair(1 << 40));
        assert!(high.preempts(low) && low.preempts(fair) && high.preempts(fair));
        assert!(!low.preempts(high) && !low.preempts(low) && !fair.preempts(low));
        assert!(low.makes_way_for(high, 1024) && fair.makes_way_for(low, 1024));
        assert!(!low.makes_way_for(low, 1024) && !low.makes_way_for(fair, 1024));
        for rank in [high, low, fair, Rank::fair(0)] {
            assert_eq!(Rank::from_word(rank.to_word()), rank);
        }
        assert!(high.to_word() < low.to_word() && low.to_word() < Rank::fair(0).to_word());
    }

    #[test]
    fn the_earliest_deadline_comes_first_of_all() {
        let (soon, late, high) = (Rank::deadline(5), Rank::deadline(9), Rank::real_time(99));
        assert!(soon.preempts(late) && late.preempts(high) && !late.preempts(soon));
        assert!(late.makes_way_for(soon, 1024) && !soon.makes_way_for(late, 1024));
        assert!(high.makes_way_for(late, 1024) && !late.makes_way_for(high, 1024));
        assert_eq!(Rank::from_word(soon.to_word()), soon);
        let of = |rank: Rank| rank.kernel_priority();
        assert_eq!(
            (of(soon), of(high), of(Rank::real_time(1))),
            (Some(-1), Some(0), Some(98))
        );
        assert_eq!(of(Rank::fair(7)), None);
        let mut queue = RunQueue::new();
        for (rank, name) in [(Rank::fair(0), 'f'), (high, 'h'), (late, 'l'), (soon, 's')] {
            queue.push(rank, name);
        }
        assert!(queue.has_urgent() && queue.has_fair());
        let order: Vec<char> = core::iter::from_fn(|| queue.pop())
            .map(|(_, t)| t)
            .collect();
        assert_eq!(order, ['s', 'l', 'h', 'f']);
        assert_eq!(queue.floor(), 0);
    }

    #[test]
    fn a_queue_moves_into_more_room() {
        let mut queue = RunQueue::new();
        for i in 0..5u64 {
            queue.push(Rank::fair(10 - i), i);
        }
        let mut room = Room::new(100).unwrap();
        queue.move_into(&mut room);
        assert!(queue.room() >= 100);
        assert_eq!(queue.pop(), Some((Rank::fair(6), 4)));
        queue.move_into(&mut Room::new(2).unwrap());
        assert_eq!(queue.len(), 4);
    }

    proptest! {
        #[test]
        fn pops_in_order(times in prop::collection::vec(0u64..50, 0..200)) {
            let mut queue = RunQueue::new();
            for (i, time) in times.iter().enumerate() {
                queue.push(Rank::fair(*time), i);
            }
            let mut expected: Vec<(Rank, usize)> =
                times.iter().map(|time| Rank::fair(*time)).zip(0..).collect();
            expected.sort();
            let popped: Vec<(Rank, usize)> = core::iter::from_fn(|| queue.pop()).collect();
            prop_assert_eq!(popped, expected);
        }

        #[test]
        fn what_is_taken_out_leaves_the_rest_in_order(
            times in prop::collection::vec(0u64..50, 1..100), taken in 0usize..100
        ) {
            let mut queue = RunQueue::new();
            for (i, time) in times.iter().enumerate() {
                queue.push(Rank::fair(*time), i);
            }
            let was = queue.take(|thread| *thread == taken);
            prop_assert_eq!(was.is_some(), taken < times.len());
            let ranks: Vec<Rank> = core::iter::from_fn(|| queue.pop()).map(|(rank, _)| rank).collect();
            prop_assert!(ranks.is_sorted());
            prop_assert_eq!(ranks.len(), times.len() - usize::from(was.is_some()));
        }
    }
}
