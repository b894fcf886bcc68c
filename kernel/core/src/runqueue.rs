//! The order in which threads run: [`RunQueue`], by virtual time, and nice values as
//! [weights](weight). Each CPU has one.
//!
//! A thread's virtual time is the time it ran, divided by its weight. The runnable thread with
//! the least virtual time runs next, so over time each gets its share. A thread that wakes is
//! put back to at most [`WAKE_CREDIT_NS`] behind the queue, so that sleeping earns no long turn.
//! (sched(7) promises nothing about the algorithm, only that a lower nice value gets more.)

mod rank;

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

pub use rank::{IDLE_WEIGHT, NICE_0_WEIGHT, Rank, SLICE_NS, WAKE_CREDIT_NS, virtual_time, weight};

struct Entry<T> {
    rank: Rank,
    order: i64,
    thread: T,
}

impl<T> Entry<T> {
    #[inline]
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

    /// Lets the queue's virtual time follow the running thread's, as far as nobody behind it waits: a thread that has long
    /// run alone has left the queue's behind (`update_min_vruntime`).
    pub fn follow(&mut self, running: Rank) {
        if running.is_real_time() {
            return;
        }
        let first = self.first().filter(|first| !first.is_real_time());
        let least = first.map_or(running.time(), |first| first.time().min(running.time()));
        self.floor = self.floor.max(least);
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
            self.floor = self.floor.max(rank.time());
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
        let (at, _) = fits.min_by_key(|(_, entry)| entry.rank.band())?;
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
mod tests;
