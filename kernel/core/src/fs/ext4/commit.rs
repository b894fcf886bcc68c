//! [`Journal`]: the journal of a file system that is being written (JBD2; its format and replay
//! are `journal.rs`'s).
//!
//! All operations since the last commit are one transaction: the dirty buffers. Committing it
//! writes revoke blocks, descriptors with the buffers' contents, and, once these are durable, the
//! commit block. From then on the buffers are `logged`: they are written to their places by
//! [`Ext4::checkpoint`](super::Ext4::checkpoint), which only ever follows a commit, when the log or the memory for such
//! buffers is half used up, so what it writes is what was committed. Data is ordered by those who
//! write it: blocks become part of a file when their contents are on the disk.

use super::Time;
use super::buffer::Cache;
use super::bytes::put_slice;
use super::csum::crc32c;
use super::device::Device;
use super::error::{Error, Result};
use super::journal::{
    COMMIT, DESCRIPTOR, FEATURE_CSUM_V2, FEATURE_CSUM_V3, HEAD, Log, MAGIC, REVOKE, SB_CHECKSUM,
    TAG_ESCAPE, TAG_LAST, TAG_SAME_UUID, checksum_without,
};
use crate::num::{high32, low16, low32, u64_of, usize_of32};
use alloc::vec::Vec;

mod volume;

/// Contents written to the log at once.
const BATCH_BYTES: usize = 32 * 1024;
/// `s_checksum_type` of the journal: crc32c.
const CRC32C: u8 = 4;
const UUID_BYTES: usize = 16;

/// A part of the log that lies in one piece on the device.
#[derive(Clone, Copy, Debug)]
struct Piece {
    first: u32,
    length: u32,
    start: u64,
}

/// The journal of a mounted file system.
#[derive(Debug)]
pub(super) struct Journal {
    log: Log,
    /// Its superblock's bytes.
    raw: Vec<u8>,
    pieces: Vec<Piece>,
    block_size: usize,
    /// Where the next transaction begins.
    head: u32,
    /// Blocks of the log that a replay needs.
    used: u32,
    /// The next transaction's number.
    sequence: u32,
    /// A commit came to an unknown end: nothing is written any more.
    failed: bool,
    /// Blocks on their way into the log, neighbours on the device.
    batch: Vec<u8>,
    batch_start: u64,
}

/// The place at which a transaction is being written.
#[derive(Clone, Copy)]
struct Writer {
    at: u32,
    count: u32,
}

impl Journal {
    fn length(&self) -> u32 {
        self.log.end - self.log.first
    }

    /// Dirty buffers that make a transaction large enough to be committed.
    pub(super) fn most_dirty(&self) -> usize {
        usize_of32(self.length() / 4)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    fn place(&self, number: u32) -> Result<u64> {
        let index = self.pieces.partition_point(|piece| piece.first <= number);
        let piece = index
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index))
            .filter(|piece| number - piece.first < piece.length)
            .ok_or(Error::Corrupt("journal"))?;
        Ok(piece.start + u64::from(number - piece.first))
    }

    /// Bytes of a tag, as the features say.
    fn tag_size(&self) -> usize {
        self.log.tag_size()
    }

    /// Tags that fit into a descriptor block.
    fn tags_in_block(&self) -> usize {
        let tail = if self.log.has_csum() { 4 } else { 0 };
        (self.block_size - HEAD - UUID_BYTES - tail) / self.tag_size()
    }

    fn revokes_in_block(&self) -> usize {
        let tail = if self.log.has_csum() { 4 } else { 0 };
        let size = if self.log.is_wide() { 8 } else { 4 };
        (self.block_size - HEAD - 4 - tail) / size
    }

    /// A block that begins with the header of its kind.
    fn blank(&self, kind: u32) -> Result<Vec<u8>> {
        let mut b = Vec::new();
        b.try_reserve_exact(self.block_size)
            .map_err(|_| Error::NoMemory)?;
        b.resize(self.block_size, 0);
        put_slice(&mut b, 0, &MAGIC.to_be_bytes())?;
        put_slice(&mut b, 4, &kind.to_be_bytes())?;
        put_slice(&mut b, 8, &self.sequence.to_be_bytes())?;
        Ok(b)
    }

    /// Sets the checksum at the end of a descriptor or revoke block.
    fn seal_tail(&self, b: &mut [u8]) -> Result<()> {
        if self.log.has_csum() {
            let at = b.len() - 4;
            let value = checksum_without(self.log.seed, b, at)?;
            put_slice(b, at, &value.to_be_bytes())?;
        }
        Ok(())
    }

    /// Appends a block to the log.
    fn put<D: Device>(
        &mut self,
        cache: &mut Cache<D>,
        to: &mut Writer,
        block: &[u8],
    ) -> Result<()> {
        self.make_room(cache, to)?;
        self.batch.extend_from_slice(block);
        self.advance(to);
        Ok(())
    }

    fn advance(&self, to: &mut Writer) {
        to.at = self.log.after(to.at, 1);
        to.count += 1;
    }

    /// Writes the batch unless the next block still belongs to it.
    fn make_room<D: Device>(&mut self, cache: &mut Cache<D>, to: &Writer) -> Result<()> {
        let place = self.place(to.at)?;
        let blocks = u64_of(self.batch.len() / self.block_size);
        let joins = place == self.batch_start + blocks;
        if !joins || self.batch.len() + self.block_size > BATCH_BYTES {
            self.write_batch(cache)?;
        }
        if self.batch.is_empty() {
            self.batch_start = place;
        }
        Ok(())
    }

    fn write_batch<D: Device>(&mut self, cache: &mut Cache<D>) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let offset = self.batch_start * u64_of(self.block_size);
        let written = cache.write_raw(offset, &self.batch);
        self.batch.clear();
        written
    }

    /// Writes blocks that a replay must leave alone, from this transaction back.
    fn put_revokes<D: Device>(&mut self, cache: &mut Cache<D>, to: &mut Writer) -> Result<()> {
        let revoked = core::mem::take(&mut cache.revoked);
        let result = revoked
            .chunks(self.revokes_in_block().max(1))
            .try_for_each(|chunk| {
                let b = self.revoke_block(chunk)?;
                self.put(cache, to, &b)
            });
        cache.revoked = revoked;
        result
    }

    fn revoke_block(&self, blocks: &[u64]) -> Result<Vec<u8>> {
        let mut b = self.blank(REVOKE)?;
        let mut at = HEAD + 4;
        for block in blocks {
            if self.log.is_wide() {
                put_slice(&mut b, at, &block.to_be_bytes())?;
                at += 8;
            } else {
                put_slice(&mut b, at, &low32(*block).to_be_bytes())?;
                at += 4;
            }
        }
        put_slice(&mut b, HEAD, &low32(u64_of(at)).to_be_bytes())?;
        self.seal_tail(&mut b)?;
        Ok(b)
    }

    /// Writes a descriptor block and the blocks that it names.
    fn put_blocks<D: Device>(
        &mut self,
        cache: &mut Cache<D>,
        to: &mut Writer,
        blocks: &[u64],
    ) -> Result<()> {
        let mut b = self.blank(DESCRIPTOR)?;
        let mut at = HEAD;
        for (index, block) in blocks.iter().enumerate() {
            let mut flags = if index == 0 { 0 } else { TAG_SAME_UUID };
            if index + 1 == blocks.len() {
                flags |= TAG_LAST;
            }
            at = self.put_tag(&mut b, at, *block, flags, cache.held(*block)?)?;
        }
        self.seal_tail(&mut b)?;
        self.put(cache, to, &b)?;
        for block in blocks {
            self.make_room(cache, to)?;
            let data = cache.held(*block)?;
            let from = self.batch.len();
            self.batch.extend_from_slice(data);
            if is_magic(data) {
                put_slice(&mut self.batch, from, &[0; 4])?;
            }
            self.advance(to);
        }
        Ok(())
    }

    /// Puts a tag at `at`; answers where the next one goes.
    fn put_tag(
        &self,
        b: &mut [u8],
        at: usize,
        block: u64,
        mut flags: u32,
        data: &[u8],
    ) -> Result<usize> {
        let mut crc = crc32c(self.log.seed, &self.sequence.to_be_bytes());
        if is_magic(data) {
            flags |= TAG_ESCAPE;
            crc = crc32c(crc, &[0; 4]);
            crc = crc32c(crc, data.get(4..).unwrap_or_default());
        } else if self.log.has_csum() {
            crc = crc32c(crc, data);
        }
        put_slice(b, at, &low32(block).to_be_bytes())?;
        if self.log.features & FEATURE_CSUM_V3 != 0 {
            put_slice(b, at + 4, &flags.to_be_bytes())?;
            put_slice(b, at + 12, &crc.to_be_bytes())?;
        } else {
            if self.log.features & FEATURE_CSUM_V2 != 0 {
                put_slice(b, at + 4, &low16(u64::from(crc)).to_be_bytes())?;
            }
            put_slice(b, at + 6, &low16(u64::from(flags)).to_be_bytes())?;
        }
        if self.log.is_wide() {
            put_slice(b, at + 8, &high32(block).to_be_bytes())?;
        }
        let mut next = at + self.tag_size();
        if flags & TAG_SAME_UUID == 0 {
            let uuid = super::bytes::part(&self.raw, 0x30..0x30 + UUID_BYTES)?;
            put_slice(b, next, uuid)?;
            next += UUID_BYTES;
        }
        Ok(next)
    }

    fn commit_block(&self, now: Time) -> Result<Vec<u8>> {
        let mut b = self.blank(COMMIT)?;
        put_slice(&mut b, 0x30, &now.seconds.to_be_bytes())?;
        put_slice(&mut b, 0x38, &now.nanos.to_be_bytes())?;
        if self.log.has_csum() {
            let value = checksum_without(self.log.seed, &b, 0x10)?;
            put_slice(&mut b, 0x10, &value.to_be_bytes())?;
        }
        Ok(b)
    }

    /// Blocks that a transaction takes in the log.
    fn needs(&self, dirty: usize, revoked: usize) -> usize {
        let descriptors = dirty.div_ceil(self.tags_in_block().max(1));
        let revokes = revoked.div_ceil(self.revokes_in_block().max(1));
        dirty + descriptors + revokes + 1
    }

    /// Writes the transaction of the dirty buffers `blocks`, and makes it durable.
    fn write<D: Device>(&mut self, cache: &mut Cache<D>, blocks: &[u64], now: Time) -> Result<()> {
        let needs = self.needs(blocks.len(), cache.revoked.len());
        if needs + usize_of32(self.used) + 2 > usize_of32(self.length()) {
            self.failed = true;
            return Err(Error::Corrupt("journal: too small for one operation"));
        }
        let mut to = Writer {
            at: self.head,
            count: 0,
        };
        self.batch.clear();
        self.put_revokes(cache, &mut to)?;
        for chunk in blocks.chunks(self.tags_in_block().max(1)) {
            self.put_blocks(cache, &mut to, chunk)?;
        }
        self.write_batch(cache)?;
        cache.flush()?;
        let b = self.commit_block(now)?;
        // From here on nobody knows whether it is on the disk until it has been flushed.
        self.failed = true;
        self.put(cache, &mut to, &b)?;
        self.write_batch(cache)?;
        cache.flush()?;
        self.failed = false;
        self.head = to.at;
        self.used += to.count;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    /// Writes the journal's superblock: a replay starts at `start`, with `sequence`.
    fn write_super<D: Device>(&mut self, cache: &mut Cache<D>, start: u32) -> Result<()> {
        let sequence = self.sequence;
        let place = self.place(0)?;
        let b = self.raw.as_mut_slice();
        put_slice(b, 0x18, &sequence.to_be_bytes())?;
        put_slice(b, 0x1C, &start.to_be_bytes())?;
        put_slice(b, 0x28, &self.log.features.to_be_bytes())?;
        if self.log.has_csum() {
            super::bytes::put8(b, 0x50, CRC32C)?;
            let value = checksum_without(!0, b, SB_CHECKSUM)?;
            put_slice(b, SB_CHECKSUM, &value.to_be_bytes())?;
        }
        cache.write_raw(place * u64_of(self.block_size), &self.raw)?;
        cache.flush()
    }
}

fn is_magic(data: &[u8]) -> bool {
    data.starts_with(&MAGIC.to_be_bytes())
}
