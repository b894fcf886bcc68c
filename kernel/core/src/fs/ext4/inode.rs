//! [`Inode`]: one inode in memory, read from and written to the inode tables.
//!
//! Layout: `struct ext4_inode` (Linux, fs/ext4/ext4.h). Writing changes only the fields kept here,
//! so what else stands in the inode (extended attributes, the project) stays.

use super::bytes::{get16, get32, part, put_slice, put16, put32};
use super::csum::crc32c;
use super::error::{Error, Result};
use super::superblock::{Compat, RoCompat, Super};
use super::{FileType, Time};
use crate::num::{high32, low16, low32, u64_of};

/// An inode's number; the root directory is 2.
pub type Ino = u32;

/// `EXT4_ROOT_INO`.
pub const ROOT: Ino = 2;

pub(super) const FLAG_INDEX: u32 = 0x1000;
pub(super) const FLAG_HUGE_FILE: u32 = 0x4_0000;
pub(super) const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_ENCRYPT: u32 = 0x800;
const FLAG_EA_INODE: u32 = 0x20_0000;
const FLAG_INLINE_DATA: u32 = 0x1000_0000;

/// Bytes of `i_block`: block pointers, an extent tree's root, or a short symlink's target.
pub(super) const BLOCK_BYTES: usize = 60;
pub(super) const OLD_SIZE: usize = 128;
const CHECKSUM_LO: usize = 0x7C;
const CHECKSUM_HI: usize = 0x82;

/// An inode, as operations work on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    pub(super) ino: Ino,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) atime: Time,
    pub(super) ctime: Time,
    pub(super) mtime: Time,
    pub(super) crtime: Time,
    /// Time of deletion, or the next inode in the orphan list.
    pub(super) dtime: u32,
    pub(super) links: u16,
    /// Space taken, in units of 512 bytes.
    pub(super) sectors: u64,
    pub(super) flags: u32,
    pub(super) block: [u8; BLOCK_BYTES],
    pub(super) generation: u32,
    /// The block of extended attributes, or 0.
    pub(super) file_acl: u64,
    /// Bytes of fixed fields beyond the first 128.
    pub(super) extra_isize: u16,
    /// Seed of the checksums of this inode's metadata.
    pub(super) seed: u32,
}

/// The seed of an inode's checksums.
pub(super) fn inode_seed(sup: &Super, ino: Ino, generation: u32) -> u32 {
    crc32c(
        crc32c(sup.seed, &ino.to_le_bytes()),
        &generation.to_le_bytes(),
    )
}

/// The checksum that belongs into the raw inode `b`.
fn checksum(seed: u32, b: &[u8], with_high: bool) -> Result<u32> {
    let mut crc = crc32c(seed, part(b, 0..CHECKSUM_LO)?);
    crc = crc32c(crc, &[0; 2]);
    crc = crc32c(crc, part(b, CHECKSUM_LO + 2..OLD_SIZE)?);
    if b.len() > OLD_SIZE {
        crc = crc32c(crc, part(b, OLD_SIZE..CHECKSUM_HI)?);
        let mut rest = CHECKSUM_HI;
        if with_high {
            crc = crc32c(crc, &[0; 2]);
            rest += 2;
        }
        crc = crc32c(crc, part(b, rest..b.len())?);
    }
    Ok(crc)
}

/// Whether the field that ends at `end` lies within the inode's fixed part.
fn fits(b: &[u8], extra: u16, end: usize) -> bool {
    end <= b.len() && end <= OLD_SIZE + usize::from(extra)
}

fn has_high_checksum(b: &[u8], extra: u16) -> bool {
    fits(b, extra, CHECKSUM_HI + 2)
}

/// Sets the checksum of the raw inode `b`.
pub(super) fn seal(seed: u32, b: &mut [u8], extra: u16) -> Result<()> {
    let high = has_high_checksum(b, extra);
    let crc = checksum(seed, b, high)?;
    put16(b, CHECKSUM_LO, low16(u64::from(crc)))?;
    if high {
        put16(b, CHECKSUM_HI, low16(u64::from(crc >> 16)))?;
    }
    Ok(())
}

pub(super) fn verify(seed: u32, b: &[u8], extra: u16) -> Result<()> {
    let high = has_high_checksum(b, extra);
    let crc = checksum(seed, b, high)?;
    let right = get16(b, CHECKSUM_LO)? == low16(u64::from(crc))
        && (!high || get16(b, CHECKSUM_HI)? == low16(u64::from(crc >> 16)));
    if right {
        Ok(())
    } else {
        Err(Error::BadChecksum("inode"))
    }
}

fn get_time(b: &[u8], extra: u16, at: usize, extra_at: usize) -> Result<Time> {
    let seconds = i64::from(get32(b, at)?.cast_signed());
    if !fits(b, extra, extra_at + 4) {
        return Ok(Time { seconds, nanos: 0 });
    }
    let more = get32(b, extra_at)?;
    Ok(Time {
        seconds: seconds + (i64::from(more & 3) << 32),
        nanos: (more >> 2).min(999_999_999),
    })
}

fn put_time(b: &mut [u8], extra: u16, at: usize, extra_at: usize, time: Time) -> Result<()> {
    if !fits(b, extra, extra_at + 4) {
        // 32 bits only: hold the nearest time that can be said.
        let limit = time.seconds.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        return put32(b, at, low32(limit.cast_unsigned()));
    }
    let seconds = time.seconds.clamp(i64::from(i32::MIN), 0x3_7FFF_FFFF);
    let low = low32(seconds.cast_unsigned());
    let epoch = (seconds - i64::from(low.cast_signed())) >> 32;
    put32(b, at, low)?;
    put32(
        b,
        extra_at,
        low32(epoch.cast_unsigned()) & 3 | time.nanos << 2,
    )
}

impl Inode {
    /// A new inode; what isn't given is empty.
    pub(super) fn new(sup: &Super, ino: Ino, generation: u32, now: Time) -> Self {
        let room = low16(u64_of(sup.inode_size.saturating_sub(OLD_SIZE)));
        let want = if sup.want_extra_isize == 0 {
            32
        } else {
            sup.want_extra_isize
        };
        Self {
            ino,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            atime: now,
            ctime: now,
            mtime: now,
            crtime: now,
            dtime: 0,
            links: 0,
            sectors: 0,
            flags: 0,
            block: [0; BLOCK_BYTES],
            generation,
            file_acl: 0,
            extra_isize: want.min(room) & !3,
            seed: inode_seed(sup, ino, generation),
        }
    }

    pub(super) fn parse(sup: &Super, ino: Ino, b: &[u8]) -> Result<Self> {
        let extra = if b.len() > OLD_SIZE {
            get16(b, 0x80)?
        } else {
            0
        };
        if usize::from(extra) > b.len() - OLD_SIZE || extra % 4 != 0 {
            return Err(Error::Corrupt("inode: size of its fixed part"));
        }
        let generation = get32(b, 0x64)?;
        let flags = get32(b, 0x20)?;
        let mode = get16(b, 0)?;
        let mut size = u64::from(get32(b, 0x04)?);
        let kind = FileType::of_mode(mode);
        if matches!(kind, FileType::Regular | FileType::Directory) {
            size |= u64::from(get32(b, 0x6C)?) << 32;
        }
        let acl_high = if sup.is_wide() { get16(b, 0x76)? } else { 0 };
        let mut block = [0; BLOCK_BYTES];
        block.copy_from_slice(part(b, 0x28..0x28 + BLOCK_BYTES)?);
        let crtime = if fits(b, extra, 0x98) {
            get_time(b, extra, 0x90, 0x94)?
        } else {
            Time::default()
        };
        let inode = Self {
            ino,
            mode,
            uid: u32::from(get16(b, 0x02)?) | u32::from(get16(b, 0x78)?) << 16,
            gid: u32::from(get16(b, 0x18)?) | u32::from(get16(b, 0x7A)?) << 16,
            size,
            atime: get_time(b, extra, 0x08, 0x8C)?,
            ctime: get_time(b, extra, 0x0C, 0x84)?,
            mtime: get_time(b, extra, 0x10, 0x88)?,
            crtime,
            dtime: get32(b, 0x14)?,
            links: get16(b, 0x1A)?,
            sectors: get_sectors(sup, b, flags)?,
            flags,
            block,
            generation,
            file_acl: u64::from(get32(b, 0x68)?) | u64::from(acl_high) << 32,
            extra_isize: extra,
            seed: inode_seed(sup, ino, generation),
        };
        inode.check(sup)?;
        Ok(inode)
    }

    fn check(&self, sup: &Super) -> Result<()> {
        if self.flags & (FLAG_ENCRYPT | FLAG_INLINE_DATA | FLAG_EA_INODE) != 0 {
            return Err(Error::Unsupported("encrypted, inline or attribute inode"));
        }
        if self.size > i64::MAX.cast_unsigned() {
            return Err(Error::Corrupt("inode: size"));
        }
        if self.is_dir() && self.size >> sup.block_bits > sup.blocks {
            return Err(Error::Corrupt("directory: size"));
        }
        Ok(())
    }

    pub(super) fn store(&self, sup: &Super, b: &mut [u8]) -> Result<()> {
        let extra = self.extra_isize;
        put16(b, 0x00, self.mode)?;
        put16(b, 0x02, low16(u64::from(self.uid)))?;
        put32(b, 0x04, low32(self.size))?;
        put_time(b, extra, 0x08, 0x8C, self.atime)?;
        put_time(b, extra, 0x0C, 0x84, self.ctime)?;
        put_time(b, extra, 0x10, 0x88, self.mtime)?;
        if fits(b, extra, 0x98) {
            put_time(b, extra, 0x90, 0x94, self.crtime)?;
        }
        put32(b, 0x14, self.dtime)?;
        put16(b, 0x18, low16(u64::from(self.gid)))?;
        put16(b, 0x1A, self.links)?;
        put16(b, 0x78, low16(u64::from(self.uid >> 16)))?;
        put16(b, 0x7A, low16(u64::from(self.gid >> 16)))?;
        put_slice(b, 0x28, &self.block)?;
        put32(b, 0x64, self.generation)?;
        put32(b, 0x68, low32(self.file_acl))?;
        if sup.is_wide() {
            put16(b, 0x76, low16(self.file_acl >> 32))?;
        }
        put32(b, 0x6C, high32(self.size))?;
        if b.len() > OLD_SIZE {
            put16(b, 0x80, extra)?;
        }
        put_sectors(sup, b, self.sectors, self.flags)?;
        if sup.has_csum() {
            seal(self.seed, b, extra)?;
        }
        Ok(())
    }

    pub(super) fn kind(&self) -> FileType {
        FileType::of_mode(self.mode)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(super) fn has_extents(&self) -> bool {
        self.flags & FLAG_EXTENTS != 0
    }

    /// Whether the directory is hashed: flagged so, in a file system that keeps it up.
    pub(super) fn is_indexed(&self, sup: &Super) -> bool {
        self.flags & FLAG_INDEX != 0 && sup.compat.contains(Compat::DIR_INDEX)
    }

    /// A symlink whose target stands in the inode itself.
    pub(super) fn is_fast_symlink(&self, sup: &Super) -> bool {
        let attributes = if self.file_acl == 0 {
            0
        } else {
            u64_of(sup.block_size) / 512
        };
        self.kind() == FileType::Symlink
            && self.sectors == attributes
            && self.size < u64_of(BLOCK_BYTES)
    }

    /// Notes that `blocks` more blocks belong to this inode.
    pub(super) fn add_blocks(&mut self, sup: &Super, blocks: u64) {
        let sectors = blocks << (sup.block_bits - 9);
        self.sectors = self.sectors.saturating_add(sectors);
    }

    /// Notes that `blocks` blocks belong to this inode no longer.
    pub(super) fn drop_blocks(&mut self, sup: &Super, blocks: u64) {
        let sectors = blocks << (sup.block_bits - 9);
        self.sectors = self.sectors.saturating_sub(sectors);
    }

    /// Device number of a device node, as Linux encodes it for user space.
    pub(super) fn device(&self) -> u32 {
        if !matches!(self.kind(), FileType::Block | FileType::Char) {
            return 0;
        }
        let old = get32(&self.block, 0).unwrap_or(0);
        if old != 0 {
            // 8 bits each of major and minor: the same bits as in the new encoding.
            return old & 0xFFFF;
        }
        get32(&self.block, 4).unwrap_or(0)
    }

    pub(super) fn set_device(&mut self, device: u32) -> Result<()> {
        if device < 0x10000 {
            put32(&mut self.block, 0, device)
        } else {
            put32(&mut self.block, 4, device)
        }
    }
}

fn get_sectors(sup: &Super, b: &[u8], flags: u32) -> Result<u64> {
    let low = u64::from(get32(b, 0x1C)?);
    if !sup.ro_compat.contains(RoCompat::HUGE_FILE) {
        return Ok(low);
    }
    let count = low | u64::from(get16(b, 0x74)?) << 32;
    if flags & FLAG_HUGE_FILE != 0 {
        return Ok(count << (sup.block_bits - 9));
    }
    Ok(count)
}

fn put_sectors(sup: &Super, b: &mut [u8], sectors: u64, mut flags: u32) -> Result<()> {
    flags &= !FLAG_HUGE_FILE;
    let huge = sup.ro_compat.contains(RoCompat::HUGE_FILE);
    let count = if sectors < 1 << 32 || (huge && sectors < 1 << 48) {
        sectors
    } else if huge {
        flags |= FLAG_HUGE_FILE;
        sectors >> (sup.block_bits - 9)
    } else {
        return Err(Error::TooBig);
    };
    put32(b, 0x1C, low32(count))?;
    if huge {
        put16(b, 0x74, low16(count >> 32))?;
    }
    put32(b, 0x20, flags)
}
