//! [`Super`]: the superblock, checked, with the file system's geometry and features.
//!
//! Layout: `struct ext4_super_block` (Linux, fs/ext4/ext4.h), 1024 bytes at byte 1024 of the
//! device. The counters that change live here in memory and go back at write-out.

use super::bytes::{get8, get16, get32, part, put8, put16, put32};
use super::csum::crc32c;
use super::error::{Error, Result};
use super::hash::Hasher;
use crate::num::{high32, low32, u64_of, usize_of};
use alloc::vec::Vec;
use bitflags::bitflags;

/// Where the superblock lies on the device, and its length.
pub(super) const OFFSET: u64 = 1024;
pub(super) const SIZE: usize = 1024;
const MAGIC: u16 = 0xEF53;
const CHECKSUM_AT: usize = 0x3FC;
/// `s_state`: cleanly unmounted.
pub(super) const STATE_VALID: u16 = 1;

bitflags! {
    /// Features that an implementation may ignore.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Compat: u32 {
        const HAS_JOURNAL = 0x4;
        const EXT_ATTR = 0x8;
        const RESIZE_INODE = 0x10;
        const DIR_INDEX = 0x20;
        const SPARSE_SUPER2 = 0x200;
        const FAST_COMMIT = 0x400;
        const ORPHAN_FILE = 0x1000;
    }

    /// Features without which the file system can't be read.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Incompat: u32 {
        const FILETYPE = 0x2;
        const RECOVER = 0x4;
        const META_BG = 0x10;
        const EXTENTS = 0x40;
        const BITS64 = 0x80;
        const FLEX_BG = 0x200;
        const CSUM_SEED = 0x2000;
        const LARGEDIR = 0x4000;
    }

    /// Features without which it can be read, but not written.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct RoCompat: u32 {
        const SPARSE_SUPER = 0x1;
        const LARGE_FILE = 0x2;
        const BTREE_DIR = 0x4;
        const HUGE_FILE = 0x8;
        const GDT_CSUM = 0x10;
        const DIR_NLINK = 0x20;
        const EXTRA_ISIZE = 0x40;
        const METADATA_CSUM = 0x400;
    }
}

/// Numbers that operations change; a failed operation gets them back as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) free_blocks: u64,
    pub(super) free_inodes: u32,
    /// Head of the list of inodes to delete or truncate after a crash; 0 when empty.
    pub(super) last_orphan: u32,
    /// Blocks promised to writers that haven't been allocated yet. Not on the disk.
    pub(super) reserved: u64,
}

/// The superblock in memory.
#[derive(Debug)]
pub(super) struct Super {
    /// The bytes on the disk, as last read or written.
    pub(super) raw: Vec<u8>,
    pub(super) compat: Compat,
    pub(super) incompat: Incompat,
    pub(super) ro_compat: RoCompat,
    pub(super) block_size: usize,
    /// log2 of `block_size`.
    pub(super) block_bits: u32,
    pub(super) blocks: u64,
    pub(super) reserved_blocks: u64,
    pub(super) first_data_block: u64,
    pub(super) blocks_per_group: u32,
    pub(super) inodes: u32,
    pub(super) inodes_per_group: u32,
    pub(super) first_inode: u32,
    pub(super) inode_size: usize,
    pub(super) desc_size: usize,
    pub(super) groups: u32,
    /// Seed of every metadata checksum.
    pub(super) seed: u32,
    pub(super) hash_seed: [u32; 4],
    pub(super) hash_version: u8,
    pub(super) hash_unsigned: bool,
    pub(super) flex_bits: u32,
    pub(super) want_extra_isize: u16,
    pub(super) counters: Counters,
}

impl Super {
    /// Reads and checks the 1024 bytes of a superblock; `device_size` in bytes.
    pub(super) fn parse(raw: Vec<u8>, device_size: u64) -> Result<Self> {
        let b = raw.as_slice();
        if get16(b, 0x38)? != MAGIC {
            return Err(Error::NotExt4);
        }
        let dynamic = get32(b, 0x4C)? >= 1;
        let feature = |at| if dynamic { get32(b, at) } else { Ok(0) };
        let compat = Compat::from_bits_retain(feature(0x5C)?);
        let incompat = Incompat::from_bits_retain(feature(0x60)?);
        let ro_compat = RoCompat::from_bits_retain(feature(0x64)?);
        if !Incompat::all().contains(incompat) {
            return Err(Error::Unsupported("incompatible feature"));
        }
        check_checksum(b, ro_compat)?;
        let log = get32(b, 0x18)?;
        if log > 2 {
            return Err(Error::Unsupported("block size above 4096"));
        }
        let block_size = 1024usize << log;
        let wide = incompat.contains(Incompat::BITS64);
        let wide32 = |lo, hi| -> Result<u64> {
            let high = if wide { get32(b, hi)? } else { 0 };
            Ok(u64::from(get32(b, lo)?) | u64::from(high) << 32)
        };
        let blocks = wide32(0x04, 0x150)?;
        let first_data_block = u64::from(get32(b, 0x14)?);
        let blocks_per_group = get32(b, 0x20)?;
        let groups = group_count(blocks, first_data_block, blocks_per_group)?;
        let flags = get32(b, 0x160)?;
        let sup = Self {
            compat,
            incompat,
            ro_compat,
            block_size,
            block_bits: 10 + log,
            blocks,
            reserved_blocks: wide32(0x08, 0x154)?,
            first_data_block,
            blocks_per_group,
            inodes: get32(b, 0x00)?,
            inodes_per_group: get32(b, 0x28)?,
            first_inode: if dynamic { get32(b, 0x54)? } else { 11 },
            inode_size: if dynamic {
                usize::from(get16(b, 0x58)?)
            } else {
                128
            },
            desc_size: if wide {
                usize::from(get16(b, 0xFE)?)
            } else {
                32
            },
            groups,
            seed: checksum_seed(b, incompat)?,
            hash_seed: [
                get32(b, 0xEC)?,
                get32(b, 0xF0)?,
                get32(b, 0xF4)?,
                get32(b, 0xF8)?,
            ],
            hash_version: get8(b, 0xFC)?,
            hash_unsigned: flags & 2 != 0,
            flex_bits: flex_bits(get8(b, 0x174)?, incompat)?,
            want_extra_isize: get16(b, 0x15E)?,
            counters: Counters {
                free_blocks: wide32(0x0C, 0x158)?,
                free_inodes: get32(b, 0x10)?,
                last_orphan: get32(b, 0xE8)?,
                reserved: 0,
            },
            raw,
        };
        sup.check_geometry(device_size)?;
        Ok(sup)
    }

    fn check_geometry(&self, device_size: u64) -> Result<()> {
        let bad = |what| Err(Error::Corrupt(what));
        let bits = u64_of(self.block_size) * 8;
        if !self.blocks_per_group.is_multiple_of(8) || u64::from(self.blocks_per_group) > bits {
            return bad("superblock: blocks per group");
        }
        let ipg = self.inodes_per_group;
        if ipg == 0 || u64::from(ipg) > bits {
            return bad("superblock: inodes per group");
        }
        if u64::from(ipg) * u64::from(self.groups) != u64::from(self.inodes) {
            return bad("superblock: number of inodes");
        }
        let size = self.inode_size;
        if !size.is_power_of_two() || size < 128 || size > self.block_size {
            return bad("superblock: inode size");
        }
        let desc = self.desc_size;
        let least = if self.is_wide() { 64 } else { 32 };
        if !desc.is_power_of_two() || desc < least || desc > 1024 || desc > self.block_size {
            return bad("superblock: group descriptor size");
        }
        if self.first_inode < 11 || self.first_inode > self.inodes {
            return bad("superblock: first inode");
        }
        if self.first_data_block != u64::from(self.block_size == 1024) {
            return bad("superblock: first data block");
        }
        match self.blocks.checked_mul(u64_of(self.block_size)) {
            Some(bytes) if bytes <= device_size => Ok(()),
            _ => bad("superblock: larger than the device"),
        }
    }

    pub(super) fn is_wide(&self) -> bool {
        self.incompat.contains(Incompat::BITS64)
    }

    pub(super) fn has_csum(&self) -> bool {
        self.ro_compat.contains(RoCompat::METADATA_CSUM)
    }

    /// Whether group descriptors carry a checksum, and so uninitialised groups may exist.
    pub(super) fn has_group_csum(&self) -> bool {
        self.ro_compat
            .intersects(RoCompat::METADATA_CSUM | RoCompat::GDT_CSUM)
    }

    /// Whether every feature is known that a writer has to keep up.
    pub(super) fn is_writable(&self) -> bool {
        RoCompat::all().contains(self.ro_compat)
    }

    /// Whether `block` can hold something other than boot code.
    pub(super) fn has_block(&self, block: u64) -> bool {
        block > self.first_data_block && block < self.blocks
    }

    /// Whether all of `length` blocks from `block` on can.
    pub(super) fn has_blocks(&self, block: u64, length: u64) -> bool {
        self.has_block(block)
            && block
                .checked_add(length)
                .is_some_and(|end| end <= self.blocks)
    }

    pub(super) fn group_first_block(&self, group: u32) -> u64 {
        self.first_data_block + u64::from(group) * u64::from(self.blocks_per_group)
    }

    /// The number of blocks in `group`: the last one may be short.
    pub(super) fn group_blocks(&self, group: u32) -> u32 {
        let rest = self.blocks.saturating_sub(self.group_first_block(group));
        low32(rest.min(u64::from(self.blocks_per_group)))
    }

    /// The group of a block, and the block's place in it.
    pub(super) fn group_of(&self, block: u64) -> (u32, u32) {
        let at = block.saturating_sub(self.first_data_block);
        let per = u64::from(self.blocks_per_group);
        (low32(at / per), low32(at % per))
    }

    /// Whether `group` begins with a copy of the superblock.
    pub(super) fn has_super(&self, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.compat.contains(Compat::SPARSE_SUPER2) {
            return [0x24C, 0x250]
                .iter()
                .any(|at| get32(&self.raw, *at) == Ok(group));
        }
        if group == 1 || !self.ro_compat.contains(RoCompat::SPARSE_SUPER) {
            return true;
        }
        [3, 5, 7].iter().any(|base| is_power_of(group, *base))
    }

    pub(super) fn descs_per_block(&self) -> u32 {
        low32(u64_of(self.block_size / self.desc_size))
    }

    pub(super) fn first_meta_bg(&self) -> u32 {
        get32(&self.raw, 0x104).unwrap_or(0)
    }

    /// The block that holds `group`'s descriptor.
    pub(super) fn desc_block(&self, group: u32) -> u64 {
        let index = group / self.descs_per_block();
        if !self.incompat.contains(Incompat::META_BG) || index < self.first_meta_bg() {
            return self.first_data_block + 1 + u64::from(index);
        }
        let first = index * self.descs_per_block();
        self.group_first_block(first) + u64::from(self.has_super(first))
    }

    /// Blocks at the start of `group` that hold the superblock's copy and the descriptors.
    pub(super) fn base_meta_blocks(&self, group: u32) -> u32 {
        let per = self.descs_per_block();
        let meta_bg = self.incompat.contains(Incompat::META_BG);
        let copy = self.has_super(group);
        if !meta_bg || group / per < self.first_meta_bg() {
            if !copy {
                return 0;
            }
            let table = if meta_bg {
                self.first_meta_bg()
            } else {
                self.groups.div_ceil(per)
            };
            let spare = get16(&self.raw, 0xCE).unwrap_or(0);
            return 1 + table + u32::from(spare);
        }
        let place = group % per;
        let holds = place == 0 || place == 1 || place == per - 1;
        u32::from(copy) + u32::from(holds)
    }

    /// The group that holds inode `ino`, and the inode's place in it.
    pub(super) fn inode_group(&self, ino: u32) -> (u32, u32) {
        let at = ino.wrapping_sub(1);
        (at / self.inodes_per_group, at % self.inodes_per_group)
    }

    /// How directories without an index yet will hash their names.
    pub(super) fn hasher(&self) -> Option<Hasher> {
        let version = Some(self.hash_version).filter(|version| *version <= 2)?;
        Hasher::new(version, self.hash_unsigned, self.hash_seed)
    }

    /// Puts counters, features and checksum into the raw bytes, ready to be written.
    pub(super) fn seal(&mut self) -> Result<()> {
        let Counters {
            free_blocks,
            free_inodes,
            last_orphan,
            ..
        } = self.counters;
        let csum = self.has_csum();
        let wide = self.is_wide();
        let b = self.raw.as_mut_slice();
        put32(b, 0x0C, low32(free_blocks))?;
        if wide {
            put32(b, 0x158, high32(free_blocks))?;
        }
        put32(b, 0x10, free_inodes)?;
        put32(b, 0xE8, last_orphan)?;
        if get32(b, 0x4C)? >= 1 {
            put32(b, 0x5C, self.compat.bits())?;
            put32(b, 0x60, self.incompat.bits())?;
            put32(b, 0x64, self.ro_compat.bits())?;
        }
        if csum {
            let value = crc32c(!0, part(b, 0..CHECKSUM_AT)?);
            put32(b, CHECKSUM_AT, value)?;
        }
        Ok(())
    }

    pub(super) fn state(&self) -> u16 {
        get16(&self.raw, 0x3A).unwrap_or(0)
    }

    pub(super) fn set_state(&mut self, state: u16) -> Result<()> {
        put16(&mut self.raw, 0x3A, state)
    }

    /// Notes a mount at `seconds` (Unix time), as Linux does.
    pub(super) fn note_mount(&mut self, seconds: u64) -> Result<()> {
        let count = get16(&self.raw, 0x34)?;
        put16(&mut self.raw, 0x34, count.wrapping_add(1))?;
        put32(&mut self.raw, 0x2C, low32(seconds))?;
        put8(&mut self.raw, 0x274 + 1, hi8(seconds))?;
        self.note_write(seconds)
    }

    /// Notes the time of the last write.
    pub(super) fn note_write(&mut self, seconds: u64) -> Result<()> {
        put32(&mut self.raw, 0x30, low32(seconds))?;
        put8(&mut self.raw, 0x274, hi8(seconds))
    }

    pub(super) fn uuid(&self) -> [u8; 16] {
        part(&self.raw, 0x68..0x78)
            .ok()
            .and_then(|bytes| bytes.first_chunk().copied())
            .unwrap_or_default()
    }

    /// Blocks that the format itself takes, as `statfs` leaves them out.
    pub(super) fn overhead(&self) -> u64 {
        let noted = get32(&self.raw, 0x248).map_or(0, u64::from);
        if noted != 0 || self.groups > 1024 {
            return noted;
        }
        let bases: u64 = (0..self.groups)
            .map(|group| u64::from(self.base_meta_blocks(group)))
            .sum();
        self.first_data_block + bases + u64::from(self.groups) * (self.table_blocks() + 2)
    }

    /// `f_fsid`: the UUID folded to 64 bits.
    pub(super) fn id(&self) -> [u32; 2] {
        let word = |at: usize| {
            let low = get32(&self.raw, 0x68 + at).unwrap_or(0);
            low ^ get32(&self.raw, 0x70 + at).unwrap_or(0)
        };
        [word(0), word(4)]
    }

    /// The block that the superblock lies in, and where.
    pub(super) fn place(&self) -> (u64, usize) {
        let size = u64_of(self.block_size);
        (OFFSET / size, usize_of(OFFSET % size))
    }
}

fn hi8(seconds: u64) -> u8 {
    crate::num::low8(seconds >> 32)
}

fn check_checksum(b: &[u8], ro_compat: RoCompat) -> Result<()> {
    if !ro_compat.contains(RoCompat::METADATA_CSUM) {
        return Ok(());
    }
    if get8(b, 0x175)? != 1 {
        return Err(Error::Unsupported("checksum type"));
    }
    if crc32c(!0, part(b, 0..CHECKSUM_AT)?) != get32(b, CHECKSUM_AT)? {
        return Err(Error::BadChecksum("superblock"));
    }
    Ok(())
}

fn checksum_seed(b: &[u8], incompat: Incompat) -> Result<u32> {
    if incompat.contains(Incompat::CSUM_SEED) {
        return get32(b, 0x270);
    }
    Ok(crc32c(!0, part(b, 0x68..0x78)?))
}

fn flex_bits(log: u8, incompat: Incompat) -> Result<u32> {
    match log {
        _ if !incompat.contains(Incompat::FLEX_BG) => Ok(0),
        0..=31 => Ok(u32::from(log)),
        _ => Err(Error::Corrupt("superblock: flex group size")),
    }
}

fn group_count(blocks: u64, first: u64, per_group: u32) -> Result<u32> {
    let used = blocks.checked_sub(first).filter(|used| *used > 0);
    match (used, per_group) {
        (None, _) | (_, 0) => Err(Error::Corrupt("superblock: number of blocks")),
        (Some(used), per) => u32::try_from(used.div_ceil(u64::from(per)))
            .map_err(|_| Error::Corrupt("superblock: number of groups")),
    }
}

fn is_power_of(mut number: u32, base: u32) -> bool {
    while number > 1 && number.is_multiple_of(base) {
        number /= base;
    }
    number == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers() {
        assert!(is_power_of(3, 3) && is_power_of(27, 3) && is_power_of(49, 7));
        assert!(!is_power_of(6, 3) && !is_power_of(45, 3));
    }

    #[test]
    fn refuses_what_is_no_file_system() {
        assert_eq!(
            Super::parse(std::vec![0; SIZE], 1 << 30).err(),
            Some(Error::NotExt4)
        );
        assert!(Super::parse(std::vec![0; 7], 0).is_err());
    }
}
