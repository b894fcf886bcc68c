//! Allocating space ahead of data, and punching holes.

use super::Ext4;
use super::Time;
use super::device::Device;
use super::error::{Error, Result};
use super::inode::Ino;
use super::map::{Fill, State};
use crate::num::{low32, u64_of};

impl<D: Device> Ext4<D> {
    /// Makes sure that space lies behind bytes `offset..offset + length` of file `ino`; what is
    /// new reads as zeros. The file grows unless `keep_size`.
    ///
    /// # Errors
    /// [`Error::NoSpace`] (what was allocated until then stays), [`Error::TooBig`],
    /// [`Error::NotPermitted`] for files without extents.
    pub fn fallocate(
        &mut self,
        ino: Ino,
        offset: u64,
        length: u64,
        keep_size: bool,
        now: Time,
    ) -> Result<()> {
        let inode = self.load_file(ino)?;
        if !inode.has_extents() {
            return Err(Error::NotPermitted);
        }
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= self.size_limit(&inode))
            .ok_or(Error::TooBig)?;
        let mut block = offset >> self.sup.block_bits;
        let stop = end.div_ceil(u64_of(self.sup.block_size));
        while block < stop {
            let most = low32((stop - block).min(u64::from(u32::MAX)));
            let first = u32::try_from(block).map_err(|_| Error::TooBig)?;
            let got = self.allocate(ino, first, most, Fill::Unwritten)?;
            block += u64::from(got.mapping.length);
        }
        if !keep_size && end > inode.size {
            self.set_size(ino, end, now)?;
        }
        Ok(())
    }

    /// Frees the whole blocks within bytes `offset..offset + length` of file `ino`; clearing the
    /// parts of blocks at both ends is the caller's, see [`Ext4::zero_data`].
    ///
    /// # Errors
    /// When the tree can't be changed.
    pub fn punch_hole(&mut self, ino: Ino, offset: u64, length: u64, now: Time) -> Result<()> {
        let inode = self.load_file(ino)?;
        let limit = self
            .size_limit(&inode)
            .min(self.block_limit(&inode)? << self.sup.block_bits);
        let end = offset.saturating_add(length).min(limit);
        let from = offset.div_ceil(u64_of(self.sup.block_size));
        let to = end >> self.sup.block_bits;
        self.free_range(ino, from, to)?;
        let mut inode = self.load_file(ino)?;
        inode.mtime = now;
        inode.ctime = now;
        self.transact(|fs| fs.store(&inode))
    }

    /// Clears bytes `offset..offset + length` of file `ino`, within one block, on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] when they lie in several blocks, or when the device fails.
    pub fn zero_data(&mut self, ino: Ino, offset: u64, length: u64) -> Result<()> {
        let inode = self.load_file(ino)?;
        let size = u64_of(self.sup.block_size);
        let within = offset & (size - 1);
        if length == 0 {
            return Ok(());
        }
        if within + length > size {
            return Err(Error::Invalid);
        }
        let block = u32::try_from(offset >> self.sup.block_bits).map_err(|_| Error::TooBig)?;
        let mapping = self.map_inode(&inode, block, 1)?;
        if mapping.state != State::Written {
            return Ok(());
        }
        let start = mapping.start << self.sup.block_bits;
        let mut scratch = self.read_block_raw(start)?;
        let range = crate::num::usize_of(within)..crate::num::usize_of(within + length);
        super::bytes::part_mut(&mut scratch, range)?.fill(0);
        self.cache.write_raw(start, &scratch)
    }
}
