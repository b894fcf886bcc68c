//! What the device is told that nobody needs any more: blocks as they are freed (`-o discard`), and all that are free
//! (`FITRIM`).
//!
//! Blocks that a transaction freed stay held until it is committed ([`super::held`]), so a replay never brings back what was
//! discarded.

use super::Ext4;
use super::bitmap;
use super::buffer::Cache;
use super::device::Device;
use super::error::{Error, Result};
use super::superblock::Super;
use crate::num::{low32, u64_of, usize_of32};
use alloc::vec::Vec;
use core::ops::Range;

/// Groups of which the device knows that all is free that is: a bit for each.
#[derive(Debug, Default)]
pub(super) struct Trimmed {
    groups: Vec<u8>,
    /// Shorter runs weren't told.
    least: u32,
}

impl Trimmed {
    pub(super) fn forget(&mut self, group: u32) {
        if let Some(byte) = self.groups.get_mut(usize_of32(group / 8)) {
            *byte &= !(1 << (group % 8));
        }
    }

    fn has(&self, group: u32, least: u32) -> bool {
        least >= self.least && bitmap::is_set(&self.groups, group).unwrap_or(false)
    }

    fn note(&mut self, group: u32, groups: u32, least: u32) {
        let bytes = usize_of32(groups.div_ceil(8));
        if least != self.least {
            self.groups.clear();
            self.least = least;
        }
        if self.groups.try_reserve(bytes).is_ok() {
            self.groups.resize(bytes, 0);
            // Within what was just made.
            let _ = bitmap::set(&mut self.groups, group, 1);
        }
    }
}

/// Discards runs of a group's `blocks`, at least `least` long, whose bits in `map` are so; how many bytes they were.
#[inline(never)]
fn tell<D: Device>(
    dev: &mut D,
    sup: &Super,
    group: u32,
    (map, bits): (&[u8], bool),
    blocks: Range<u32>,
    least: u32,
) -> Result<u64> {
    let first = sup.group_first_block(group);
    let (mut at, mut told) = (blocks.start, 0);
    while let Some(start) = bitmap::find(map, at, blocks.end, bits) {
        at = bitmap::find(map, start, blocks.end, !bits).unwrap_or(blocks.end);
        if at - start >= least {
            let place = (first + u64::from(start)) << sup.block_bits;
            let bytes = u64::from(at - start) << sup.block_bits;
            dev.discard(place, bytes).map_err(|_| Error::Io)?;
            told += bytes;
        }
    }
    Ok(told)
}

impl<D: Device> Ext4<D> {
    /// Whether freed blocks are discarded as soon as they can be given out again.
    pub fn set_discard(&mut self, on: bool) {
        self.discard = on;
    }

    /// What was freed is free for good: it can be given out, and discarded.
    pub(super) fn release_held(&mut self) {
        if self.discard {
            for (group, held) in self.held.groups() {
                let blocks = 0..self.sup.group_blocks(group);
                // A device that can't leaves it; nobody counts on it.
                let _ = tell(
                    &mut self.cache.dev,
                    &self.sup,
                    group,
                    (held, true),
                    blocks,
                    1,
                );
            }
        }
        self.held.release();
    }

    /// The blocks that a range in bytes stands for (`struct fstrim_range`), and the length of the shortest run.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are none, or no run can be so long.
    pub fn trim_range(&self, [start, length, least]: [u64; 3]) -> Result<(Range<u64>, u32)> {
        let bits = self.sup.block_bits;
        let (first, least) = (start >> bits, least >> bits);
        let too_long = least > u64::from(self.sup.blocks_per_group);
        if too_long || first >= self.sup.blocks || length < u64_of(self.sup.block_size) {
            return Err(Error::Invalid);
        }
        let end = first.saturating_add(length >> bits).min(self.sup.blocks);
        Ok((first.max(self.sup.first_data_block)..end, low32(least)))
    }

    /// Discards what is free in the first group of `range`, in runs of at least `least` blocks, and takes it off the range;
    /// how many bytes they were.
    ///
    /// # Errors
    /// When the disk can't be read.
    pub fn trim(&mut self, range: &mut Range<u64>, least: u32) -> Result<u64> {
        let (group, from) = self.sup.group_of(range.start);
        let first = self.sup.group_first_block(group);
        let blocks = self.sup.group_blocks(group);
        let end = range.end.min(first + u64::from(blocks));
        range.start = end.max(range.start + 1);
        let to = low32(end - first);
        let desc = self.desc(group)?;
        if desc.free_blocks < least || self.trimmed.has(group, least) {
            return Ok(0);
        }
        let slot = self.block_bitmap(group, &desc)?;
        let merged = self.held.over(group, self.cache.data(slot))?;
        let Cache { dev, slots, .. } = &mut self.cache;
        let own = slots.get(slot).map_or(&[][..], |buffer| &buffer.data);
        let used = merged.as_deref().unwrap_or(own);
        let told = tell(dev, &self.sup, group, (used, false), from..to, least)?;
        if from == 0 && to == blocks && merged.is_none() {
            self.trimmed.note(group, self.sup.groups, least);
        }
        Ok(told)
    }
}
