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

struct Entry<T> {
    time: u64,
    order: u64,
    thread: T,
}

impl<T> Entry<T> {
    fn is_before(&self, other: &Self) -> bool {
        (self.time, self.order) < (other.time, other.order)
    }
}

/// Runnable threads, least virtual time first, equal times in order of arrival.
///
/// A binary heap in a vector whose room is reserved when threads are made, because adding a
/// thread happens in interrupts, where nothing may be allocated.
pub struct RunQueue<T> {
    heap: Vec<Entry<T>>,
    arrivals: u64,
    /// No thread that runs is behind this; it only grows.
    floor: u64,
}

impl<T> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
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

    /// Makes room for this many threads in all.
    ///
    /// # Errors
    /// No memory.
    pub fn reserve(&mut self, threads: usize) -> Result<(), TryReserveError> {
        self.heap
            .try_reserve(threads.saturating_sub(self.heap.len()))
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

    /// The virtual time a thread gets that wakes, or is new, with this one.
    #[must_use]
    pub fn placed(&self, time: u64) -> u64 {
        time.max(self.floor.saturating_sub(WAKE_CREDIT_NS))
    }

    /// The queue's own virtual time: where a new thread starts.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Adds a thread with its virtual time.
    pub fn push(&mut self, time: u64, thread: T) {
        let order = self.arrivals;
        self.arrivals = self.arrivals.wrapping_add(1);
        self.heap.push(Entry {
            time,
            order,
            thread,
        });
        self.sift_up(self.heap.len() - 1);
    }

    /// Takes the thread whose turn it is.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        if self.heap.is_empty() {
            return None;
        }
        let entry = self.heap.swap_remove(0);
        self.sift_down();
        self.floor = self.floor.max(entry.time);
        Some((entry.time, entry.thread))
    }

    /// The virtual time of the thread whose turn is next.
    #[must_use]
    pub fn first_time(&self) -> Option<u64> {
        self.heap.first().map(|first| first.time)
    }

    /// Whether the running thread, now at `running`, should make way for the first in the
    /// queue, because it is ahead of it by a slice of its own weight.
    #[must_use]
    pub fn slice_is_over(&self, running: u64, weight: u64) -> bool {
        self.heap
            .first()
            .is_some_and(|first| first.time + virtual_time(SLICE_NS, weight) <= running)
    }

    /// Whether a thread that woke at `woken` should run at once instead of one at `running`.
    #[must_use]
    pub const fn preempts(woken: u64, running: u64) -> bool {
        woken + PREEMPT_NS < running
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

    fn sift_down(&mut self) {
        let mut at = 0;
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
            queue.push(0, i);
        }
        for _ in 0..10_000 {
            let (_, i) = queue.pop().unwrap();
            let weight = weight(nices[i]);
            while !queue.slice_is_over(times[i], weight) {
                ran[i] += 1_000_000;
                times[i] += virtual_time(1_000_000, weight);
            }
            queue.push(times[i], i);
        }
        let share = |i: usize| ran[i] as f64 / ran.iter().sum::<u64>() as f64;
        assert!((share(0) - share(1)).abs() < 0.01);
        let expected = weight(5) as f64 / (2.0 * 1024.0 + weight(5) as f64);
        assert!((share(2) - expected).abs() < 0.02, "{}", share(2));
    }

    #[test]
    fn a_sleeper_earns_little() {
        let mut queue = RunQueue::new();
        queue.push(10_000_000_000, 1);
        queue.pop();
        assert_eq!(queue.placed(0), 10_000_000_000 - WAKE_CREDIT_NS);
        assert_eq!(queue.placed(20_000_000_000), 20_000_000_000);
    }

    proptest! {
        #[test]
        fn pops_in_order(times in prop::collection::vec(0u64..50, 0..200)) {
            let mut queue = RunQueue::new();
            for (i, time) in times.iter().enumerate() {
                queue.push(*time, i);
            }
            let mut expected: Vec<(u64, usize)> =
                times.iter().copied().enumerate().map(|(i, time)| (time, i)).collect();
            expected.sort();
            let popped: Vec<(u64, usize)> = core::iter::from_fn(|| queue.pop()).collect();
            prop_assert_eq!(popped, expected);
        }
    }
}
