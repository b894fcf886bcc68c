//! [`Cache`]: metadata blocks in private buffers, with the undo log of the running transaction.
//!
//! Clean buffers are bounded by the capacity and evicted by a clock; dirty ones stay until
//! [`Cache::write_dirty`]. Every change goes through [`Cache::edit`], which notes the bytes as
//! they were: [`Cache::abort`] puts them back, so a failed operation leaves nothing behind.
//! Checksums are set when blocks are written (see `seal.rs`), not with every change.

use super::device::Device;
use super::error::{Error, Result};
use super::undo::Log;
use crate::num::u64_of;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// What a metadata block holds, with what its checksum needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No checksum of its own: indirect blocks, symlink targets, the superblock, the journal.
    Plain,
    /// Group descriptors, the first of which is this group's.
    Descriptors(u32),
    BlockBitmap(u32),
    InodeBitmap(u32),
    /// Each inode has its own checksum, checked when it's loaded.
    Inodes,
    /// A block of the directory with this checksum seed.
    Directory(u32),
    /// A node of the extent tree of the inode with this checksum seed.
    Extents(u32),
    Attributes,
}

/// A buffer's number within the cache; valid until the next call that may evict.
pub(super) type Slot = usize;

pub(super) const NOWHERE: u64 = u64::MAX;
/// How much is written at once when dirty blocks are neighbours.
pub(super) const BATCH_BYTES: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) block: u64,
    pub(super) kind: Kind,
    pub(super) data: Vec<u8>,
    pub(super) dirty: bool,
    /// It is in the cache's list of changed buffers.
    pub(super) listed: bool,
    /// As last committed it is in the journal, but not in its place yet.
    pub(super) logged: bool,
    /// Used since the clock's hand last passed.
    pub(super) used: bool,
    /// Bit 0: the block's checksum is right; for inode tables bit n: that of inode n.
    pub(super) verified: u64,
}

/// The buffers and the device beneath them.
#[derive(Debug)]
pub(super) struct Cache<D> {
    pub(super) dev: D,
    pub(super) block_size: usize,
    pub(super) slots: Vec<Buffer>,
    pub(super) index: HashMap<u64, Slot>,
    pub(super) hand: usize,
    pub(super) capacity: usize,
    pub(super) dirty: usize,
    /// The dirty ones, and some that were since the list was last gone through. It has room for all slots.
    pub(super) changed: Vec<Slot>,
    pub(super) logged: usize,
    /// Blocks freed by the running transaction that the journal has contents for.
    pub(super) revoked: Vec<u64>,
    pub(super) log: Log,
    pub(super) batch: Vec<u8>,
}

impl<D: Device> Cache<D> {
    /// A cache that holds about `capacity` clean blocks.
    pub(super) fn new(dev: D, block_size: usize, capacity: usize) -> Result<Self> {
        let mut batch = Vec::new();
        batch
            .try_reserve_exact(BATCH_BYTES)
            .map_err(|_| Error::NoMemory)?;
        Ok(Self {
            dev,
            block_size,
            slots: Vec::new(),
            index: HashMap::new(),
            hand: 0,
            capacity: capacity.max(16),
            dirty: 0,
            changed: Vec::new(),
            logged: 0,
            revoked: Vec::new(),
            log: Log::default(),
            batch,
        })
    }

    /// The buffer of `block`, read from the device when it isn't here.
    pub(super) fn get(&mut self, block: u64, kind: Kind) -> Result<Slot> {
        if let Some(slot) = self.find(block, kind)? {
            return Ok(slot);
        }
        let slot = self.vacant()?;
        let offset = self.offset(block)?;
        let buffer = self.slots.get_mut(slot).ok_or(Error::NoMemory)?;
        self.dev
            .read(offset, &mut buffer.data)
            .map_err(|_| Error::Io)?;
        self.occupy(slot, block, kind)?;
        Ok(slot)
    }

    /// The buffer of `block` if it is here. Another kind than noted means that it is to be
    /// checked anew, or, when it's dirty, that two structures claim one block.
    pub(super) fn find(&mut self, block: u64, kind: Kind) -> Result<Option<Slot>> {
        let Some(slot) = self.index.get(&block).copied() else {
            return Ok(None);
        };
        let buffer = self.slots.get_mut(slot).ok_or(Error::Invalid)?;
        buffer.used = true;
        if buffer.kind != kind {
            if buffer.dirty {
                return Err(Error::Corrupt("block that two structures claim"));
            }
            buffer.kind = kind;
            buffer.verified = 0;
        }
        Ok(Some(slot))
    }

    /// A buffer for `block` that holds zeros, whatever the device holds. Not dirty.
    pub(super) fn blank(&mut self, block: u64, kind: Kind) -> Result<Slot> {
        let slot = match self.index.get(&block).copied() {
            Some(slot) => slot,
            None => {
                let slot = self.vacant()?;
                self.occupy(slot, block, kind)?;
                slot
            }
        };
        let buffer = self.slots.get_mut(slot).ok_or(Error::Invalid)?;
        buffer.kind = kind;
        buffer.data.fill(0);
        buffer.verified = 0;
        Ok(slot)
    }

    pub(super) fn data(&self, slot: Slot) -> &[u8] {
        self.slots.get(slot).map_or(&[], |buffer| &buffer.data)
    }

    /// The bytes to fill in after [`Cache::blank`], or the checksum when sealing: no undo.
    pub(super) fn data_mut(&mut self, slot: Slot) -> &mut [u8] {
        self.slots
            .get_mut(slot)
            .map_or(&mut [], |buffer| &mut buffer.data)
    }

    pub(super) fn is_verified(&self, slot: Slot, bit: u32) -> bool {
        self.slots
            .get(slot)
            .is_some_and(|buffer| bit < 64 && buffer.verified >> bit & 1 != 0)
    }

    pub(super) fn set_verified(&mut self, slot: Slot, bit: u32) {
        if let Some(buffer) = self.slots.get_mut(slot)
            && bit < 64
        {
            buffer.verified |= 1 << bit;
        }
    }

    pub(super) fn vacate(&mut self, slot: Slot) {
        if let Some(buffer) = self.slots.get_mut(slot) {
            if buffer.dirty {
                self.dirty -= 1;
            }
            if buffer.logged {
                self.logged -= 1;
            }
            buffer.dirty = false;
            buffer.logged = false;
            buffer.used = false;
            buffer.block = NOWHERE;
        }
    }

    pub(super) fn mark_dirty(&mut self, slot: Slot) {
        if let Some(buffer) = self.slots.get_mut(slot)
            && !buffer.dirty
        {
            buffer.dirty = true;
            self.dirty += 1;
            if !core::mem::replace(&mut buffer.listed, true) {
                self.changed.push(slot);
            }
        }
    }

    pub(super) fn offset(&self, block: u64) -> Result<u64> {
        block
            .checked_mul(u64_of(self.block_size))
            .ok_or(Error::Corrupt("block number"))
    }

    fn occupy(&mut self, slot: Slot, block: u64, kind: Kind) -> Result<()> {
        self.index.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let buffer = self.slots.get_mut(slot).ok_or(Error::Invalid)?;
        buffer.block = block;
        buffer.kind = kind;
        buffer.used = true;
        buffer.verified = 0;
        self.index.insert(block, slot);
        Ok(())
    }

    /// A slot that holds nothing: a new one, or a clean one evicted.
    fn vacant(&mut self) -> Result<Slot> {
        if self.slots.len() < self.capacity {
            return self.grow();
        }
        if (self.dirty + self.logged) * 4 > self.slots.len() * 3 {
            return self.grow();
        }
        for _ in 0..2 * self.slots.len() {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            let Some(buffer) = self.slots.get_mut(slot) else {
                continue;
            };
            if buffer.dirty || buffer.logged {
                continue;
            }
            if core::mem::take(&mut buffer.used) {
                continue;
            }
            if buffer.block != NOWHERE {
                self.index.remove(&buffer.block);
                buffer.block = NOWHERE;
            }
            return Ok(slot);
        }
        self.grow()
    }

    fn grow(&mut self) -> Result<Slot> {
        let mut data = Vec::new();
        data.try_reserve_exact(self.block_size)
            .map_err(|_| Error::NoMemory)?;
        data.resize(self.block_size, 0);
        self.slots.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let room = (self.slots.len() + 1).saturating_sub(self.changed.len());
        self.changed
            .try_reserve(room)
            .map_err(|_| Error::NoMemory)?;
        self.slots.push(Buffer {
            block: NOWHERE,
            kind: Kind::Plain,
            data,
            dirty: false,
            listed: false,
            logged: false,
            used: false,
            verified: 0,
        });
        Ok(self.slots.len() - 1)
    }

    /// Reads `buffer` from the device, past the buffers: file contents.
    pub(super) fn read_raw(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.dev.read(offset, buffer).map_err(|_| Error::Io)
    }

    pub(super) fn write_raw(&mut self, offset: u64, buffer: &[u8]) -> Result<()> {
        self.dev.write(offset, buffer).map_err(|_| Error::Io)
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.dev.flush().map_err(|_| Error::Io)
    }
}
