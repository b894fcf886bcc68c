//! Inode tables: reading inodes from where they lie and writing them back.

use super::buffer::Kind;
use super::bytes::{get16, get32, part, put_slice};
use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode, OLD_SIZE, inode_seed, verify};
use super::superblock::RoCompat;
use super::{Ext4, FileType};
use crate::num::{low32, u64_of, usize_of};
use alloc::vec::Vec;

impl<D: Device> Ext4<D> {
    /// Block, kind, place in it and number within it of inode `ino`.
    pub(super) fn inode_place(&mut self, ino: Ino) -> Result<(u64, Kind, usize, u32)> {
        if ino == 0 || ino > self.sup.inodes {
            return Err(Error::Corrupt("inode number"));
        }
        let (group, place) = self.sup.inode_group(ino);
        let table = self.inode_table(group)?;
        let byte = u64::from(place) * u64_of(self.sup.inode_size);
        let block = table + (byte >> self.sup.block_bits);
        let at = usize_of(byte & (u64_of(self.sup.block_size) - 1));
        let number = low32(u64_of(at / self.sup.inode_size));
        Ok((block, Kind::Inodes, at, number))
    }

    /// Where the inode table of `group` begins. It never moves, and most come one after another from one group.
    fn inode_table(&mut self, group: u32) -> Result<u64> {
        if let Some((known, table)) = self.table
            && known == group
        {
            return Ok(table);
        }
        let table = self.desc(group)?.inode_table;
        self.table = Some((group, table));
        Ok(table)
    }

    /// Reads inode `ino`, whatever it is.
    pub(super) fn load_any(&mut self, ino: Ino) -> Result<Inode> {
        let (block, kind, at, number) = self.inode_place(ino)?;
        let slot = self.cache.get(block, kind)?;
        let known = self.cache.is_verified(slot, number);
        let b = part(self.cache.data(slot), at..at + self.sup.inode_size)?;
        if self.sup.has_csum() && !known {
            let extra = if b.len() > OLD_SIZE {
                get16(b, 0x80)?
            } else {
                0
            };
            verify(inode_seed(&self.sup, ino, get32(b, 0x64)?), b, extra)?;
        }
        let inode = Inode::parse(&self.sup, ino, b)?;
        self.cache.set_verified(slot, number);
        Ok(inode)
    }

    /// Reads inode `ino`, which a directory entry or an open file names.
    pub(super) fn load(&mut self, ino: Ino) -> Result<Inode> {
        let inode = self.load_any(ino)?;
        if inode.links == 0 && !self.is_orphan(ino) {
            return Err(Error::Stale);
        }
        if inode.kind() == FileType::Unknown {
            return Err(Error::Corrupt("inode: mode"));
        }
        Ok(inode)
    }

    pub(super) fn load_dir(&mut self, ino: Ino) -> Result<Inode> {
        let inode = self.load(ino)?;
        if inode.is_dir() {
            Ok(inode)
        } else {
            Err(Error::NotDirectory)
        }
    }

    /// Writes the inode back into its table, as part of the transaction.
    pub(super) fn store(&mut self, inode: &Inode) -> Result<()> {
        let (block, kind, at, number) = self.inode_place(inode.ino)?;
        let size = self.sup.inode_size;
        let bytes = self.cache.edit(block, kind, at..at + size)?;
        inode.store(&self.sup, bytes)?;
        self.verified_inode(block, number)
    }

    /// Writes a new inode over whatever stood in its place.
    pub(super) fn store_new(&mut self, inode: &Inode) -> Result<()> {
        let (block, kind, at, number) = self.inode_place(inode.ino)?;
        let size = self.sup.inode_size;
        let bytes = self.cache.edit(block, kind, at..at + size)?;
        bytes.fill(0);
        inode.store(&self.sup, bytes)?;
        self.verified_inode(block, number)
    }

    fn verified_inode(&mut self, block: u64, number: u32) -> Result<()> {
        let slot = self.cache.get(block, Kind::Inodes)?;
        self.cache.set_verified(slot, number);
        Ok(())
    }

    /// The raw bytes of inode `ino` beyond its fixed part: extended attributes.
    pub(super) fn inode_tail(&mut self, inode: &Inode) -> Result<Vec<u8>> {
        let (block, kind, at, _) = self.inode_place(inode.ino)?;
        let start = OLD_SIZE + usize::from(inode.extra_isize);
        let mut tail = Vec::new();
        if start >= self.sup.inode_size || inode.extra_isize == 0 {
            return Ok(tail);
        }
        let slot = self.cache.get(block, kind)?;
        let bytes = part(self.cache.data(slot), at + start..at + self.sup.inode_size)?;
        tail.try_reserve_exact(bytes.len())
            .map_err(|_| Error::NoMemory)?;
        tail.extend_from_slice(bytes);
        Ok(tail)
    }

    /// Replaces those bytes; the checksum follows with [`Ext4::store`].
    pub(super) fn set_inode_tail(&mut self, inode: &Inode, tail: &[u8]) -> Result<()> {
        let (block, kind, at, _) = self.inode_place(inode.ino)?;
        let start = at + OLD_SIZE + usize::from(inode.extra_isize);
        let end = at + self.sup.inode_size;
        let bytes = self.cache.edit(block, kind, start..end)?;
        put_slice(bytes, 0, tail)
    }

    /// The greatest size that a file of this inode's format can have, in bytes.
    pub(super) fn size_limit(&self, inode: &Inode) -> u64 {
        let bits = self.sup.block_bits;
        if inode.has_extents() {
            return u64::from(u32::MAX) << bits;
        }
        let per = 1u64 << (bits - 2);
        let two = 12 + per + per * per;
        let mut blocks = two + per * per * per;
        // What such an inode counts in sectors are its lists, too.
        let counted = u64::from(u32::MAX) >> (bits - 9);
        if !self.sup.ro_compat.contains(RoCompat::HUGE_FILE) && blocks > counted {
            let rest = counted.saturating_sub(two);
            let lists = 3 + per + rest.div_ceil(per) + rest.div_ceil(per * per);
            blocks = counted.saturating_sub(lists);
        }
        blocks << bits
    }
}
