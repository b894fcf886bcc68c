//! Contents of files and symlinks, for callers without a page cache.

use super::buffer::Kind;
use super::bytes::{part, put_slice};
use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::map::{Allocated, Fill, Mapping, State};
use super::superblock::RoCompat;
use super::{Ext4, FileType, Time};
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

    /// Writes `buffer` at byte `offset` of file `ino`, filling holes and growing the file; answers
    /// how many bytes were written, which is all of them or, when the disk fills up, fewer.
    ///
    /// # Errors
    /// When nothing could be written.
    pub fn write(&mut self, ino: Ino, offset: u64, buffer: &[u8], now: Time) -> Result<usize> {
        let inode = self.load_file(ino)?;
        let end = offset
            .checked_add(u64_of(buffer.len()))
            .filter(|end| *end <= self.size_limit(&inode))
            .ok_or(Error::TooBig)?;
        let mut done = 0;
        let mut failed = None;
        while done < buffer.len() {
            let rest = buffer.get(done..).ok_or(Error::Invalid)?;
            match self.write_piece(ino, offset + u64_of(done), rest) {
                Ok(length) => done += length,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = failed.filter(|_| done == 0) {
            return Err(error);
        }
        let end = end - u64_of(buffer.len() - done);
        self.set_size(ino, end.max(inode.size), now)?;
        Ok(done)
    }

    /// Writes what lies in one piece from `offset` on; at least a byte.
    fn write_piece(&mut self, ino: Ino, offset: u64, buffer: &[u8]) -> Result<usize> {
        let bits = self.sup.block_bits;
        let size = self.sup.block_size;
        let within = usize_of(offset & (u64_of(size) - 1));
        let block = u32::try_from(offset >> bits).map_err(|_| Error::TooBig)?;
        let blocks = (within + buffer.len()).div_ceil(size);
        let most = low32(u64_of(blocks).min(u64::from(u32::MAX)));
        let Allocated { mapping, new } = self.allocate(ino, block, most, Fill::Unwritten)?;
        let start = mapping.start << bits;
        let blank = new || mapping.state == State::Unwritten;
        let whole = if within == 0 { buffer.len() / size } else { 0 };
        let (length, blocks) = if whole > 0 {
            let blocks = whole.min(usize_of(u64::from(mapping.length)));
            let length = blocks * size;
            self.cache.write_raw(start, part(buffer, 0..length)?)?;
            (length, low32(u64_of(blocks)))
        } else {
            let length = buffer.len().min(size - within);
            let mut scratch = if blank {
                self.zero_block()?
            } else {
                self.read_block_raw(start)?
            };
            put_slice(&mut scratch, within, part(buffer, 0..length)?)?;
            self.cache.write_raw(start, &scratch)?;
            (length, 1)
        };
        self.zero_rest(&mapping, new, blocks)?;
        if mapping.state == State::Unwritten {
            self.note_written(ino, block, blocks, offset + u64_of(length))?;
        }
        Ok(length)
    }

    /// Block maps know no unwritten blocks: what was allocated beyond the data is cleared.
    fn zero_rest(&mut self, mapping: &Mapping, new: bool, written: u32) -> Result<()> {
        if !new || mapping.state != State::Written {
            return Ok(());
        }
        let zeros = self.zero_block()?;
        for step in written..mapping.length {
            let block = mapping.start + u64::from(step);
            self.cache.write_raw(block << self.sup.block_bits, &zeros)?;
        }
        Ok(())
    }

    /// The greatest size that file `ino` can have, in bytes.
    ///
    /// # Errors
    /// When it isn't a regular file, or can't be read.
    pub fn max_size(&mut self, ino: Ino) -> Result<u64> {
        let inode = self.load_file(ino)?;
        Ok(self.size_limit(&inode))
    }

    /// Sets the size of file `ino` without touching blocks, as after writing behind its end;
    /// to make a file smaller, see [`Ext4::truncate`].
    ///
    /// # Errors
    /// [`Error::TooBig`], or when the inode can't be read.
    pub fn set_size(&mut self, ino: Ino, size: u64, now: Time) -> Result<()> {
        let mut inode = self.load_file(ino)?;
        if size > self.size_limit(&inode) {
            return Err(Error::TooBig);
        }
        inode.size = size;
        inode.mtime = now;
        inode.ctime = now;
        self.transact(|fs| {
            fs.note_large_file(size);
            fs.store(&inode)
        })
    }

    /// Sizes beyond 2 GiB are a feature that the superblock names.
    pub(super) fn note_large_file(&mut self, size: u64) {
        if size > 0x7FFF_FFFF {
            self.sup.ro_compat.insert(RoCompat::LARGE_FILE);
        }
    }

    /// Sets the size of file `ino` and frees the blocks behind it. The rest of the last block
    /// isn't cleared: a page cache does that, or [`Ext4::truncate_data`].
    ///
    /// # Errors
    /// [`Error::TooBig`], or when the disk can't be read.
    pub fn truncate(&mut self, ino: Ino, size: u64, now: Time) -> Result<()> {
        let inode = self.load_file(ino)?;
        if size >= inode.size && self.block_limit(&inode)? <= size >> self.sup.block_bits {
            return self.set_size(ino, size, now);
        }
        if size > self.size_limit(&inode) {
            return Err(Error::TooBig);
        }
        self.transact(|fs| {
            let mut inode = inode;
            inode.size = size;
            inode.mtime = now;
            inode.ctime = now;
            fs.note_large_file(size);
            if inode.links > 0 {
                fs.add_orphan(&mut inode)?;
            }
            fs.store(&inode)
        })?;
        self.end_truncation(ino, size)
    }

    /// Frees what lies behind `size` and takes the inode off the list of orphans.
    pub(super) fn end_truncation(&mut self, ino: Ino, size: u64) -> Result<()> {
        let inode = self.load_any(ino)?;
        if self.has_blocks(&inode) {
            let from = size.div_ceil(u64_of(self.sup.block_size));
            let limit = self.block_limit(&inode)?;
            self.free_range(ino, from, limit)?;
        }
        if inode.links == 0 {
            return Ok(());
        }
        let mut inode = self.load_any(ino)?;
        self.transact(|fs| {
            fs.remove_orphan(&mut inode)?;
            fs.store(&inode)
        })
    }

    /// [`Ext4::truncate`] for callers without a page cache: clears the rest of the last block.
    ///
    /// # Errors
    /// As [`Ext4::truncate`].
    pub fn truncate_data(&mut self, ino: Ino, size: u64, now: Time) -> Result<()> {
        let old = self.load_file(ino)?.size;
        let block = u64_of(self.sup.block_size);
        let rest = size.next_multiple_of(block) - size;
        if size < old {
            self.zero_data(ino, size, rest)?;
        }
        self.truncate(ino, size, now)
    }

    pub(super) fn zero_block(&self) -> Result<Vec<u8>> {
        let mut zeros = Vec::new();
        zeros
            .try_reserve_exact(self.sup.block_size)
            .map_err(|_| Error::NoMemory)?;
        zeros.resize(self.sup.block_size, 0);
        Ok(zeros)
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
        let mut scratch = self.zero_block()?;
        self.cache.read_raw(start, &mut scratch)?;
        Ok(scratch)
    }
}
