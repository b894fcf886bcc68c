//! [`Held`]: blocks that were freed by a transaction that isn't committed yet. They can't be
//! given out: after a crash they belong to their old owner again, whose contents must still be
//! there.

use super::bitmap;
use super::error::{Error, Result};
use alloc::vec::Vec;
use hashbrown::HashMap;

/// Freed blocks by group, as bitmaps.
#[derive(Debug, Default)]
pub(super) struct Held {
    groups: HashMap<u32, Vec<u8>>,
    /// How many they are.
    blocks: u64,
    /// Those of the running operation: group, first bit, number.
    current: Vec<(u32, u32, u32)>,
}

impl Held {
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Holds `length` blocks of a group, whose bitmap has `size` bytes.
    pub(super) fn hold(&mut self, group: u32, bit: u32, length: u32, size: usize) -> Result<()> {
        self.groups.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.current.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let bits = self.groups.entry(group).or_default();
        if bits.is_empty() {
            bits.try_reserve_exact(size).map_err(|_| Error::NoMemory)?;
            bits.resize(size, 0);
        }
        bitmap::set(bits, bit, length)?;
        self.current.push((group, bit, length));
        self.blocks += u64::from(length);
        Ok(())
    }

    /// The running operation is done.
    pub(super) fn keep(&mut self) {
        self.current.clear();
    }

    /// The running operation is taken back: what it freed is in use again.
    pub(super) fn undo(&mut self) {
        while let Some((group, bit, length)) = self.current.pop() {
            self.blocks = self.blocks.saturating_sub(u64::from(length));
            if let Some(bits) = self.groups.get_mut(&group) {
                // It was set with the same bounds.
                let _ = bitmap::clear(bits, bit, length);
            }
        }
    }

    /// The transaction is committed: the blocks are free.
    pub(super) fn release(&mut self) {
        self.groups.clear();
        self.groups.shrink_to(16);
        self.blocks = 0;
    }

    /// A group's bitmap with the held blocks as used; `None` where it holds none.
    pub(super) fn over(&self, group: u32, bitmap: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(held) = self.groups.get(&group) else {
            return Ok(None);
        };
        let mut merged = Vec::new();
        merged
            .try_reserve_exact(bitmap.len())
            .map_err(|_| Error::NoMemory)?;
        merged.extend_from_slice(bitmap);
        // A block is whole words.
        let (words, _) = merged.as_chunks_mut::<8>();
        for (used, held) in words.iter_mut().zip(held.as_chunks::<8>().0) {
            *used = (u64::from_ne_bytes(*used) | u64::from_ne_bytes(*held)).to_ne_bytes();
        }
        Ok(Some(merged))
    }
}
