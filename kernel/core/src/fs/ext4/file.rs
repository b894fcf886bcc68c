//! Contents of files and symlinks, for callers without a page cache.

use super::buffer::Kind;
use super::bytes::part;
use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::map::State;
use super::{Ext4, FileType};
use crate::num::{low32, u64_of, usize_of};
use alloc::vec::Vec;

/// Longest target of a symlink: `PATH_MAX` less the final zero.
const TARGET_MAX: u64 = 4095;

impl<D: Device> Ext4<D> {
    /// The target of symlink `ino`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it isn't one, or when it can't be read.
    pub fn read_link(&mut self, ino: Ino) -> Result<Vec<u8>> {
        let inode = self.load(ino)?;
        if inode.kind() != FileType::Symlink {
            return Err(Error::Invalid);
        }
        if inode.size == 0 || inode.size > TARGET_MAX.min(u64_of(self.sup.block_size)) {
            return Err(Error::Corrupt("symlink: length"));
        }
        let length = usize_of(inode.size);
        let mut target = Vec::new();
        target
            .try_reserve_exact(length)
            .map_err(|_| Error::NoMemory)?;
        if inode.is_fast_symlink(&self.sup) {
            target.extend_from_slice(part(&inode.block, 0..length)?);
            return Ok(target);
        }
        let mapping = self.map_inode(&inode, 0, 1)?;
        if mapping.state != State::Written {
            return Err(Error::Corrupt("symlink: no target"));
        }
        let slot = self.block(mapping.start, Kind::Plain)?;
        target.extend_from_slice(part(self.cache.data(slot), 0..length)?);
        Ok(target)
    }

    /// Reads from byte `offset` of file `ino` into `buffer`; answers how many bytes there were.
    ///
    /// # Errors
    /// When it isn't a regular file, or the device or the file's tree can't be read.
    pub fn read(&mut self, ino: Ino, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let inode = self.load_file(ino)?;
        let room = inode.size.saturating_sub(offset).min(u64_of(buffer.len()));
        let wanted = buffer.get_mut(..usize_of(room)).ok_or(Error::Invalid)?;
        let mut done = 0;
        while done < wanted.len() {
            let rest = wanted.get_mut(done..).ok_or(Error::Invalid)?;
            done += self.read_piece(&inode, offset + u64_of(done), rest)?;
        }
        Ok(done)
    }

    pub(super) fn load_file(&mut self, ino: Ino) -> Result<Inode> {
        let inode = self.load(ino)?;
        match inode.kind() {
            FileType::Regular => Ok(inode),
            FileType::Directory => Err(Error::IsDirectory),
            _ => Err(Error::Invalid),
        }
    }

    /// Reads what lies in one piece from `offset` on; at least a byte.
    fn read_piece(&mut self, inode: &Inode, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let bits = self.sup.block_bits;
        let size = self.sup.block_size;
        let within = usize_of(offset & (u64_of(size) - 1));
        let block = u32::try_from(offset >> bits).map_err(|_| Error::TooBig)?;
        let blocks = (within + buffer.len()).div_ceil(size);
        let most = low32(u64_of(blocks).min(u64::from(u32::MAX)));
        let mapping = self.map_inode(inode, block, most)?;
        let length = (usize_of(u64::from(mapping.length) << bits) - within).min(buffer.len());
        let wanted = buffer.get_mut(..length).ok_or(Error::Invalid)?;
        if mapping.state != State::Written {
            wanted.fill(0);
            return Ok(length);
        }
        let start = mapping.start << bits;
        if within == 0 && length >= size {
            let whole = length - length % size;
            let wanted = wanted.get_mut(..whole).ok_or(Error::Invalid)?;
            self.cache.read_raw(start, wanted)?;
            return Ok(whole);
        }
        let length = length.min(size - within);
        let scratch = self.read_block_raw(start)?;
        let from = part(&scratch, within..within + length)?;
        let wanted = wanted.get_mut(..length).ok_or(Error::Invalid)?;
        wanted.copy_from_slice(from);
        Ok(length)
    }

    /// One block's contents from byte `start` of the device.
    pub(super) fn read_block_raw(&mut self, start: u64) -> Result<Vec<u8>> {
        let mut scratch = Vec::new();
        scratch
            .try_reserve_exact(self.sup.block_size)
            .map_err(|_| Error::NoMemory)?;
        scratch.resize(self.sup.block_size, 0);
        self.cache.read_raw(start, &mut scratch)?;
        Ok(scratch)
    }
}
