//! The undo log: a transaction's changes of buffers, and how they are taken back.

use super::buffer::{Buffer, Cache, Kind, NOWHERE};
use super::bytes::part_mut;
use super::device::Device;
use super::error::{Error, Result};
use crate::num::u64_of;
use alloc::vec::Vec;
use core::ops::Range;

/// One step of the undo log.
#[derive(Debug)]
enum Undo {
    /// `length` bytes at `at`, saved at the end of the log's bytes.
    Bytes {
        block: u64,
        at: usize,
        length: usize,
    },
    /// The buffer didn't exist, or not as metadata.
    Fresh { block: u64 },
    /// The block's kind was another.
    Kind { block: u64, kind: Kind },
}

/// The running transaction.
#[derive(Debug, Default)]
pub(super) struct Log {
    open: bool,
    steps: Vec<Undo>,
    bytes: Vec<u8>,
    /// Freed blocks, whose buffers go at commit.
    forgotten: Vec<u64>,
}

impl<D: Device> Cache<D> {
    /// Starts `block` anew as zeros of `kind`, as part of the transaction: it was just allocated.
    pub(super) fn fresh(&mut self, block: u64, kind: Kind) -> Result<()> {
        let dirty_before = self
            .index
            .get(&block)
            .and_then(|slot| self.slots.get(*slot))
            .filter(|buffer| buffer.dirty)
            .map(|buffer| buffer.kind);
        self.log.forgotten.retain(|freed| *freed != block);
        match dirty_before {
            Some(before) => {
                self.edit(block, before, 0..self.block_size)?;
                self.step(Undo::Kind {
                    block,
                    kind: before,
                })?;
            }
            None => self.step(Undo::Fresh { block })?,
        }
        let slot = self.blank(block, kind)?;
        self.set_verified(slot, 0);
        self.mark_dirty(slot);
        Ok(())
    }

    /// The bytes `at` of `block` to be changed, noted as they were; the block becomes dirty.
    pub(super) fn edit(&mut self, block: u64, kind: Kind, at: Range<usize>) -> Result<&mut [u8]> {
        let slot = self.get(block, kind)?;
        if self.log.open {
            let buffer = self.slots.get(slot).ok_or(Error::Invalid)?;
            let old = super::bytes::part(&buffer.data, at.clone())?;
            let bytes = &mut self.log.bytes;
            bytes.try_reserve(old.len()).map_err(|_| Error::NoMemory)?;
            bytes.extend_from_slice(old);
            let length = old.len();
            self.step(Undo::Bytes {
                block,
                at: at.start,
                length,
            })?;
        }
        self.mark_dirty(slot);
        let buffer = self.slots.get_mut(slot).ok_or(Error::Invalid)?;
        part_mut(&mut buffer.data, at)
    }

    /// Drops the buffers of blocks that are being freed, at commit: they may hold file data next.
    pub(super) fn forget(&mut self, block: u64, length: u64) -> Result<()> {
        let Self {
            index,
            slots,
            log,
            revoked,
            ..
        } = self;
        let end = block.saturating_add(length);
        let mut note = |block| {
            log.forgotten.try_reserve(1).map_err(|_| Error::NoMemory)?;
            log.forgotten.push(block);
            // For the commit, which can't fail.
            let room = log.forgotten.len();
            revoked.try_reserve(room).map_err(|_| Error::NoMemory)
        };
        if length <= u64_of(slots.len()) {
            return (block..end)
                .filter(|block| index.contains_key(block))
                .try_for_each(note);
        }
        slots
            .iter()
            .map(|buffer| buffer.block)
            .filter(|held| *held != NOWHERE && (block..end).contains(held))
            .try_for_each(&mut note)
    }

    pub(super) fn begin(&mut self) {
        self.log.open = true;
    }

    /// Ends the transaction: its changes stay, to be written by [`Cache::write_dirty`].
    pub(super) fn commit(&mut self) {
        let forgotten = core::mem::take(&mut self.log.forgotten);
        for block in forgotten.iter().copied() {
            if self.buffer_of(block).is_some_and(|buffer| buffer.logged) {
                self.revoked.push(block);
            }
            self.discard(block);
        }
        self.log.forgotten = forgotten;
        self.close_log();
    }

    /// Ends the transaction and puts back every byte that it changed.
    pub(super) fn abort(&mut self) {
        while let Some(step) = self.log.steps.pop() {
            self.undo(&step);
        }
        self.close_log();
    }

    fn undo(&mut self, step: &Undo) {
        match *step {
            Undo::Fresh { block } => self.discard(block),
            Undo::Kind { block, kind } => {
                if let Some(buffer) = self.buffer_of(block) {
                    buffer.kind = kind;
                }
            }
            Undo::Bytes { block, at, length } => {
                let keep = self.log.bytes.len().saturating_sub(length);
                let mut saved = core::mem::take(&mut self.log.bytes);
                if let Some(old) = saved.get(keep..)
                    && let Some(buffer) = self.buffer_of(block)
                    && let Some(place) = buffer.data.get_mut(at..at.saturating_add(length))
                {
                    place.copy_from_slice(old);
                }
                saved.truncate(keep);
                self.log.bytes = saved;
            }
        }
    }

    pub(super) fn buffer_of(&mut self, block: u64) -> Option<&mut Buffer> {
        let slot = self.index.get(&block).copied()?;
        self.slots.get_mut(slot)
    }

    fn close_log(&mut self) {
        self.log.open = false;
        self.log.steps.clear();
        self.log.forgotten.clear();
        self.log.bytes.clear();
        // One large operation shouldn't hold its memory for ever.
        self.log.bytes.shrink_to(16 * 1024);
        self.log.steps.shrink_to(512);
    }

    fn discard(&mut self, block: u64) {
        if let Some(slot) = self.index.remove(&block) {
            self.vacate(slot);
        }
    }

    fn step(&mut self, step: Undo) -> Result<()> {
        if !self.log.open {
            return Ok(());
        }
        let steps = &mut self.log.steps;
        steps.try_reserve(1).map_err(|_| Error::NoMemory)?;
        steps.push(step);
        Ok(())
    }
}
