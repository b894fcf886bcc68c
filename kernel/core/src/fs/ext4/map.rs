//! [`Mapping`]: where a file's blocks lie, whatever the format of its inode; and giving it
//! blocks, or taking them away.

use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::{Ext4, FileType};
use crate::num::low32;

/// What stands behind a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: reads as zeros.
    Hole,
    /// Allocated, never written: reads as zeros.
    Unwritten,
    Written,
}

/// A range of a file that lies in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub state: State,
    /// First block on the device; 0 for a hole.
    pub start: u64,
    /// Number of blocks, at least 1.
    pub length: u32,
}

/// An allocated range, and whether it was a hole before: then what lies there is anybody's old
/// data, and has to be written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    pub mapping: Mapping,
    pub new: bool,
}

/// What becomes of a hole that is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Allocated, but still zeros to readers; files without extents don't have this, so there it
    /// is as [`Fill::Written`].
    Unwritten,
    /// Written: the caller writes all of it.
    Written,
    /// As [`Fill::Written`], using up to `granted` blocks that [`Ext4::reserve`] promised; as
    /// many as were allocated aren't promised any more then. The inode's size follows the blocks
    /// up to `size`. With a journal it is as [`Fill::Unwritten`], where a file can have that: the
    /// blocks must not be the file's before the data is there, see [`Ext4::note_written`].
    Promised { granted: u64, size: u64 },
}

/// Extents (or, for block maps, blocks) changed in one transaction.
const BATCH: u32 = 256;
const BATCH_BLOCKS: u64 = 8192;

impl<D: Device> Ext4<D> {
    /// Where the blocks of file `ino` from `block` on lie: the first piece, at most `most` blocks.
    ///
    /// # Errors
    /// When the file isn't one with blocks, or its tree can't be read.
    pub fn map(&mut self, ino: Ino, block: u32, most: u32) -> Result<Mapping> {
        let inode = self.load_file(ino)?;
        self.map_inode(&inode, block, most)
    }

    /// Whether its blocks are found by extents, and not by lists of blocks.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn uses_extents(&mut self, ino: Ino) -> Result<bool> {
        Ok(self.load_file(ino)?.has_extents())
    }

    pub(super) fn map_inode(&mut self, inode: &Inode, block: u32, most: u32) -> Result<Mapping> {
        if inode.has_extents() {
            self.map_extents(inode, block, most.max(1))
        } else {
            self.map_indirect(inode, block, most.max(1))
        }
    }

    /// Makes sure that blocks lie behind file `ino` from `block` on: the first piece of at most
    /// `most` blocks, in as long a run as the disk has.
    ///
    /// The caller writes the data before the metadata is synced, and then sets the size.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::TooBig`], or when the tree can't be read.
    pub fn allocate(&mut self, ino: Ino, block: u32, most: u32, how: Fill) -> Result<Allocated> {
        let inode = self.load_file(ino)?;
        let mapping = self.map_inode(&inode, block, most)?;
        if mapping.state != State::Hole {
            return Ok(Allocated {
                mapping,
                new: false,
            });
        }
        let mut most = mapping.length;
        if how == Fill::Unwritten {
            let spare = self.available().saturating_sub(self.sup.kept_clusters());
            most = low32(spare.min(u64::from(most)));
            if most == 0 {
                return Err(Error::NoSpace);
            }
        }
        self.transact(|fs| {
            let mut inode = inode;
            let promised = match how {
                Fill::Promised { granted, .. } => granted.min(u64::from(mapping.length)),
                _ => 0,
            };
            fs.unreserve(promised);
            let deferred = fs.journal.is_some() && inode.has_extents();
            let unwritten = match how {
                Fill::Unwritten => true,
                Fill::Promised { .. } => deferred,
                Fill::Written => false,
            };
            let mapping = fs.fill(&mut inode, block, most, unwritten)?;
            fs.sup.counters.reserved += promised.saturating_sub(u64::from(mapping.length));
            if let (Fill::Promised { size, .. }, State::Written) = (how, mapping.state) {
                fs.grow_over(&mut inode, block, mapping.length, size);
            }
            fs.store(&inode)?;
            Ok(Allocated { mapping, new: true })
        })
    }

    /// Allocates the start of a hole of `length` blocks.
    pub(super) fn fill(
        &mut self,
        inode: &mut Inode,
        block: u32,
        length: u32,
        unwritten: bool,
    ) -> Result<Mapping> {
        if inode.has_extents() {
            if block == u32::MAX {
                return Err(Error::TooBig);
            }
            let length = length.min(u32::MAX - block);
            let extent = self.fill_extent(inode, block, length, unwritten)?;
            let state = if unwritten {
                State::Unwritten
            } else {
                State::Written
            };
            return Ok(Mapping {
                state,
                start: extent.start,
                length: extent.length,
            });
        }
        let (start, length) = self.fill_indirect(inode, block, length)?;
        Ok(Mapping {
            state: State::Written,
            start,
            length,
        })
    }

    /// Marks `length` blocks of file `ino` from `block` on as written, where they were allocated
    /// unwritten: their data is on the disk.
    ///
    /// # Errors
    /// When the tree can't be changed.
    pub fn mark_written(&mut self, ino: Ino, block: u32, length: u32) -> Result<()> {
        self.note_written(ino, block, length, 0)
    }

    /// [`Ext4::mark_written`], with the inode's size following the blocks up to `size`.
    ///
    /// # Errors
    /// As there.
    pub fn note_written(&mut self, ino: Ino, block: u32, length: u32, size: u64) -> Result<()> {
        let mut inode = self.load_file(ino)?;
        if !inode.has_extents() {
            return Ok(());
        }
        let end = u64::from(block) + u64::from(length);
        self.transact(|fs| {
            fs.convert_extents(&mut inode, block, end)?;
            fs.grow_over(&mut inode, block, length, size);
            fs.store(&inode)
        })
    }

    /// No written block lies behind an inode's end: makes it as long as the blocks reach, `size`
    /// at most.
    fn grow_over(&mut self, inode: &mut Inode, block: u32, length: u32, size: u64) {
        let end = (u64::from(block) + u64::from(length)) << self.sup.block_bits;
        inode.size = inode.size.max(end.min(size));
        self.note_large_file(inode.size);
    }

    /// Frees the blocks `from..to` of an inode in as many transactions as it takes.
    pub(super) fn free_range(&mut self, ino: Ino, from: u64, to: u64) -> Result<()> {
        let mut to = to;
        while to > from {
            let mut inode = self.load_any(ino)?;
            to = self.transact(|fs| {
                let stop = fs.free_some(&mut inode, from, to)?;
                fs.store(&inode)?;
                Ok(stop)
            })?;
        }
        Ok(())
    }

    /// Frees blocks from the end of `from..to`; answers where it stopped.
    pub(super) fn free_some(&mut self, inode: &mut Inode, from: u64, to: u64) -> Result<u64> {
        if inode.has_extents() {
            let Ok(from) = u32::try_from(from) else {
                return Ok(from);
            };
            return self.cut_extents(inode, from, to.min(1 << 32), true, BATCH);
        }
        let start = from.max(to.saturating_sub(BATCH_BLOCKS));
        self.cut_indirect(inode, start, to)?;
        Ok(start)
    }

    /// A block behind the last that the inode has.
    pub(super) fn block_limit(&mut self, inode: &Inode) -> Result<u64> {
        if inode.has_extents() {
            Ok(1 << 32)
        } else {
            self.indirect_limit(inode)
        }
    }

    /// Whether the inode's `i_block` holds pointers or a tree.
    pub(super) fn has_blocks(&self, inode: &Inode) -> bool {
        match inode.kind() {
            FileType::Regular | FileType::Directory => true,
            FileType::Symlink => !inode.is_fast_symlink(&self.sup),
            _ => false,
        }
    }
}
