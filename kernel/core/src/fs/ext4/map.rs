//! [`Mapping`]: where a file's blocks lie, whatever the format of its inode.

use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::{Ext4, FileType};

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

impl<D: Device> Ext4<D> {
    /// Where the blocks of file `ino` from `block` on lie: the first piece, at most `most` blocks.
    ///
    /// # Errors
    /// When the file isn't one with blocks, or its tree can't be read.
    pub fn map(&mut self, ino: Ino, block: u32, most: u32) -> Result<Mapping> {
        let inode = self.load(ino)?;
        match inode.kind() {
            FileType::Regular => self.map_inode(&inode, block, most),
            FileType::Directory => Err(Error::IsDirectory),
            _ => Err(Error::Invalid),
        }
    }

    pub(super) fn map_inode(&mut self, inode: &Inode, block: u32, most: u32) -> Result<Mapping> {
        if inode.has_extents() {
            self.map_extents(inode, block, most.max(1))
        } else {
            self.map_indirect(inode, block, most.max(1))
        }
    }
}
