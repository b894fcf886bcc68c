//! The changed buffers of a [`Cache`]: which they are, how many there may be, and writing them, to their places or by way
//! of the journal.

use super::buffer::{BATCH_BYTES, Buffer, Cache, Kind, NOWHERE};
use super::device::Device;
use super::error::{Error, Result};
use crate::sort;
use alloc::vec::Vec;

/// Changed buffers that there may be in the smallest cache: a commit costs two flushes.
const LEAST_PINNED: usize = 64;

/// Block and kind of `count` buffers, in the order of the disk.
fn in_order<'a>(
    count: usize,
    buffers: impl Iterator<Item = &'a Buffer>,
) -> Result<Vec<(u64, Kind)>> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| Error::NoMemory)?;
    for buffer in buffers.take(count) {
        list.push((buffer.block, buffer.kind));
    }
    sort::by_key(&mut list, |(block, _)| *block);
    Ok(list)
}

impl<D: Device> Cache<D> {
    /// Whether so much is dirty that it should be written soon.
    pub(super) fn is_strained(&self) -> bool {
        self.dirty > self.capacity / 2
    }

    /// How many buffers may be dirty, and how many logged, before something is done about it.
    pub(super) fn most_pinned(&self) -> usize {
        (self.capacity / 2).max(LEAST_PINNED)
    }

    /// Block and kind of every dirty buffer, in the order of the disk.
    pub(super) fn dirty_blocks(&mut self) -> Result<Vec<(u64, Kind)>> {
        self.strike_clean();
        let dirty = self.changed.iter().filter_map(|slot| self.slots.get(*slot));
        in_order(self.changed.len(), dirty)
    }

    /// Strikes off the list of changed buffers those that are clean by now.
    fn strike_clean(&mut self) {
        let slots = &mut self.slots;
        self.changed.retain(|slot| {
            slots.get_mut(*slot).is_some_and(|buffer| {
                buffer.listed = buffer.dirty;
                buffer.dirty
            })
        });
    }

    /// The contents of a block that is here for sure: a dirty one.
    pub(super) fn held(&self, block: u64) -> Result<&[u8]> {
        let slot = self.index.get(&block).copied().ok_or(Error::Invalid)?;
        Ok(self.data(slot))
    }

    /// Dirty blocks are in the journal now.
    pub(super) fn note_logged(&mut self, blocks: &[u64]) {
        for block in blocks {
            let Some(buffer) = self.buffer_of(*block) else {
                continue;
            };
            let (was_dirty, was_logged) = (buffer.dirty, buffer.logged);
            buffer.dirty = false;
            buffer.logged = true;
            self.dirty -= usize::from(was_dirty);
            self.logged += usize::from(!was_logged);
        }
        self.revoked.clear();
    }

    /// Writes every logged block to its place. They stay logged: the journal still has them.
    pub(super) fn write_logged(&mut self) -> Result<()> {
        let logged = self.slots.iter().filter(|buffer| buffer.logged);
        let list = in_order(self.logged, logged)?;
        self.write_list(&list)
    }

    /// The journal is empty: nothing of it is needed any more.
    pub(super) fn forget_logged(&mut self) {
        for buffer in &mut self.slots {
            buffer.logged = false;
        }
        self.logged = 0;
        self.trim();
    }

    /// Writes every dirty block, neighbours together. What fails stays dirty.
    pub(super) fn write_dirty(&mut self) -> Result<()> {
        let list = self.dirty_blocks()?;
        self.write_list(&list)?;
        self.trim();
        Ok(())
    }

    fn write_list(&mut self, list: &[(u64, Kind)]) -> Result<()> {
        let mut rest = list;
        let most = (BATCH_BYTES / self.block_size).max(1);
        while let Some((first, _)) = rest.first().copied() {
            let run = rest
                .iter()
                .zip(first..)
                .take(most)
                .take_while(|((block, _), next)| block == next)
                .count();
            let (batch, after) = rest.split_at_checked(run.max(1)).ok_or(Error::Invalid)?;
            self.write_run(first, batch)?;
            rest = after;
        }
        Ok(())
    }

    fn write_run(&mut self, first: u64, run: &[(u64, Kind)]) -> Result<()> {
        let offset = self.offset(first)?;
        self.batch.clear();
        for (block, _) in run {
            let slot = self.index.get(block).copied().ok_or(Error::Invalid)?;
            let buffer = self.slots.get(slot).ok_or(Error::Invalid)?;
            self.batch.extend_from_slice(&buffer.data);
        }
        self.dev.write(offset, &self.batch).map_err(|_| Error::Io)?;
        for (block, _) in run {
            if let Some(buffer) = self.buffer_of(*block)
                && core::mem::take(&mut buffer.dirty)
            {
                self.dirty -= 1;
            }
        }
        Ok(())
    }

    /// Gives back the buffers that one large operation needed beyond the capacity.
    fn trim(&mut self) {
        self.strike_clean();
        while self.slots.len() > self.capacity {
            let last = self.slots.last();
            if last.is_none_or(|buffer| buffer.dirty || buffer.logged) {
                return;
            }
            if let Some(buffer) = self.slots.pop()
                && buffer.block != NOWHERE
            {
                self.index.remove(&buffer.block);
            }
        }
        if self.hand >= self.slots.len() {
            self.hand = 0;
        }
    }
}
