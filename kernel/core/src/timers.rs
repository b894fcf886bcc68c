//! [`TimerHeap`]: what expires when. Each timer has a place of its own, made beforehand, so that
//! arming and disarming never allocate; both take time logarithmic in the armed ones.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// A timer's place in its heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId(usize);

const DISARMED: usize = usize::MAX;

struct Slot<T> {
    deadline: u64,
    /// Index in the heap, or [`DISARMED`].
    at: usize,
    /// `None`: the slot is free.
    value: Option<T>,
}

/// Timers with a value each, the earliest deadline first.
pub struct TimerHeap<T> {
    slots: Vec<Slot<T>>,
    heap: Vec<usize>,
    free: Vec<usize>,
}

impl<T> Default for TimerHeap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> TimerHeap<T> {
    /// Without timers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            heap: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Makes a timer, disarmed.
    ///
    /// # Errors
    /// No memory.
    pub fn register(&mut self, value: T) -> Result<TimerId, TryReserveError> {
        let slot = Slot {
            deadline: 0,
            at: DISARMED,
            value: Some(value),
        };
        if let Some(id) = self.free.pop()
            && let Some(place) = self.slots.get_mut(id)
        {
            *place = slot;
            return Ok(TimerId(id));
        }
        let total = self.slots.len() + 1;
        self.slots.try_reserve(1)?;
        self.heap.try_reserve(total - self.heap.len())?;
        self.free.try_reserve(total - self.free.len())?;
        self.slots.push(slot);
        Ok(TimerId(total - 1))
    }

    /// Takes a timer away, armed or not.
    pub fn unregister(&mut self, id: TimerId) -> Option<T> {
        self.disarm(id);
        let value = self.slots.get_mut(id.0)?.value.take()?;
        self.free.push(id.0);
        Some(value)
    }

    /// Sets when it expires, armed before or not. Answers whether it is now the earliest.
    pub fn arm(&mut self, id: TimerId, deadline: u64) -> bool {
        let Some(slot) = self.slots.get_mut(id.0).filter(|slot| slot.value.is_some()) else {
            return false;
        };
        slot.deadline = deadline;
        let mut at = slot.at;
        if at == DISARMED {
            at = self.heap.len();
            slot.at = at;
            self.heap.push(id.0);
        }
        self.settle(at);
        self.heap.first() == Some(&id.0)
    }

    /// Keeps it from expiring. Answers whether it was armed.
    pub fn disarm(&mut self, id: TimerId) -> bool {
        let Some(slot) = self.slots.get_mut(id.0).filter(|slot| slot.at != DISARMED) else {
            return false;
        };
        let at = core::mem::replace(&mut slot.at, DISARMED);
        self.heap.swap_remove(at);
        if let Some(moved) = self.heap.get(at).and_then(|id| self.slots.get_mut(*id)) {
            moved.at = at;
            self.settle(at);
        }
        true
    }

    /// When it expires; `None` when disarmed.
    #[must_use]
    pub fn deadline(&self, id: TimerId) -> Option<u64> {
        self.slots
            .get(id.0)
            .filter(|slot| slot.at != DISARMED)
            .map(|slot| slot.deadline)
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let first = self.heap.first()?;
        self.slots.get(*first).map(|slot| slot.deadline)
    }

    /// Disarms the earliest timer that has expired by `now` and gives its value.
    pub fn expire(&mut self, now: u64) -> Option<&T> {
        let first = TimerId(*self.heap.first()?);
        if self.slots.get(first.0)?.deadline > now {
            return None;
        }
        self.disarm(first);
        self.slots.get(first.0)?.value.as_ref()
    }

    fn settle(&mut self, at: usize) {
        let at = self.sift_up(at);
        self.sift_down(at);
    }

    fn sift_up(&mut self, mut at: usize) -> usize {
        while at > 0 && self.is_before(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        at
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if self.is_before(child, least) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let deadline = |at: usize| {
            let id = self.heap.get(at)?;
            self.slots.get(*id).map(|slot| slot.deadline)
        };
        match (deadline(a), deadline(b)) {
            (Some(a), Some(b)) => a < b,
            _ => false,
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        for at in [a, b] {
            if let Some(slot) = self.heap.get(at).and_then(|id| self.slots.get_mut(*id)) {
                slot.at = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn places_are_used_again() {
        let mut heap = TimerHeap::new();
        let a = heap.register('a').unwrap();
        let b = heap.register('b').unwrap();
        assert!(heap.arm(a, 10));
        assert!(heap.arm(b, 5));
        assert_eq!(heap.unregister(b), Some('b'));
        assert_eq!(heap.next(), Some(10));
        assert_eq!(heap.register('c').unwrap(), b);
        assert_eq!(heap.deadline(b), None);
        assert_eq!(heap.expire(9), None);
        assert_eq!(heap.expire(10), Some(&'a'));
        assert_eq!(heap.expire(10), None);
    }

    proptest! {
        /// Arms and disarms at random and compares with a plain list.
        #[test]
        fn like_a_list(steps in prop::collection::vec((0usize..8, prop::option::of(0u64..100)), 0..200)) {
            let mut heap = TimerHeap::new();
            let ids: Vec<TimerId> = (0..8).map(|i| heap.register(i).unwrap()).collect();
            let mut model: [Option<u64>; 8] = [None; 8];
            for (i, deadline) in steps {
                match deadline {
                    Some(deadline) => { heap.arm(ids[i], deadline); }
                    None => { prop_assert_eq!(heap.disarm(ids[i]), model[i].is_some()); }
                }
                model[i] = deadline;
                prop_assert_eq!(heap.next(), model.iter().flatten().min().copied());
                prop_assert_eq!(heap.deadline(ids[i]), deadline);
            }
            let mut last = 0;
            let mut left = model.iter().flatten().count();
            while let Some(&i) = heap.expire(u64::MAX) {
                let deadline = model[i].take().unwrap();
                prop_assert!(deadline >= last);
                last = deadline;
                left -= 1;
            }
            prop_assert_eq!(left, 0);
        }
    }
}
