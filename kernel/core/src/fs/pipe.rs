//! The ring of a pipe: slots that each refer to a piece of a page, as pipe(7) tells them apart.
//!
//! [`Ring`] holds no bytes itself: `P` is a page (a frame in the kernel, a vector in the tests),
//! and the caller copies. A write first tops up the last page ([`Ring::room_in_last`]), then adds
//! pages; at most [`PIPE_BUF`] bytes go in whole or not at all. Capacity counts slots, as on
//! Linux: 16 of them are the 65,536 bytes that programs know.

use crate::addr::PAGE_SIZE;
use crate::num::u64_of;
use alloc::collections::VecDeque;

/// Writes up to this many bytes are never interleaved (linux/limits.h).
pub const PIPE_BUF: usize = 4096;
/// Slots of a new pipe.
pub const DEFAULT_SLOTS: usize = 16;
/// Slots beyond which only `CAP_SYS_RESOURCE` may go at first (`/proc/sys/fs/pipe-max-size`, 1 MiB).
pub const MAX_SLOTS: usize = 256;

/// A piece of a page.
#[derive(Clone, Debug)]
pub struct Slot<P> {
    /// The page.
    pub page: P,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
    /// Whether later bytes may be added behind these in the same page: not when it was spliced
    /// in, nor when it is a packet.
    pub open: bool,
    /// Whether it is a packet (`O_DIRECT`): a read takes no more than one, and loses what it has no room for.
    pub packet: bool,
}

/// The slots in use, oldest first.
pub struct Ring<P> {
    slots: VecDeque<Slot<P>>,
    limit: usize,
    bytes: usize,
}

/// Memory couldn't be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

/// The new size is less than what is in the pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

impl<P> Default for Ring<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Ring<P> {
    /// An empty ring of [`DEFAULT_SLOTS`].
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            limit: DEFAULT_SLOTS,
            bytes: 0,
        }
    }

    /// Bytes to be read.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to read.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether every slot is taken (the last may still have room).
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.slots.len() >= self.limit
    }

    /// Free slots.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.limit.saturating_sub(self.slots.len())
    }

    /// Capacity in bytes.
    #[must_use]
    #[inline]
    pub const fn capacity(&self) -> usize {
        self.limit * PAGE_SIZE
    }

    /// Changes the capacity to at least `bytes`, in a power of two of pages; answers the new one.
    ///
    /// # Errors
    /// [`Busy`] when the pipe holds more.
    pub fn resize(&mut self, bytes: usize) -> Result<usize, Busy> {
        let slots = Self::slots_for(bytes);
        if slots < self.slots.len() {
            return Err(Busy);
        }
        self.limit = slots;
        Ok(self.capacity())
    }

    /// Slots that a request for `bytes` gives.
    #[must_use]
    pub fn slots_for(bytes: usize) -> usize {
        bytes.div_ceil(PAGE_SIZE).max(1).next_power_of_two()
    }

    /// Whether a write of `len` bytes can begin: all of it when it is small enough to be atomic.
    #[must_use]
    #[inline]
    pub fn can_write(&self, len: usize) -> bool {
        // At most one slot is needed for what is atomic, because pages are as large as PIPE_BUF.
        !self.is_full() || self.room_in_last(len) > 0
    }

    /// Bytes that a write of `len` would put behind the last piece's: the part of `len` beyond
    /// whole pages, when it fits there.
    #[must_use]
    #[inline]
    pub fn room_in_last(&self, len: usize) -> usize {
        let part = len % PAGE_SIZE;
        match self.slots.back() {
            Some(slot) if slot.open && slot.offset + slot.len + part <= PAGE_SIZE => part,
            _ => 0,
        }
    }

    /// The last slot's page and the offset behind its bytes.
    #[must_use]
    #[inline]
    pub fn last(&self) -> Option<(&P, usize)> {
        self.slots
            .back()
            .map(|slot| (&slot.page, slot.offset + slot.len))
    }

    /// Counts `len` bytes that the caller has put behind the last piece.
    #[inline]
    pub fn extend_last(&mut self, len: usize) {
        if let Some(slot) = self.slots.back_mut() {
            slot.len = (slot.len + len).min(PAGE_SIZE - slot.offset);
            self.bytes += len;
        }
    }

    /// Adds a piece; there must be a free slot.
    ///
    /// # Errors
    /// [`NoMemory`], when the list of slots can't grow.
    #[inline]
    pub fn push(&mut self, slot: Slot<P>) -> Result<(), NoMemory> {
        self.slots.try_reserve(1).map_err(|_| NoMemory)?;
        self.bytes += slot.len;
        self.slots.push_back(slot);
        Ok(())
    }

    /// The oldest piece.
    #[must_use]
    #[inline]
    pub fn first(&self) -> Option<&Slot<P>> {
        self.slots.front()
    }

    /// The piece `index` places behind the oldest.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Slot<P>> {
        self.slots.get(index)
    }

    /// Takes `len` bytes off the oldest piece; answers its page when that used it up.
    #[inline]
    pub fn consume(&mut self, len: usize) -> Option<P> {
        let slot = self.slots.front_mut()?;
        let len = len.min(slot.len);
        slot.offset += len;
        slot.len -= len;
        self.bytes -= len;
        if slot.len == 0 {
            return self.slots.pop_front().map(|slot| slot.page);
        }
        None
    }

    /// Takes all of the oldest piece's rest: what a packet leaves unread is lost.
    pub fn discard_first(&mut self) -> Option<P> {
        let slot = self.slots.pop_front()?;
        self.bytes -= slot.len;
        Some(slot.page)
    }

    /// Bytes for `FIONREAD`.
    #[must_use]
    pub fn readable(&self) -> u64 {
        u64_of(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// A write as the kernel does it, non-blocking; bytes written.
    fn write(ring: &mut Ring<Vec<u8>>, mut data: &[u8]) -> usize {
        let total = data.len();
        if data.is_empty() || !ring.can_write(total) {
            return 0;
        }
        let part = ring.room_in_last(total);
        if part > 0 {
            let (head, rest) = data.split_at(part);
            let slot = ring.slots.back_mut().unwrap();
            slot.page.truncate(slot.offset + slot.len);
            slot.page.extend_from_slice(head);
            ring.extend_last(part);
            data = rest;
        }
        while !data.is_empty() && !ring.is_full() {
            let (head, rest) = data.split_at(data.len().min(PAGE_SIZE));
            let slot = Slot {
                page: head.to_vec(),
                offset: 0,
                len: head.len(),
                open: true,
                packet: false,
            };
            ring.push(slot).unwrap();
            data = rest;
        }
        total - data.len()
    }

    fn read(ring: &mut Ring<Vec<u8>>, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(slot) = ring.first()
            && out.len() < max
        {
            let take = slot.len.min(max - out.len());
            out.extend_from_slice(&slot.page[slot.offset..slot.offset + take]);
            ring.consume(take);
        }
        out
    }

    proptest! {
        #[test]
        fn a_queue_of_bytes(steps in prop::collection::vec((any::<bool>(), 0..9000usize), 0..100)) {
            let mut ring = Ring::new();
            let mut model = std::collections::VecDeque::new();
            let mut next = 0u8;
            for (writes, len) in steps {
                if writes {
                    let data: Vec<u8> = (0..len).map(|i| next.wrapping_add(i as u8)).collect();
                    let done = write(&mut ring, &data);
                    next = next.wrapping_add(done as u8);
                    prop_assert!(done == len || done == 0 || len > PIPE_BUF, "atomic");
                    model.extend(&data[..done]);
                } else {
                    let got = read(&mut ring, len);
                    let want: Vec<u8> = model.drain(..got.len()).collect();
                    prop_assert_eq!(got.len(), len.min(got.len() + model.len()));
                    prop_assert_eq!(got, want);
                }
                prop_assert_eq!(ring.len(), model.len());
            }
        }
    }

    #[test]
    fn holds_65536_bytes_written_one_by_one_or_at_once() {
        let mut ring = Ring::new();
        while write(&mut ring, b"x") == 1 {}
        assert_eq!(ring.len(), 65536);
        let mut ring = Ring::new();
        assert_eq!(write(&mut ring, &std::vec![0; 100_000]), 65536);
    }

    #[test]
    fn resizing() {
        let mut ring = Ring::new();
        write(&mut ring, &std::vec![0; 20_000]);
        assert_eq!(ring.resize(1), Err(Busy));
        assert_eq!(ring.resize(5 * PAGE_SIZE), Ok(8 * PAGE_SIZE));
    }
}
