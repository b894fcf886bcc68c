//! Changing block maps: filling holes with blocks, and freeing ranges.

use super::Ext4;
use super::buffer::Kind;
use super::bytes::put32;
use super::device::Device;
use super::error::{Error, Result};
use super::indirect::{DIRECT, Route};
use super::inode::Inode;
use crate::num::{low32, usize_of32};

/// A run of blocks about to be freed, gathered while pointers are cleared.
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    start: u64,
    length: u64,
}

/// A pointer: in a block of pointers, or in the inode when `node` is 0.
#[derive(Clone, Copy, Debug)]
struct Slot {
    node: u64,
    index: usize,
}

impl<D: Device> Ext4<D> {
    fn set_pointer(&mut self, inode: &mut Inode, at: Slot, block: u64) -> Result<()> {
        let value = u32::try_from(block).map_err(|_| Error::NoSpace)?;
        if at.node == 0 {
            return put32(&mut inode.block, at.index * 4, value);
        }
        self.block(at.node, Kind::Plain)?;
        let range = at.index * 4..at.index * 4 + 4;
        put32(self.cache.edit(at.node, Kind::Plain, range)?, 0, value)
    }

    /// Allocates blocks for a hole of `length` blocks at `block`, as many as lie in one piece;
    /// answers the first and how many.
    pub(super) fn fill_indirect(
        &mut self,
        inode: &mut Inode,
        block: u32,
        length: u32,
    ) -> Result<(u64, u32)> {
        let route = Route::to(block, self.pointer_bits()).ok_or(Error::TooBig)?;
        let mut goal = self.inode_goal(inode);
        let mut node = 0;
        for level in 0..route.levels {
            let at = Slot {
                node,
                index: route.index(level),
            };
            let mut below = self.pointer(inode, node, at.index)?;
            if below == 0 {
                below = self.alloc_meta(inode, goal, Kind::Plain)?;
                self.set_pointer(inode, at, below)?;
            }
            goal = below + 1;
            node = below;
        }
        let index = route.index(route.levels);
        if index > 0 {
            let before = self.pointer(inode, node, index - 1)?;
            goal = if before == 0 { goal } else { before + 1 };
        }
        let end = if node == 0 {
            usize_of32(DIRECT)
        } else {
            1 << self.pointer_bits()
        };
        let room = low32(crate::num::u64_of(end.saturating_sub(index)));
        let (start, length) = self.alloc_blocks(goal, length.min(room))?;
        for step in 0..length {
            let at = Slot {
                node,
                index: index + usize_of32(step),
            };
            if self.pointer(inode, at.node, at.index)? != 0 {
                return Err(Error::Corrupt("block map"));
            }
            self.set_pointer(inode, at, start + u64::from(step))?;
        }
        inode.add_blocks(&self.sup, u64::from(length));
        Ok((start, length))
    }

    /// Frees the file's blocks `from..to`, and the blocks of pointers that this leaves empty.
    pub(super) fn cut_indirect(&mut self, inode: &mut Inode, from: u64, to: u64) -> Result<()> {
        let bits = self.pointer_bits();
        let mut gathered = Gathered::default();
        let mut first = 0u64;
        for index in 0..15usize {
            let levels = u32::try_from(index.saturating_sub(11)).unwrap_or(0);
            let span = 1u64 << (bits * levels);
            let at = Slot { node: 0, index };
            if first < to && first + span > from {
                self.cut_tree(inode, at, levels, (first, from, to), &mut gathered)?;
            }
            first += span;
        }
        self.free_gathered(inode, &mut gathered)
    }

    /// Frees what lies in `from..to` beneath one pointer, whose first block is `first`. Calls
    /// itself at most three deep.
    fn cut_tree(
        &mut self,
        inode: &mut Inode,
        at: Slot,
        levels: u32,
        (first, from, to): (u64, u64, u64),
        gathered: &mut Gathered,
    ) -> Result<()> {
        let block = self.pointer(inode, at.node, at.index)?;
        if block == 0 {
            return Ok(());
        }
        if levels == 0 {
            self.set_pointer(inode, at, 0)?;
            return self.gather(inode, block, gathered);
        }
        let bits = self.pointer_bits();
        let span = 1u64 << (bits * (levels - 1));
        let begin = from.saturating_sub(first) / span;
        let end = to.saturating_sub(first).div_ceil(span).min(1 << bits);
        for index in begin..end {
            let below = Slot {
                node: block,
                index: crate::num::usize_of(index),
            };
            let range = (first + index * span, from, to);
            self.cut_tree(inode, below, levels - 1, range, gathered)?;
        }
        if self.is_empty_node(block)? {
            self.set_pointer(inode, at, 0)?;
            self.free_meta(inode, block)?;
        }
        Ok(())
    }

    fn is_empty_node(&mut self, node: u64) -> Result<bool> {
        let slot = self.block(node, Kind::Plain)?;
        Ok(self.cache.data(slot).iter().all(|byte| *byte == 0))
    }

    fn gather(&mut self, inode: &mut Inode, block: u64, gathered: &mut Gathered) -> Result<()> {
        if gathered.length > 0 && gathered.start + gathered.length == block {
            gathered.length += 1;
            return Ok(());
        }
        self.free_gathered(inode, gathered)?;
        *gathered = Gathered {
            start: block,
            length: 1,
        };
        Ok(())
    }

    fn free_gathered(&mut self, inode: &mut Inode, gathered: &mut Gathered) -> Result<()> {
        let Gathered { start, length } = core::mem::take(gathered);
        if length > 0 {
            self.free_blocks(start, length)?;
            inode.drop_blocks(&self.sup, length);
        }
        Ok(())
    }
}
