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
/// `EXT4_FEATURE_RO_COMPAT_BIGALLOC`, which isn't known to [`RoCompat`]: it keeps writers off.
const BIGALLOC: u32 = 0x200;
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
        const ORPHAN_PRESENT = 0x10000;
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
    /// The journal's inode, or 0.
    pub(super) journal_inode: u32,
    /// The inode of the file of orphans, or 0.
    pub(super) orphan_file: u32,
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
            journal_inode: get32(b, 0xE0)?,
            orphan_file: get32(b, 0x280)?,
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
        // With `bigalloc`, which only readers can do with, a bit stands for a cluster.
        let most = match self.ro_compat.bits() & BIGALLOC {
            0 => bits,
            _ => bits << 15,
        };
        if !self.blocks_per_group.is_multiple_of(8) || u64::from(self.blocks_per_group) > most {
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

    pub(super) fn has_journal(&self) -> bool {
        self.compat.contains(Compat::HAS_JOURNAL)
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

    /// Blocks that are kept for what becomes of promised data (`s_resv_clusters`): a fiftieth, at most 4096, where there
    /// are extents that may have to be split.
    pub(super) fn kept_clusters(&self) -> u64 {
        if self.incompat.contains(Incompat::EXTENTS) {
            (self.blocks / 50).min(4096)
        } else {
            0
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_file_system() {
        let zeros = std::vec![0; SIZE];
        assert_eq!(Super::parse(zeros, 1 << 30).err(), Some(Error::NotExt4));
        assert!(Super::parse(std::vec![0; 7], 0).is_err());
    }
}
