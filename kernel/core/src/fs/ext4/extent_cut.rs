//! Taking blocks out of extent trees, turning unwritten extents into written ones, and filling
//! holes.

use super::Ext4;
use super::bytes::get32;
use super::device::Device;
use super::error::Result;
use super::extent::{Extent, MAX_UNWRITTEN, MAX_WRITTEN, Path, Step};
use super::extent_edit::init_root;
use super::inode::Inode;
use crate::num::low32;

/// The part of `extent` in `from..to`, which must lie within it.
fn piece(extent: Extent, from: u64, to: u64) -> Extent {
    let into = from - u64::from(extent.first);
    Extent {
        first: low32(from),
        length: low32(to - from),
        start: extent.start + into,
        unwritten: extent.unwritten,
    }
}

impl<D: Device> Ext4<D> {
    /// Cuts the blocks `from..to` out of the tree and, if `free`, gives them back. Goes from the
    /// end to the start and stops after `budget` extents; answers where it stopped.
    pub(super) fn cut_extents(
        &mut self,
        inode: &mut Inode,
        from: u32,
        to: u64,
        free: bool,
        mut budget: u32,
    ) -> Result<u64> {
        let from64 = u64::from(from);
        let mut to = to;
        while to > from64 {
            let path = self.path(inode, low32(to - 1))?;
            let Some(extent) = path.found.filter(|extent| extent.end() > from64) else {
                return Ok(from64);
            };
            if budget == 0 {
                return Ok(to);
            }
            budget -= 1;
            let start = from64.max(u64::from(extent.first));
            let end = to.min(extent.end());
            self.cut_one(inode, &path, extent, start, end)?;
            if free {
                let gone = piece(extent, start, end);
                self.free_blocks(gone.start, u64::from(gone.length))?;
                inode.drop_blocks(&self.sup, u64::from(gone.length));
            }
            to = start;
        }
        Ok(from64)
    }

    /// Takes `start..end` out of `extent`, the one that `path` found.
    fn cut_one(
        &mut self,
        inode: &mut Inode,
        path: &Path,
        extent: Extent,
        start: u64,
        end: u64,
    ) -> Result<()> {
        let Step { node, index, .. } = path.leaf()?;
        let head = (start > u64::from(extent.first))
            .then(|| piece(extent, u64::from(extent.first), start));
        let tail = (end < extent.end()).then(|| piece(extent, end, extent.end()));
        match (head, tail) {
            (None, None) => self.remove_entry(inode, path),
            (None, Some(tail)) => {
                self.put_extent(inode, node, index, tail)?;
                if index == 0 {
                    self.fix_keys(inode, path, path.depth, tail.first)?;
                }
                Ok(())
            }
            (Some(head), None) => self.put_extent(inode, node, index, head),
            (Some(head), Some(tail)) => {
                self.put_extent(inode, node, index, head)?;
                self.insert_extent(inode, tail)
            }
        }
    }

    /// Removes the leaf entry that `path` found, and the nodes that this leaves empty.
    fn remove_entry(&mut self, inode: &mut Inode, path: &Path) -> Result<()> {
        for level in (0..=path.depth).rev() {
            let Step {
                node,
                index,
                entries,
                ..
            } = path.step(level)?;
            self.remove_raw(inode, node, index)?;
            if entries > 1 {
                if index == 0 {
                    let first = get32(&self.entry(inode, node, 0)?, 0)?;
                    self.fix_keys(inode, path, level, first)?;
                }
                return Ok(());
            }
            if level == 0 {
                return init_root(inode);
            }
            self.free_meta(inode, node)?;
        }
        Ok(())
    }

    /// Marks the unwritten blocks among `from..to` as written.
    pub(super) fn convert_extents(&mut self, inode: &mut Inode, from: u32, to: u64) -> Result<()> {
        let mut at = u64::from(from);
        while at < to {
            let path = self.path(inode, low32(at))?;
            let Some(extent) = path.found.filter(|extent| extent.end() > at) else {
                match path.next {
                    Some(next) => at = u64::from(next),
                    None => return Ok(()),
                }
                continue;
            };
            let end = extent.end().min(to);
            if extent.unwritten {
                let written = Extent {
                    unwritten: false,
                    ..piece(extent, at, end)
                };
                self.cut_extents(inode, low32(at), end, false, u32::MAX)?;
                self.insert_extent(inode, written)?;
            }
            at = end;
        }
        Ok(())
    }

    /// Allocates blocks for a hole of `length` blocks at `block`: as many as lie in one piece.
    pub(super) fn fill_extent(
        &mut self,
        inode: &mut Inode,
        block: u32,
        length: u32,
        unwritten: bool,
    ) -> Result<Extent> {
        let path = self.path(inode, block)?;
        let goal = match path.found {
            Some(extent) => extent.start + u64::from(block - extent.first),
            None => self.inode_goal(inode),
        };
        let most = if unwritten {
            MAX_UNWRITTEN
        } else {
            MAX_WRITTEN
        };
        let (start, length) = self.alloc_blocks(goal, length.min(most))?;
        let extent = Extent {
            first: block,
            length,
            start,
            unwritten,
        };
        self.insert_extent(inode, extent)?;
        inode.add_blocks(&self.sup, u64::from(length));
        Ok(extent)
    }
}
