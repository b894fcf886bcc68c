//! [`Stamps`]: the times that inodes are stamped with, as Linux's multigrain timestamps are: they move by the tick of the
//! coarse clocks, so that changes that follow each other closely leave nothing new to be written to a disk; but a change
//! is stamped later than every time that somebody has been told of, so that it shows.
//!
//! Linux keeps per inode whether somebody was told; here it is one word for all.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::vdso::COARSE_NS;

/// Somebody has been told of a stamp since the last one finer than the tick.
const TOLD: u64 = 1;

/// What makes stamps, nanoseconds since the epoch each. The word: the last one finer than the tick, doubled, and [`TOLD`].
#[derive(Debug)]
pub struct Stamps(AtomicU64);

impl Stamps {
    /// None was made yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The stamp of a change at `nanos`.
    #[must_use]
    pub fn stamp(&self, nanos: u64) -> u64 {
        let coarse = nanos - nanos % COARSE_NS;
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let finest = word >> 1;
            if word & TOLD == 0 {
                return coarse.max(finest);
            }
            // None is below it from now on.
            let stamp = nanos.max(coarse + 1).max(finest + 1);
            let (new, order) = (stamp << 1, Ordering::AcqRel);
            match self
                .0
                .compare_exchange_weak(word, new, order, Ordering::Acquire)
            {
                Ok(_) => return stamp,
                Err(now) => word = now,
            }
        }
    }

    /// Somebody is told of a stamp.
    #[inline]
    pub fn told(&self) {
        if self.0.load(Ordering::Acquire) & TOLD == 0 {
            self.0.fetch_or(TOLD, Ordering::AcqRel);
        }
    }

    /// The clock was set: what is on it now may be below what was.
    pub fn reset(&self) {
        self.0.store(TOLD, Ordering::Release);
    }
}

impl Default for Stamps {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64 as Clock;

    const T: u64 = 1_000 * COARSE_NS;

    #[test]
    fn moves_by_the_tick() {
        let stamps = Stamps::new();
        assert_eq!(stamps.stamp(T), T);
        assert_eq!(stamps.stamp(T + COARSE_NS - 1), T);
        assert_eq!(stamps.stamp(T + COARSE_NS), T + COARSE_NS);
    }

    #[test]
    fn is_above_what_was_told() {
        let stamps = Stamps::new();
        let first = stamps.stamp(T);
        stamps.told();
        // Even if the clock stands still.
        let second = stamps.stamp(T);
        assert!(second > first);
        stamps.told();
        assert!(stamps.stamp(T) > second);
        stamps.told();
        assert_eq!(stamps.stamp(T + 77), T + 77);
        assert_eq!(stamps.stamp(T + 99), T + 77, "nobody was told");
        assert_eq!(stamps.stamp(T + COARSE_NS), T + COARSE_NS);
    }

    #[test]
    fn goes_back_with_the_clock() {
        let stamps = Stamps::new();
        stamps.told();
        let _ = stamps.stamp(2 * T);
        stamps.reset();
        assert_eq!(stamps.stamp(T + 5), T + 5);
    }

    #[test]
    fn holds_between_threads() {
        let stamps = Stamps::new();
        let clock = Clock::new(T);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let before = stamps.stamp(clock.fetch_add(3, Ordering::SeqCst));
                        stamps.told();
                        let after = stamps.stamp(clock.load(Ordering::SeqCst));
                        assert!(after > before);
                    }
                });
            }
        });
    }
}
