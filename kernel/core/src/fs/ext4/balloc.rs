//! Allocating and freeing blocks: as near to a goal and in as few pieces as possible.

use super::Ext4;
use super::bitmap;
use super::buffer::Kind;
use super::device::Device;
use super::error::{Error, Result};
use super::group::{BLOCK_UNINIT, Desc};
use super::inode::Inode;
use crate::num::{low32, usize_of32};

/// Groups whose bitmaps are searched for a whole run before the best piece so far will do.
const PATIENCE: u32 = 16;
/// A piece this long is taken at the goal even when more was wanted: 8 MiB of 4 KiB blocks.
const LONG_RUN: u32 = 2048;
/// Blocks kept for the metadata of promised data.
const METADATA_SLACK: u64 = 32;

/// A run of free blocks within a group.
#[derive(Clone, Copy, Debug)]
struct Run {
    group: u32,
    bit: u32,
    length: u32,
}

impl<D: Device> Ext4<D> {
    /// Free blocks that the caller may have: not those kept for root, nor those promised.
    pub(super) fn available(&self) -> u64 {
        let counters = self.sup.counters;
        self.spendable(counters.reserved)
    }

    /// Free blocks beyond what is kept for root, and for `promised` blocks with their metadata.
    fn spendable(&self, promised: u64) -> u64 {
        let root = if self.privileged {
            0
        } else {
            self.sup.reserved_blocks
        };
        let promised = match promised {
            0 => 0,
            n => n.saturating_add(n / 128).saturating_add(METADATA_SLACK),
        };
        self.sup
            .counters
            .free_blocks
            .saturating_sub(root.saturating_add(promised))
    }

    /// Whether operations may use the blocks that are kept for root (`mke2fs -m`): set it before
    /// operations on behalf of one who may.
    pub fn set_privileged(&mut self, privileged: bool) {
        self.privileged = privileged;
    }

    /// Promises `blocks` blocks to data that will be written later, with [`super::Fill::Promised`].
    ///
    /// # Errors
    /// [`Error::NoSpace`]
    pub fn reserve(&mut self, blocks: u64) -> Result<()> {
        if !self.writable {
            return Err(Error::ReadOnly);
        }
        let before = self.sup.counters.reserved;
        if self.spendable(before.saturating_add(blocks)) <= self.sup.kept_clusters() {
            return Err(Error::NoSpace);
        }
        self.sup.counters.reserved += blocks;
        Ok(())
    }

    /// Takes back what [`Ext4::reserve`] promised: it was allocated, or won't be written.
    pub fn unreserve(&mut self, blocks: u64) {
        let reserved = &mut self.sup.counters.reserved;
        *reserved = reserved.saturating_sub(blocks);
    }

    /// Where the first blocks of an inode should lie: in its own group; with flexible groups
    /// files begin in the second group of the set, so that directories stay together.
    pub(super) fn inode_goal(&self, inode: &Inode) -> u64 {
        let (mut group, _) = self.sup.inode_group(inode.ino);
        let flex = self.sup.flex_bits;
        if flex >= 2 {
            group = group >> flex << flex;
            if !inode.is_dir() && group + 1 < self.sup.groups {
                group += 1;
            }
        }
        self.sup.group_first_block(group)
    }

    /// Allocates up to `want` blocks in one piece, near `goal`, for file data or metadata.
    pub(super) fn alloc_blocks(&mut self, goal: u64, want: u32) -> Result<(u64, u32)> {
        let available = self.available();
        if available == 0 || want == 0 {
            return Err(Error::NoSpace);
        }
        let want = u64::from(want).min(available);
        let want = low32(want).min(self.sup.blocks_per_group);
        let goal = if self.sup.has_block(goal) {
            goal
        } else {
            self.sup.first_data_block
        };
        let run = self.search(goal, want)?.ok_or(Error::NoSpace)?;
        self.take(run)?;
        let start = self.sup.group_first_block(run.group) + u64::from(run.bit);
        Ok((start, run.length))
    }

    fn search(&mut self, goal: u64, want: u32) -> Result<Option<Run>> {
        let (home, bit) = self.sup.group_of(goal);
        if let Some(run) = self.search_home(home, bit, want)? {
            return Ok(Some(run));
        }
        let mut best: Option<Run> = None;
        for least in [want, 1] {
            let mut tried = 0;
            for step in 0..self.sup.groups {
                let group = low32((u64::from(home) + u64::from(step)) % u64::from(self.sup.groups));
                let Some(run) = self.search_group(group, 0, want, least)? else {
                    continue;
                };
                tried += 1;
                if best.is_none_or(|best| run.length > best.length) {
                    best = Some(run);
                }
                let enough = best.is_some_and(|best| best.length >= want.min(LONG_RUN));
                if enough || tried >= PATIENCE {
                    return Ok(best);
                }
            }
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }

    /// The goal itself, or else a whole run behind it in its group.
    fn search_home(&mut self, group: u32, bit: u32, want: u32) -> Result<Option<Run>> {
        let desc = self.desc(group)?;
        if desc.free_blocks == 0 {
            return Ok(None);
        }
        let slot = self.block_bitmap(group, &desc)?;
        let end = self.sup.group_blocks(group);
        let merged = self.held.over(group, self.cache.data(slot))?;
        let bytes = merged.as_deref().unwrap_or(self.cache.data(slot));
        let length = bitmap::clear_run(bytes, bit, end.min(bit.saturating_add(want)));
        if length == want || length >= LONG_RUN {
            return Ok(Some(Run { group, bit, length }));
        }
        let found = bitmap::best_run(bytes, bit, end, want);
        Ok(found
            .filter(|(_, length)| *length == want)
            .map(|(bit, length)| Run { group, bit, length }))
    }

    /// The first whole or else the longest run in a group that has at least `least` blocks free.
    fn search_group(
        &mut self,
        group: u32,
        from: u32,
        want: u32,
        least: u32,
    ) -> Result<Option<Run>> {
        let desc = self.desc(group)?;
        if desc.free_blocks < least.max(1) {
            return Ok(None);
        }
        let slot = self.block_bitmap(group, &desc)?;
        let end = self.sup.group_blocks(group);
        let merged = self.held.over(group, self.cache.data(slot))?;
        let bytes = merged.as_deref().unwrap_or(self.cache.data(slot));
        let found = bitmap::best_run(bytes, from, end, want);
        Ok(found.map(|(bit, length)| Run { group, bit, length }))
    }

    /// Marks a run used.
    fn take(&mut self, run: Run) -> Result<()> {
        let mut desc = self.desc(run.group)?;
        self.check_apart(&desc, run)?;
        self.block_bitmap(run.group, &desc)?;
        let bytes = self.edit_bits(&desc, run)?;
        bitmap::set(bytes, run.bit % 8, run.length)?;
        desc.flags &= !BLOCK_UNINIT;
        desc.free_blocks = desc
            .free_blocks
            .checked_sub(run.length)
            .ok_or(Error::Corrupt("group descriptor: free blocks"))?;
        self.set_desc(run.group, &desc)?;
        let free = &mut self.sup.counters.free_blocks;
        *free = free.saturating_sub(u64::from(run.length));
        Ok(())
    }

    /// The bytes of a group's bitmap that hold a run, to be changed.
    fn edit_bits(&mut self, desc: &Desc, run: Run) -> Result<&mut [u8]> {
        let first = usize_of32(run.bit / 8);
        let last = usize_of32((run.bit + run.length).div_ceil(8));
        let kind = Kind::BlockBitmap(run.group);
        self.cache.edit(desc.block_bitmap, kind, first..last)
    }

    /// No run may lie over the group's own bitmaps or inode table, whatever the bitmap says.
    fn check_apart(&self, desc: &Desc, run: Run) -> Result<()> {
        let start = self.sup.group_first_block(run.group) + u64::from(run.bit);
        let end = start + u64::from(run.length);
        let own = [
            (desc.block_bitmap, 1),
            (desc.inode_bitmap, 1),
            (desc.inode_table, self.sup.table_blocks()),
        ];
        let meets = |(first, length): &(u64, u64)| *first < end && start < first + length;
        let base = run.bit < self.sup.base_meta_blocks(run.group);
        if base || own.iter().any(meets) {
            return Err(Error::Corrupt("block bitmap"));
        }
        Ok(())
    }

    /// Frees `length` blocks from `start` on, which may span groups.
    pub(super) fn free_blocks(&mut self, start: u64, length: u64) -> Result<()> {
        if !self.sup.has_blocks(start, length) {
            return Err(Error::Corrupt("block number"));
        }
        let mut at = start;
        let end = start + length;
        while at < end {
            let (group, bit) = self.sup.group_of(at);
            let rest = u64::from(self.sup.group_blocks(group).saturating_sub(bit));
            let here = rest.min(end - at);
            if here == 0 {
                return Err(Error::Corrupt("block number"));
            }
            let length = low32(here);
            self.give_back(Run { group, bit, length })?;
            at += here;
        }
        self.cache.forget(start, length)
    }

    fn give_back(&mut self, run: Run) -> Result<()> {
        let mut desc = self.desc(run.group)?;
        self.check_apart(&desc, run)?;
        let slot = self.block_bitmap(run.group, &desc)?;
        let end = run.bit + run.length;
        if bitmap::first_clear(self.cache.data(slot), run.bit, end).is_some() {
            return Err(Error::Corrupt("block bitmap: freed twice"));
        }
        let bytes = self.edit_bits(&desc, run)?;
        bitmap::clear(bytes, run.bit % 8, run.length)?;
        self.trimmed.forget(run.group);
        if self.journal.is_some() || self.discard {
            let size = self.sup.block_size;
            self.held.hold(run.group, run.bit, run.length, size)?;
        }
        desc.flags &= !BLOCK_UNINIT;
        desc.free_blocks += run.length;
        if desc.free_blocks > self.sup.group_blocks(run.group) {
            return Err(Error::Corrupt("group descriptor: free blocks"));
        }
        self.set_desc(run.group, &desc)?;
        self.sup.counters.free_blocks += u64::from(run.length);
        Ok(())
    }

    /// Allocates one block of metadata for `inode` near `goal`, filled with zeros.
    pub(super) fn alloc_meta(&mut self, inode: &mut Inode, goal: u64, kind: Kind) -> Result<u64> {
        let (block, _) = self.alloc_blocks(goal, 1)?;
        self.cache.fresh(block, kind)?;
        inode.add_blocks(&self.sup, 1);
        Ok(block)
    }

    pub(super) fn free_meta(&mut self, inode: &mut Inode, block: u64) -> Result<()> {
        self.free_blocks(block, 1)?;
        inode.drop_blocks(&self.sup, 1);
        Ok(())
    }
}
