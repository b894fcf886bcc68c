//! Replaying the journal (JBD2) of a file system that wasn't unmounted cleanly.
//!
//! The journal is a file: a superblock, then a ring of transactions, each of descriptor blocks
//! with the data blocks they name, revoke blocks, and a commit block. What was committed is
//! written to its place, unless a later transaction revoked it. Layout: Linux,
//! Documentation/filesystems/ext4/journal.rst; big-endian.

use super::Ext4;
use super::bytes::{be16, be32, be64, part, put_slice};
use super::csum::crc32c;
use super::device::Device;
use super::error::{Error, Result};
use super::inode::Inode;
use super::map::State;
use super::superblock::Incompat;
use crate::num::{low32, u64_of, usize_of32};
use alloc::vec::Vec;
use hashbrown::HashMap;

pub(super) const MAGIC: u32 = 0xC03B_3998;
pub(super) const HEAD: usize = 12;
pub(super) const DESCRIPTOR: u32 = 1;
pub(super) const COMMIT: u32 = 2;
const SUPERBLOCK_V2: u32 = 4;
pub(super) const REVOKE: u32 = 5;

pub(super) const FEATURE_REVOKE: u32 = 0x1;
pub(super) const FEATURE_64BIT: u32 = 0x2;
const FEATURE_ASYNC_COMMIT: u32 = 0x4;
pub(super) const FEATURE_CSUM_V2: u32 = 0x8;
pub(super) const FEATURE_CSUM_V3: u32 = 0x10;

pub(super) const TAG_ESCAPE: u32 = 1;
pub(super) const TAG_SAME_UUID: u32 = 2;
pub(super) const TAG_LAST: u32 = 8;

pub(super) const SB_CHECKSUM: usize = 0xFC;
pub(super) const SB_SIZE: usize = 1024;
const BAD: Error = Error::Corrupt("journal");

/// An opened journal.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) inode: Inode,
    /// The ring: blocks `first..end` of the file.
    pub(super) first: u32,
    pub(super) end: u32,
    /// Where the oldest transaction begins, and its number.
    pub(super) start: u32,
    pub(super) sequence: u32,
    pub(super) features: u32,
    pub(super) seed: u32,
}

/// A data block named by a descriptor.
struct Tag {
    block: u64,
    flags: u32,
    checksum: u32,
}

/// Revoked blocks, with the transaction that revoked them last. (In a type that other maps here have, too.)
type Revoked = HashMap<u64, usize>;

/// What a walk over the log is for.
enum Pass<'a> {
    /// Find where the committed transactions end.
    Scan,
    /// Collect revoked blocks.
    Revoke(&'a mut Revoked),
    /// Write what isn't revoked.
    Replay(&'a Revoked),
}

impl Log {
    pub(super) fn parse(inode: Inode, b: &[u8], block_size: usize) -> Result<Self> {
        if be32(b, 0)? != MAGIC || be32(b, 4)? != SUPERBLOCK_V2 {
            return Err(BAD);
        }
        let features = be32(b, 0x28)?;
        let known = FEATURE_REVOKE
            | FEATURE_64BIT
            | FEATURE_ASYNC_COMMIT
            | FEATURE_CSUM_V2
            | FEATURE_CSUM_V3;
        if features & !known != 0 {
            return Err(Error::Unsupported("journal feature"));
        }
        let log = Self {
            inode,
            first: be32(b, 0x14)?,
            end: be32(b, 0x10)?,
            start: be32(b, 0x1C)?,
            sequence: be32(b, 0x18)?,
            features,
            seed: crc32c(!0, part(b, 0x30..0x40)?),
        };
        let ring = log.first > 0 && log.first < log.end;
        let inside = log.start == 0 || (log.first..log.end).contains(&log.start);
        if !ring || !inside || u64::from(be32(b, 0x0C)?) != u64_of(block_size) {
            return Err(BAD);
        }
        if log.has_csum()
            && checksum_without(!0, part(b, 0..SB_SIZE)?, SB_CHECKSUM)? != be32(b, SB_CHECKSUM)?
        {
            return Err(Error::BadChecksum("journal superblock"));
        }
        Ok(log)
    }

    pub(super) fn has_csum(&self) -> bool {
        self.features & (FEATURE_CSUM_V2 | FEATURE_CSUM_V3) != 0
    }

    pub(super) fn is_wide(&self) -> bool {
        self.features & FEATURE_64BIT != 0
    }

    /// The block `count` after `at`, round the ring.
    pub(super) fn after(&self, at: u32, count: u32) -> u32 {
        let length = u64::from(self.end - self.first);
        let place = u64::from(at - self.first) + u64::from(count);
        self.first + low32(place % length)
    }

    /// Whether the checksum at the block's end is right, where there is one.
    fn is_whole(&self, b: &[u8]) -> Result<bool> {
        let at = b.len() - 4;
        Ok(!self.has_csum() || checksum_without(self.seed, b, at)? == be32(b, at)?)
    }

    fn is_committed(&self, b: &[u8]) -> Result<bool> {
        Ok(!self.has_csum() || checksum_without(self.seed, b, 0x10)? == be32(b, 0x10)?)
    }

    /// Bytes of a tag, without a UUID.
    pub(super) fn tag_size(&self) -> usize {
        let v3 = self.features & FEATURE_CSUM_V3 != 0;
        let v2 = self.features & FEATURE_CSUM_V2 != 0;
        match (v3, v2, self.is_wide()) {
            (true, _, _) => 16,
            (_, v2, wide) => 8 + if wide { 4 } else { 0 } + if v2 { 2 } else { 0 },
        }
    }

    /// The tags of a descriptor block.
    fn tags(&self, b: &[u8]) -> Result<Vec<Tag>> {
        let v3 = self.features & FEATURE_CSUM_V3 != 0;
        let size = self.tag_size();
        let end = b.len() - if self.has_csum() { 4 } else { 0 };
        let mut tags = Vec::new();
        let mut at = HEAD;
        while at + size <= end {
            let high = match (v3, self.is_wide()) {
                (_, false) => 0,
                (_, true) => u64::from(be32(b, at + 8)?),
            };
            let (flags, checksum) = if v3 {
                (be32(b, at + 4)?, be32(b, at + 12)?)
            } else {
                (u32::from(be16(b, at + 6)?), u32::from(be16(b, at + 4)?))
            };
            let block = u64::from(be32(b, at)?) | high << 32;
            tags.try_reserve(1).map_err(|_| Error::NoMemory)?;
            tags.push(Tag {
                block,
                flags,
                checksum,
            });
            at += size + if flags & TAG_SAME_UUID == 0 { 16 } else { 0 };
            if flags & TAG_LAST != 0 {
                break;
            }
        }
        Ok(tags)
    }

    fn is_right(&self, tag: &Tag, sequence: u32, data: &[u8]) -> bool {
        let crc = crc32c(crc32c(self.seed, &sequence.to_be_bytes()), data);
        if self.features & FEATURE_CSUM_V3 != 0 {
            crc == tag.checksum
        } else {
            !self.has_csum() || crc & 0xFFFF == tag.checksum
        }
    }
}

/// The checksum of `b` with the four bytes at `at` taken as zero.
pub(super) fn checksum_without(seed: u32, b: &[u8], at: usize) -> Result<u32> {
    let crc = crc32c(crc32c(seed, part(b, 0..at)?), &[0; 4]);
    Ok(crc32c(crc, part(b, at + 4..b.len())?))
}

impl<D: Device> Ext4<D> {
    /// Writes what the journal holds to its places and empties the journal. The superblock in
    /// memory is out of date afterwards.
    pub(super) fn replay_journal(&mut self) -> Result<()> {
        if self.sup.journal_inode == 0 {
            return Err(Error::Unsupported("journal on another device"));
        }
        let inode = self.load_any(self.sup.journal_inode)?;
        let mut b = self.zero_block()?;
        self.read_log(&inode, 0, &mut b)?;
        let log = Log::parse(inode, &b, self.sup.block_size)?;
        let mut last = log.sequence;
        if log.start != 0 {
            last = self.walk_log(&log, &mut Pass::Scan, None)?;
            let mut revoked = HashMap::new();
            self.walk_log(&log, &mut Pass::Revoke(&mut revoked), Some(last))?;
            self.walk_log(&log, &mut Pass::Replay(&revoked), Some(last))?;
        }
        self.cache.flush()?;
        self.empty_log(&log, &mut b, last.wrapping_add(1))
    }

    pub(super) fn log_place(&mut self, inode: &Inode, number: u32) -> Result<u64> {
        let mapping = self.map_inode(inode, number, 1)?;
        if mapping.state != State::Written || !self.sup.has_block(mapping.start) {
            return Err(BAD);
        }
        Ok(mapping.start << self.sup.block_bits)
    }

    fn read_log(&mut self, inode: &Inode, number: u32, b: &mut [u8]) -> Result<()> {
        let place = self.log_place(inode, number)?;
        self.cache.read_raw(place, b)
    }

    /// Goes over the transactions of the log up to number `until`, or to the first that isn't
    /// whole; answers the number of the one after the last.
    fn walk_log(&mut self, log: &Log, pass: &mut Pass<'_>, until: Option<u32>) -> Result<u32> {
        let mut b = self.zero_block()?;
        let (mut at, mut sequence) = (log.start, log.sequence);
        let mut left = log.end - log.first;
        while left > 0 && until != Some(sequence) {
            self.read_log(&log.inode, at, &mut b)?;
            if be32(&b, 0)? != MAGIC || be32(&b, 8)? != sequence {
                break;
            }
            let mut used = 1;
            match be32(&b, 4)? {
                DESCRIPTOR if log.is_whole(&b)? => {
                    let tags = log.tags(&b)?;
                    used += low32(u64_of(tags.len()));
                    if let Pass::Replay(revoked) = pass {
                        self.replay(log, &tags, at, sequence, revoked)?;
                    }
                }
                REVOKE if log.is_whole(&b)? => {
                    if let Pass::Revoke(revoked) = pass {
                        note_revoked(log, &b, sequence, revoked)?;
                    }
                }
                COMMIT if log.is_committed(&b)? => sequence = sequence.wrapping_add(1),
                _ => break,
            }
            at = log.after(at, used);
            left = left.saturating_sub(used);
        }
        Ok(sequence)
    }

    /// Writes the data blocks of a descriptor, which lies at `at`.
    fn replay(
        &mut self,
        log: &Log,
        tags: &[Tag],
        at: u32,
        sequence: u32,
        revoked: &Revoked,
    ) -> Result<()> {
        let mut data = self.zero_block()?;
        for (tag, count) in tags.iter().zip(1u32..) {
            // A block revoked by this transaction or a later one holds something else by now.
            let gone = revoked
                .get(&tag.block)
                .is_some_and(|by| low32(u64_of(*by)).wrapping_sub(sequence).cast_signed() >= 0);
            if gone {
                continue;
            }
            self.read_log(&log.inode, log.after(at, count), &mut data)?;
            if !log.is_right(tag, sequence, &data) {
                return Err(Error::BadChecksum("journal block"));
            }
            if tag.flags & TAG_ESCAPE != 0 {
                put_slice(&mut data, 0, &MAGIC.to_be_bytes())?;
            }
            if tag.block >= self.sup.blocks {
                return Err(BAD);
            }
            self.cache
                .write_raw(tag.block << self.sup.block_bits, &data)?;
        }
        Ok(())
    }

    /// Notes that the journal holds nothing; the next transaction will be `sequence`.
    fn empty_log(&mut self, log: &Log, b: &mut [u8], sequence: u32) -> Result<()> {
        put_slice(b, 0x18, &sequence.to_be_bytes())?;
        put_slice(b, 0x1C, &[0; 4])?;
        if log.has_csum() {
            let value = checksum_without(!0, part(b, 0..SB_SIZE)?, SB_CHECKSUM)?;
            put_slice(b, SB_CHECKSUM, &value.to_be_bytes())?;
        }
        let place = self.log_place(&log.inode, 0)?;
        self.cache.write_raw(place, b)
    }

    /// Whether there are committed changes that aren't in their places yet.
    pub(super) fn needs_replay(&self) -> bool {
        self.sup.incompat.contains(Incompat::RECOVER)
    }
}

fn note_revoked(log: &Log, b: &[u8], sequence: u32, revoked: &mut Revoked) -> Result<()> {
    let size = if log.is_wide() { 8 } else { 4 };
    let end = usize::try_from(be32(b, HEAD)?).unwrap_or(usize::MAX);
    let end = end.min(b.len());
    let mut at = HEAD + 4;
    while at + size <= end {
        let block = if log.is_wide() {
            be64(b, at)?
        } else {
            u64::from(be32(b, at)?)
        };
        revoked.try_reserve(1).map_err(|_| Error::NoMemory)?;
        revoked.insert(block, usize_of32(sequence));
        at += size;
    }
    Ok(())
}
