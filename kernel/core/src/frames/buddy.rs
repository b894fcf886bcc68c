//! The buddy allocator: free blocks of `1 << order` frames in one list for each order.
//!
//! A block's *buddy* is the block of the same order with which it makes up the block of the next
//! one: their numbers differ in the bit `1 << order`. Freeing a block merges it with its buddy as
//! long as that is free too. Blocks never cross a section, so the records of a whole section are
//! all it takes for the merging to be safe.

use super::{MAX_ORDER, Pfn};

const ORDERS: usize = MAX_ORDER as usize + 1;
/// The end of a list. Frame 0 is never managed: it belongs to the firmware's first MiB.
const NONE: Pfn = 0;

/// What a frame is, as far as the allocator is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Not the allocator's, or inside a block (not its first frame).
    #[default]
    Other,
    /// The first frame of a free block of this order.
    Free(u8),
    /// The first frame of a block of this order that is in use.
    Used(u8),
}

/// What the allocator remembers of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// What it is.
    pub state: State,
    /// The free block before this one in its list; `0` in the first one.
    pub prev: Pfn,
    /// The free block after this one in its list; `0` in the last one.
    pub next: Pfn,
}

/// Where the records are kept. Records of frames never set read as [`Record::default`].
pub trait Records {
    /// The record of `pfn`.
    fn get(&self, pfn: Pfn) -> Record;
    /// Replaces the record of `pfn`.
    fn set(&self, pfn: Pfn, record: Record);
}

/// A block was given back that isn't in use, or not with this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFree {
    /// The block's first frame.
    pub pfn: Pfn,
    /// What is known of it.
    pub found: State,
}

/// The free lists.
#[derive(Debug, Default)]
pub struct Buddy {
    heads: [Pfn; ORDERS],
    free: u32,
}

impl Buddy {
    /// With no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heads: [NONE; ORDERS],
            free: 0,
        }
    }

    /// Frames in all free blocks.
    #[must_use]
    pub const fn free_frames(&self) -> u32 {
        self.free
    }

    /// Takes a block of `1 << order` frames, aligned to its size; `None` when there is none.
    pub fn alloc(&mut self, records: &impl Records, order: u8) -> Option<Pfn> {
        let found = (order..=MAX_ORDER).find(|order| self.head(*order) != NONE)?;
        let pfn = self.head(found);
        self.unlink(records, pfn, found);
        for half in (order..found).rev() {
            self.link(records, pfn + (1 << half), half);
        }
        records.set(
            pfn,
            Record {
                state: State::Used(order),
                ..Record::default()
            },
        );
        Some(pfn)
    }

    /// Gives a block back.
    ///
    /// # Errors
    /// [`BadFree`] when it isn't in use with this order; nothing has changed then.
    pub fn free(&mut self, records: &impl Records, pfn: Pfn, order: u8) -> Result<(), BadFree> {
        let found = records.get(pfn).state;
        if found != State::Used(order) {
            return Err(BadFree { pfn, found });
        }
        records.set(pfn, Record::default());
        self.merge(records, pfn, order);
        Ok(())
    }

    /// Makes the block in use at `pfn` into `1 << order` blocks of one frame each.
    ///
    /// # Errors
    /// [`BadFree`] when it isn't in use with this order.
    pub fn split(&mut self, records: &impl Records, pfn: Pfn, order: u8) -> Result<(), BadFree> {
        let found = records.get(pfn).state;
        if found != State::Used(order) {
            return Err(BadFree { pfn, found });
        }
        for frame in pfn..pfn + (1 << order) {
            records.set(
                frame,
                Record {
                    state: State::Used(0),
                    ..Record::default()
                },
            );
        }
        Ok(())
    }

    /// Gives back, as one block, what [`split`](Self::split) made of one.
    ///
    /// # Errors
    /// [`BadFree`] when one of the frames isn't in use by itself; nothing has changed then.
    pub fn free_split(
        &mut self,
        records: &impl Records,
        pfn: Pfn,
        order: u8,
    ) -> Result<(), BadFree> {
        let frames = pfn..pfn + (1 << order);
        for pfn in frames.clone() {
            let found = records.get(pfn).state;
            if found != State::Used(0) {
                return Err(BadFree { pfn, found });
            }
        }
        frames.for_each(|pfn| records.set(pfn, Record::default()));
        self.merge(records, pfn, order);
        Ok(())
    }

    /// Adds the frames `start..end`, which must be new to the allocator.
    pub fn insert(&mut self, records: &impl Records, start: Pfn, end: Pfn) {
        let mut at = start.max(1);
        while at < end {
            let order = largest_order(at, end - at);
            self.merge(records, at, order);
            at += 1 << order;
        }
    }

    fn merge(&mut self, records: &impl Records, mut pfn: Pfn, mut order: u8) {
        while order < MAX_ORDER {
            let buddy = pfn ^ (1 << order);
            if records.get(buddy).state != State::Free(order) {
                break;
            }
            self.unlink(records, buddy, order);
            records.set(buddy, Record::default());
            pfn = pfn.min(buddy);
            order += 1;
        }
        self.link(records, pfn, order);
    }

    fn link(&mut self, records: &impl Records, pfn: Pfn, order: u8) {
        let next = self.head(order);
        records.set(
            pfn,
            Record {
                state: State::Free(order),
                prev: NONE,
                next,
            },
        );
        if next != NONE {
            let record = records.get(next);
            records.set(
                next,
                Record {
                    prev: pfn,
                    ..record
                },
            );
        }
        self.set_head(order, pfn);
        self.free += 1 << order;
    }

    fn unlink(&mut self, records: &impl Records, pfn: Pfn, order: u8) {
        let Record { prev, next, .. } = records.get(pfn);
        if prev == NONE {
            self.set_head(order, next);
        } else {
            let record = records.get(prev);
            records.set(prev, Record { next, ..record });
        }
        if next != NONE {
            let record = records.get(next);
            records.set(next, Record { prev, ..record });
        }
        self.free -= 1 << order;
    }

    fn head(&self, order: u8) -> Pfn {
        self.heads.get(usize::from(order)).copied().unwrap_or(NONE)
    }

    fn set_head(&mut self, order: u8, pfn: Pfn) {
        if let Some(head) = self.heads.get_mut(usize::from(order)) {
            *head = pfn;
        }
    }
}

/// The largest order whose block may start at `at` and doesn't reach beyond `len` frames (not 0).
fn largest_order(at: Pfn, len: u32) -> u8 {
    let limit = at
        .trailing_zeros()
        .min(len.ilog2())
        .min(u32::from(MAX_ORDER));
    crate::num::low8(u64::from(limit))
}
