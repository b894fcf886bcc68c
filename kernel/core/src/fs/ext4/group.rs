//! Group descriptors and the bitmaps of a group.
//!
//! Layout: `struct ext4_group_desc` (Linux, fs/ext4/ext4.h), 32 or 64 bytes. Descriptors are read
//! where they lie, when needed: nothing here grows with the size of the file system.

use super::buffer::{Kind, Slot};
use super::bytes::{get16, get32, part, put16};
use super::csum::{crc16, crc32c};
use super::device::Device;
use super::error::{Error, Result};
use super::superblock::{Incompat, Super};
use super::{Ext4, bitmap};
use crate::num::{low16, low32, u64_of, usize_of32};

/// `bg_flags`: the inode bitmap and table were never written.
pub(super) const INODE_UNINIT: u16 = 1;
/// `bg_flags`: the block bitmap was never written.
pub(super) const BLOCK_UNINIT: u16 = 2;
const CHECKSUM_AT: usize = 0x1E;

/// A group descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Desc {
    pub(super) block_bitmap: u64,
    pub(super) inode_bitmap: u64,
    pub(super) inode_table: u64,
    pub(super) free_blocks: u32,
    pub(super) free_inodes: u32,
    pub(super) directories: u32,
    pub(super) flags: u16,
    /// Inodes at the end of the table that were never used.
    pub(super) unused_inodes: u32,
    pub(super) block_bitmap_csum: u32,
    pub(super) inode_bitmap_csum: u32,
}

impl Desc {
    fn parse(b: &[u8], wide: bool) -> Result<Self> {
        let two = |lo, hi| -> Result<u64> {
            let high = if wide { get32(b, hi)? } else { 0 };
            Ok(u64::from(get32(b, lo)?) | u64::from(high) << 32)
        };
        let halves = |lo, hi| -> Result<u32> {
            let high = if wide { get16(b, hi)? } else { 0 };
            Ok(u32::from(get16(b, lo)?) | u32::from(high) << 16)
        };
        Ok(Self {
            block_bitmap: two(0x00, 0x20)?,
            inode_bitmap: two(0x04, 0x24)?,
            inode_table: two(0x08, 0x28)?,
            free_blocks: halves(0x0C, 0x2C)?,
            free_inodes: halves(0x0E, 0x2E)?,
            directories: halves(0x10, 0x30)?,
            flags: get16(b, 0x12)?,
            unused_inodes: halves(0x1C, 0x32)?,
            block_bitmap_csum: halves(0x18, 0x38)?,
            inode_bitmap_csum: halves(0x1A, 0x3A)?,
        })
    }

    /// Writes what can change.
    fn store(&self, b: &mut [u8], wide: bool) -> Result<()> {
        let mut halves = |lo, hi, value: u32| -> Result<()> {
            put16(b, lo, low16(u64::from(value)))?;
            if wide {
                put16(b, hi, low16(u64::from(value >> 16)))?;
            }
            Ok(())
        };
        halves(0x0C, 0x2C, self.free_blocks)?;
        halves(0x0E, 0x2E, self.free_inodes)?;
        halves(0x10, 0x30, self.directories)?;
        halves(0x1C, 0x32, self.unused_inodes)?;
        halves(0x18, 0x38, self.block_bitmap_csum)?;
        halves(0x1A, 0x3A, self.inode_bitmap_csum)?;
        put16(b, 0x12, self.flags)
    }

    /// Whether the three structures lie on the disk, in their group where they have to.
    fn check(&self, sup: &Super, group: u32) -> Result<()> {
        let table = sup.table_blocks();
        let fits = sup.has_block(self.block_bitmap)
            && sup.has_block(self.inode_bitmap)
            && sup.has_blocks(self.inode_table, table);
        let free = self.unused_inodes <= sup.inodes_per_group
            && self.free_inodes <= sup.inodes_per_group
            && self.free_blocks <= sup.blocks_per_group;
        if !fits || !free {
            return Err(Error::Corrupt("group descriptor"));
        }
        let inside = |block| sup.group_of(block).0 == group;
        let all_inside =
            inside(self.block_bitmap) && inside(self.inode_bitmap) && inside(self.inode_table);
        if !all_inside && !sup.incompat.contains(Incompat::FLEX_BG) {
            return Err(Error::Corrupt("group descriptor"));
        }
        Ok(())
    }
}

/// The checksum that belongs into the descriptor `b` of `group`.
pub(super) fn desc_checksum(sup: &Super, group: u32, b: &[u8]) -> Result<u16> {
    let before = part(b, 0..CHECKSUM_AT)?;
    let after = part(b, CHECKSUM_AT + 2..b.len())?;
    let number = group.to_le_bytes();
    if sup.has_csum() {
        let crc = crc32c(crc32c(sup.seed, &number), before);
        return Ok(low16(u64::from(crc32c(crc32c(crc, &[0; 2]), after))));
    }
    let crc = crc16(crc16(crc16(!0, &sup.uuid()), &number), before);
    Ok(crc16(crc, after))
}

impl Super {
    /// Blocks of one group's inode table.
    pub(super) fn table_blocks(&self) -> u64 {
        let bytes = u64::from(self.inodes_per_group) * u64_of(self.inode_size);
        bytes.div_ceil(u64_of(self.block_size))
    }

    /// The descriptors in the block that begins with that of `first`: group and place.
    pub(super) fn descs_in_block(&self, first: u32) -> impl Iterator<Item = (u32, usize)> + use<> {
        let size = self.desc_size;
        let groups = self.groups;
        (0..self.descs_per_block())
            .map(move |n| (first.saturating_add(n), usize_of32(n) * size))
            .take_while(move |(group, _)| *group < groups)
    }

    /// Checks every descriptor in a block of them.
    pub(super) fn verify_descs(&self, first: u32, block: &[u8]) -> Result<()> {
        for (group, at) in self.descs_in_block(first) {
            let b = part(block, at..at + self.desc_size)?;
            if self.has_group_csum() && desc_checksum(self, group, b)? != get16(b, CHECKSUM_AT)? {
                return Err(Error::BadChecksum("group descriptor"));
            }
            Desc::parse(b, self.is_wide())?.check(self, group)?;
        }
        Ok(())
    }

    /// Sets the checksum of every descriptor in a block of them.
    pub(super) fn seal_descs(&self, first: u32, block: &mut [u8]) -> Result<()> {
        if !self.has_group_csum() {
            return Ok(());
        }
        for (group, at) in self.descs_in_block(first) {
            let b = super::bytes::part_mut(block, at..at + self.desc_size)?;
            let value = desc_checksum(self, group, b)?;
            put16(b, CHECKSUM_AT, value)?;
        }
        Ok(())
    }

    fn desc_place(&self, group: u32) -> Result<(u64, Kind, usize)> {
        if group >= self.groups {
            return Err(Error::Corrupt("group number"));
        }
        let per = self.descs_per_block();
        let at = usize_of32(group % per) * self.desc_size;
        Ok((
            self.desc_block(group),
            Kind::Descriptors(group - group % per),
            at,
        ))
    }

    /// The checksum of a bitmap, as far as the descriptor holds it.
    pub(super) fn bitmap_checksum(&self, bits: u32, bitmap: &[u8]) -> Result<u32> {
        let crc = crc32c(self.seed, part(bitmap, 0..usize_of32(bits / 8))?);
        Ok(if self.desc_size >= 64 {
            crc
        } else {
            crc & 0xFFFF
        })
    }
}

impl<D: Device> Ext4<D> {
    /// The descriptor of `group`.
    pub(super) fn desc(&mut self, group: u32) -> Result<Desc> {
        let (block, kind, at) = self.sup.desc_place(group)?;
        let slot = self.block(block, kind)?;
        let bytes = part(self.cache.data(slot), at..at + self.sup.desc_size)?;
        Desc::parse(bytes, self.sup.is_wide())
    }

    /// Writes the changeable fields of the descriptor of `group`.
    pub(super) fn set_desc(&mut self, group: u32, desc: &Desc) -> Result<()> {
        let (block, kind, at) = self.sup.desc_place(group)?;
        self.block(block, kind)?;
        let wide = self.sup.is_wide();
        let bytes = self.cache.edit(block, kind, at..at + self.sup.desc_size)?;
        desc.store(bytes, wide)
    }

    /// The block bitmap of `group`, made up when it was never written.
    pub(super) fn block_bitmap(&mut self, group: u32, desc: &Desc) -> Result<Slot> {
        let kind = Kind::BlockBitmap(group);
        if let Some(slot) = self.checked(desc.block_bitmap, kind)? {
            return Ok(slot);
        }
        if desc.flags & BLOCK_UNINIT != 0 && self.sup.has_group_csum() {
            let slot = self.cache.blank(desc.block_bitmap, kind)?;
            init_block_bitmap(&self.sup, group, desc, self.cache.data_mut(slot))?;
            self.cache.set_verified(slot, 0);
            return Ok(slot);
        }
        let slot = self.cache.get(desc.block_bitmap, kind)?;
        if self.sup.has_csum() {
            let bits = self.sup.blocks_per_group;
            let found = self.sup.bitmap_checksum(bits, self.cache.data(slot))?;
            if found != desc.block_bitmap_csum {
                return Err(Error::BadChecksum("block bitmap"));
            }
        }
        self.cache.set_verified(slot, 0);
        Ok(slot)
    }

    /// The inode bitmap of `group`, made up when it was never written.
    pub(super) fn inode_bitmap(&mut self, group: u32, desc: &Desc) -> Result<Slot> {
        let kind = Kind::InodeBitmap(group);
        if let Some(slot) = self.checked(desc.inode_bitmap, kind)? {
            return Ok(slot);
        }
        let bits = self.sup.inodes_per_group;
        if desc.flags & INODE_UNINIT != 0 && self.sup.has_group_csum() {
            let slot = self.cache.blank(desc.inode_bitmap, kind)?;
            let all = low32(u64_of(self.sup.block_size)) * 8;
            bitmap::set(self.cache.data_mut(slot), bits, all.saturating_sub(bits))?;
            self.cache.set_verified(slot, 0);
            return Ok(slot);
        }
        let slot = self.cache.get(desc.inode_bitmap, kind)?;
        if self.sup.has_csum()
            && self.sup.bitmap_checksum(bits, self.cache.data(slot))? != desc.inode_bitmap_csum
        {
            return Err(Error::BadChecksum("inode bitmap"));
        }
        self.cache.set_verified(slot, 0);
        Ok(slot)
    }

    /// The buffer when it is here and its contents are known to be right.
    fn checked(&mut self, block: u64, kind: Kind) -> Result<Option<Slot>> {
        let slot = self.cache.find(block, kind)?;
        Ok(slot.filter(|slot| self.cache.is_verified(*slot, 0)))
    }
}

/// What the block bitmap of a group holds that has only its own metadata.
fn init_block_bitmap(sup: &Super, group: u32, desc: &Desc, bytes: &mut [u8]) -> Result<()> {
    bitmap::set(bytes, 0, sup.base_meta_blocks(group))?;
    let own = [
        (desc.block_bitmap, 1),
        (desc.inode_bitmap, 1),
        (desc.inode_table, low32(sup.table_blocks())),
    ];
    for (block, length) in own {
        for block in block..block + u64::from(length) {
            let (home, bit) = sup.group_of(block);
            if home == group {
                bitmap::set(bytes, bit, 1)?;
            }
        }
    }
    let present = sup.group_blocks(group);
    let all = low32(u64_of(sup.block_size)) * 8;
    bitmap::set(bytes, present, all.saturating_sub(present))?;
    Ok(())
}
