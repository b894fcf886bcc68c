//! [`Held`]: blocks that were freed by a transaction that isn't committed yet. They can't be
//! given out: after a crash they belong to their old owner again, whose contents must still be
//! there.

use super::bitmap;
use super::error::{Error, Result};
use alloc::vec::Vec;

/// Freed blocks as bitmaps of their groups, which are in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    groups: Vec<(u32, Vec<u8>)>,
    /// How many they are.
    blocks: u64,
    /// Those of the running operation: group, first bit, number.
    current: Vec<(u32, u32, u32)>,
}

impl Held {
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The groups with such blocks, and which they are.
    pub(super) fn groups(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let all = self.groups.iter();
        all.map(|(group, bits)| (*group, bits.as_slice()))
    }

    /// Where a group is, or would be.
    fn place(&self, group: u32) -> core::result::Result<usize, usize> {
        self.groups
            .binary_search_by_key(&group, |(group, _)| *group)
    }

    /// Holds `length` blocks of a group, whose bitmap has `size` bytes.
    pub(super) fn hold(&mut self, group: u32, bit: u32, length: u32, size: usize) -> Result<()> {
        self.current.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let at = match self.place(group) {
            Ok(at) => at,
            Err(at) => {
                let mut bits = Vec::new();
                bits.try_reserve_exact(size).map_err(|_| Error::NoMemory)?;
                bits.resize(size, 0);
                self.groups.try_reserve(1).map_err(|_| Error::NoMemory)?;
                self.groups.insert(at, (group, bits));
                at
            }
        };
        let (_, bits) = self.groups.get_mut(at).ok_or(Error::Invalid)?;
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
            let at = self.place(group).unwrap_or(usize::MAX);
            if let Some((_, bits)) = self.groups.get_mut(at) {
                // It was set with the same bounds.
                let _ = bitmap::clear(bits, bit, length);
            }
        }
    }

    /// The transaction is committed: the blocks are free.
    pub(super) fn release(&mut self) {
        self.groups = Vec::new();
        self.blocks = 0;
    }

    /// A group's bitmap with the held blocks as used; `None` where it holds none.
    pub(super) fn over(&self, group: u32, bitmap: &[u8]) -> Result<Option<Vec<u8>>> {
        let at = self.place(group).unwrap_or(usize::MAX);
        let Some((_, held)) = self.groups.get(at) else {
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
