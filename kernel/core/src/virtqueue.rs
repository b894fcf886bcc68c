//! The split virtqueue (virtio 1.2, section 2.7): descriptor table, available ring, used ring.
//!
//! [`SplitQueue`] keeps the driver's side of one queue over any [`RingMemory`]: the kernel's is DMA
//! memory, a test's is a vector with a scripted device at the other end. Buffers are named by
//! physical address and length only, so memory that a program can map is never borrowed. What the
//! device writes is not trusted: an identifier it makes up is [`BrokenDevice`], never a panic.
//!
//! Neighbours: the kernel's `drivers::virtio` (memory, notification, interrupts).

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use crate::addr::PhysAddr;

const DESCRIPTOR_LEN: usize = 16;
const USED_ELEMENT_LEN: usize = 8;
const FLAG_NEXT: u16 = 1;
const FLAG_WRITE: u16 = 2;
const AVAIL_NO_INTERRUPT: u16 = 1;
const USED_NO_NOTIFY: u16 = 1;
/// Ends a chain or the free list in [`Link::next`].
const END: u16 = u16::MAX;

/// Memory that driver and device share. Offsets are within it and aligned by construction;
/// accesses are volatile.
pub trait RingMemory {
    /// Reads two bytes, little-endian.
    fn read16(&self, offset: usize) -> u16;
    /// Reads four bytes, little-endian.
    fn read32(&self, offset: usize) -> u32;
    /// Writes two bytes, little-endian.
    fn write16(&self, offset: usize, value: u16);
    /// Writes eight bytes, little-endian.
    fn write64(&self, offset: usize, value: u64);
}

/// Where the parts of a queue of `size` entries lie in its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Offset of the available ring (driver area); the descriptor table is at 0.
    pub avail: usize,
    /// Offset of the used ring (device area).
    pub used: usize,
    /// Bytes in all.
    pub len: usize,
}

impl Layout {
    /// The layout for `size` entries (a power of two, at most 32768).
    #[must_use]
    pub const fn new(size: u16) -> Self {
        let size = size as usize;
        let avail = DESCRIPTOR_LEN * size;
        let used = (avail + 6 + 2 * size).next_multiple_of(4);
        Self {
            avail,
            used,
            len: used + 6 + USED_ELEMENT_LEN * size,
        }
    }
}

/// One piece of memory in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// Where it starts.
    pub addr: PhysAddr,
    /// Bytes, not 0.
    pub len: u32,
    /// Whether the device writes it; otherwise it reads it.
    pub device_writes: bool,
}

impl Buffer {
    /// A piece that the device reads.
    #[must_use]
    pub const fn to_device(addr: PhysAddr, len: u32) -> Self {
        Self {
            addr,
            len,
            device_writes: false,
        }
    }

    /// A piece that the device writes.
    #[must_use]
    pub const fn from_device(addr: PhysAddr, len: u32) -> Self {
        Self {
            addr,
            len,
            device_writes: true,
        }
    }
}

/// Not enough free descriptors for the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// The device returned a chain that isn't in flight: nothing it says can be believed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrokenDevice;

/// A chain the device has finished with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// What [`SplitQueue::push`] returned for it; below the queue's size.
    pub token: u16,
    /// Bytes the device wrote.
    pub written: u32,
}

/// Our own note of a descriptor; the table itself is the device's to read, ours only to write.
#[derive(Clone, Copy, Default)]
struct Link {
    next: u16,
    in_flight_head: bool,
}

/// The driver's side of one split virtqueue.
pub struct SplitQueue<M> {
    memory: M,
    layout: Layout,
    size: u16,
    links: Vec<Link>,
    /// Descriptors at and above this were never used; they needn't be on the free list.
    fresh: u16,
    free_head: u16,
    free: u16,
    avail_next: u16,
    used_next: u16,
}

impl<M: RingMemory> SplitQueue<M> {
    /// A queue of `size` entries (a power of two) over zeroed `memory` of at least
    /// [`Layout::len`] bytes. `None` when the heap is exhausted.
    #[must_use]
    pub fn new(memory: M, size: u16) -> Option<Self> {
        let mut links = Vec::new();
        links.try_reserve_exact(usize::from(size)).ok()?;
        links.resize(usize::from(size), Link::default());
        Some(Self {
            memory,
            layout: Layout::new(size),
            size,
            links,
            fresh: 0,
            free_head: END,
            free: size,
            avail_next: 0,
            used_next: 0,
        })
    }

    /// The memory behind the queue.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// Descriptors that are free.
    pub const fn free(&self) -> usize {
        self.free as usize
    }

    /// Descriptors the device holds.
    pub const fn in_flight(&self) -> usize {
        (self.size - self.free) as usize
    }

    /// Hands a chain of buffers to the device (those it reads first, as section 2.7.4.2 demands)
    /// and returns the chain's token. The caller keeps the buffers alive until it comes back.
    ///
    /// # Errors
    /// [`Full`] when the descriptors don't suffice, or for an empty chain; nothing has changed.
    pub fn push(&mut self, buffers: impl IntoIterator<Item = Buffer>) -> Result<u16, Full> {
        let mut head = END;
        let mut last: Option<(u16, Buffer)> = None;
        for buffer in buffers {
            let Some(index) = self.take() else {
                self.give_back(head);
                return Err(Full);
            };
            match last {
                Some((at, earlier)) => {
                    self.link(at, index);
                    self.describe(at, earlier, Some(index));
                }
                None => head = index,
            }
            last = Some((index, buffer));
        }
        let (at, buffer) = last.ok_or(Full)?;
        self.describe(at, buffer, None);
        if let Some(link) = self.links.get_mut(usize::from(head)) {
            link.in_flight_head = true;
        }
        self.offer(head);
        Ok(head)
    }

    /// Whether the device wants to be told of what was pushed. Call after the last
    /// [`SplitQueue::push`] of a batch.
    #[must_use]
    pub fn should_notify(&self) -> bool {
        // The index must be visible before the flag is read, or both sides could wait for each
        // other (section 2.7.13.3).
        fence(Ordering::SeqCst);
        self.memory.read16(self.layout.used) & USED_NO_NOTIFY == 0
    }

    /// Whether the device has finished something that wasn't popped yet.
    #[must_use]
    pub fn has_used(&self) -> bool {
        self.memory.read16(self.layout.used + 2) != self.used_next
    }

    /// Takes back the next chain the device has finished with.
    ///
    /// # Errors
    /// [`BrokenDevice`] when it isn't one of those in flight.
    pub fn pop(&mut self) -> Result<Option<Used>, BrokenDevice> {
        if !self.has_used() {
            return Ok(None);
        }
        fence(Ordering::Acquire);
        let slot = usize::from(self.used_next & (self.size - 1));
        let element = self.layout.used + 4 + USED_ELEMENT_LEN * slot;
        let token = u16::try_from(self.memory.read32(element)).map_err(|_| BrokenDevice)?;
        let written = self.memory.read32(element + 4);
        let link = self
            .links
            .get_mut(usize::from(token))
            .filter(|link| link.in_flight_head)
            .ok_or(BrokenDevice)?;
        link.in_flight_head = false;
        self.used_next = self.used_next.wrapping_add(1);
        self.give_back(token);
        Ok(Some(Used { token, written }))
    }

    /// Asks the device to interrupt when it has finished something, or not to bother. A hint:
    /// after switching interrupts on, look at [`SplitQueue::has_used`] once more before sleeping.
    pub fn set_interrupts(&mut self, wanted: bool) {
        let flags = if wanted { 0 } else { AVAIL_NO_INTERRUPT };
        self.memory.write16(self.layout.avail, flags);
        fence(Ordering::SeqCst);
    }

    fn take(&mut self) -> Option<u16> {
        let index = if self.free_head == END {
            if self.fresh == self.size {
                return None;
            }
            self.fresh += 1;
            self.fresh - 1
        } else {
            let index = self.free_head;
            self.free_head = self.links.get(usize::from(index))?.next;
            index
        };
        self.free -= 1;
        self.link(index, END);
        Some(index)
    }

    fn give_back(&mut self, head: u16) {
        let mut at = head;
        while let Some(link) = self.links.get_mut(usize::from(at)) {
            let next = link.next;
            link.next = self.free_head;
            self.free_head = at;
            self.free += 1;
            at = next;
        }
    }

    fn link(&mut self, index: u16, next: u16) {
        if let Some(link) = self.links.get_mut(usize::from(index)) {
            link.next = next;
        }
    }

    fn describe(&self, index: u16, buffer: Buffer, next: Option<u16>) {
        let mut flags = 0;
        if buffer.device_writes {
            flags |= FLAG_WRITE;
        }
        if next.is_some() {
            flags |= FLAG_NEXT;
        }
        let tail = u64::from(buffer.len)
            | u64::from(flags) << 32
            | u64::from(next.unwrap_or_default()) << 48;
        let offset = DESCRIPTOR_LEN * usize::from(index);
        self.memory.write64(offset, buffer.addr.raw());
        self.memory.write64(offset + 8, tail);
    }

    fn offer(&mut self, head: u16) {
        let slot = usize::from(self.avail_next & (self.size - 1));
        self.memory.write16(self.layout.avail + 4 + 2 * slot, head);
        self.avail_next = self.avail_next.wrapping_add(1);
        // The entry before the index that announces it.
        fence(Ordering::Release);
        self.memory.write16(self.layout.avail + 2, self.avail_next);
    }
}

#[cfg(test)]
mod tests;
