//! Blocks that move within a file: `FALLOC_FL_COLLAPSE_RANGE` and `FALLOC_FL_INSERT_RANGE`. Only the keys of
//! extents change; neither data nor bitmaps do.

use super::Ext4;
use super::device::Device;
use super::error::{Error, Result};
use super::extent::Extent;
use super::inode::{Ino, Inode};
use super::map::State;
use crate::num::low32;

/// Extents that move in one transaction.
const BATCH: u32 = 64;

impl<D: Device> Ext4<D> {
    /// Takes the blocks `from..to` out of file `ino`; those behind them move down. The size is the caller's.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for files without extents; [`Error::NoSpace`], or when the tree can't be changed.
    pub fn collapse(&mut self, ino: Ino, from: u32, to: u32) -> Result<()> {
        self.check_extents(ino)?;
        self.free_range(ino, u64::from(from), u64::from(to))?;
        let mut next = Some(to);
        while let Some(at) = next {
            next = self.move_some(ino, |fs, inode| fs.move_down(inode, at, to - from))?;
        }
        Ok(())
    }

    /// Makes a hole of `count` blocks at block `at` of file `ino`; what lies behind it moves up. The size becomes
    /// `size` with the first that moves: no block may be behind the end.
    ///
    /// # Errors
    /// As [`Ext4::collapse`]; [`Error::TooBig`] when the last block would have no number.
    pub fn insert(&mut self, ino: Ino, at: u32, count: u32, size: u64) -> Result<()> {
        self.check_extents(ino)?;
        let mut next = Some(u32::MAX);
        while let Some(below) = next {
            next = self.move_some(ino, |fs, inode| {
                inode.size = inode.size.max(size);
                fs.note_large_file(size);
                fs.move_up(inode, at, below, count)
            })?;
        }
        Ok(())
    }

    fn check_extents(&mut self, ino: Ino) -> Result<()> {
        if self.load_file(ino)?.has_extents() {
            Ok(())
        } else {
            Err(Error::NotPermitted)
        }
    }

    /// Runs `step`, which moves as many extents as one transaction takes; where to go on.
    fn move_some(
        &mut self,
        ino: Ino,
        step: impl FnOnce(&mut Self, &mut Inode) -> Result<Option<u32>>,
    ) -> Result<Option<u32>> {
        let mut inode = self.load_file(ino)?;
        self.transact(|fs| {
            let next = step(fs, &mut inode)?;
            fs.store(&inode)?;
            Ok(next)
        })
    }

    /// Moves extents from block `at` on down by `count`; where to go on.
    fn move_down(&mut self, inode: &mut Inode, at: u32, count: u32) -> Result<Option<u32>> {
        let mut at = at;
        for _ in 0..BATCH {
            let path = self.path(inode, at)?;
            let Some(extent) = path.found.filter(|extent| extent.end() > u64::from(at)) else {
                match path.next {
                    Some(next) => at = next,
                    None => return Ok(None),
                }
                continue;
            };
            self.move_extent(inode, extent, extent.first - count)?;
            match u32::try_from(extent.end()) {
                Ok(end) => at = end,
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Moves extents between block `at` and block `below` up by `count`, the last one first; where to go on.
    fn move_up(
        &mut self,
        inode: &mut Inode,
        at: u32,
        below: u32,
        count: u32,
    ) -> Result<Option<u32>> {
        let mut below = below;
        for _ in 0..BATCH {
            let path = self.path(inode, below)?;
            let Some(extent) = path.found.filter(|extent| extent.end() > u64::from(at)) else {
                return Ok(None);
            };
            let into = at.saturating_sub(extent.first);
            let part = Extent {
                first: extent.first + into,
                length: extent.length - into,
                start: extent.start + u64::from(into),
                unwritten: extent.unwritten,
            };
            if part.end() + u64::from(count) > 1 << 32 {
                return Err(Error::TooBig);
            }
            self.move_extent(inode, part, part.first + count)?;
            match part.first.checked_sub(1) {
                Some(next) => below = next,
                None => return Ok(None),
            }
        }
        Ok(Some(below))
    }

    /// Gives an extent, or a part of one, another place in the file, where nothing is.
    fn move_extent(&mut self, inode: &mut Inode, extent: Extent, first: u32) -> Result<()> {
        self.cut_extents(inode, extent.first, extent.end(), false, u32::MAX)?;
        self.insert_extent(inode, Extent { first, ..extent })
    }

    /// Where data begins (`data`) or a hole does, from block `at` on and before `end`; `end` when nowhere. What was
    /// allocated and never written is a hole.
    ///
    /// # Errors
    /// When the tree can't be read.
    pub fn seek(&mut self, ino: Ino, at: u32, end: u32, data: bool) -> Result<u32> {
        let inode = self.load_file(ino)?;
        let mut at = at;
        while at < end {
            let piece = self.map_inode(&inode, at, end - at)?;
            if (piece.state == State::Written) == data {
                return Ok(at);
            }
            at = low32(u64::from(at) + u64::from(piece.length)).max(at + 1);
        }
        Ok(end)
    }
}
