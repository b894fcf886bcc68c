//! Checksums at the buffers' border: checked when a block comes in, set when it goes out.

use super::buffer::{Kind, Slot};
use super::bytes::{get32, part, put32};
use super::csum::crc32c;
use super::device::Device;
use super::error::{Error, Result};
use super::superblock::Super;
use super::{Ext4, dir, extent};

/// Where the checksum of a block of attributes stands.
const ATTRIBUTES_AT: usize = 0x10;

fn attributes_checksum(sup: &Super, block: u64, b: &[u8]) -> Result<u32> {
    let crc = crc32c(sup.seed, &block.to_le_bytes());
    let crc = crc32c(crc, part(b, 0..ATTRIBUTES_AT)?);
    let crc = crc32c(crc, &[0; 4]);
    Ok(crc32c(crc, part(b, ATTRIBUTES_AT + 4..b.len())?))
}

/// Place and right value of the checksum that stands in the block itself.
fn own_checksum(sup: &Super, kind: Kind, block: u64, b: &[u8]) -> Result<Option<(usize, u32)>> {
    match kind {
        Kind::Directory(seed) => dir::checksum(seed, b).map(Some),
        Kind::Extents(seed) => {
            let at = extent::tail_at(b)?;
            Ok(Some((at, crc32c(seed, part(b, 0..at)?))))
        }
        Kind::Attributes => Ok(Some((ATTRIBUTES_AT, attributes_checksum(sup, block, b)?))),
        _ => Ok(None),
    }
}

fn verify(sup: &Super, kind: Kind, block: u64, b: &[u8]) -> Result<()> {
    if let Kind::Descriptors(first) = kind {
        return sup.verify_descs(first, b);
    }
    if !sup.has_csum() {
        return Ok(());
    }
    match own_checksum(sup, kind, block, b)? {
        Some((at, value)) if get32(b, at)? != value => Err(Error::BadChecksum(match kind {
            Kind::Directory(_) => "directory block",
            Kind::Extents(_) => "extent tree block",
            _ => "block of extended attributes",
        })),
        _ => Ok(()),
    }
}

impl<D: Device> Ext4<D> {
    /// The buffer of a metadata block other than a bitmap, its checksum checked.
    pub(super) fn block(&mut self, block: u64, kind: Kind) -> Result<Slot> {
        if !self.sup.has_block(block) {
            return Err(Error::Corrupt("block number"));
        }
        let slot = self.cache.get(block, kind)?;
        if !self.cache.is_verified(slot, 0) {
            verify(&self.sup, kind, block, self.cache.data(slot))?;
            self.cache.set_verified(slot, 0);
        }
        Ok(slot)
    }

    /// Writes every change of metadata to the device. Not a flush.
    pub(super) fn write_out(&mut self) -> Result<()> {
        if !self.writable || self.before.is_some() {
            return Ok(());
        }
        if self.journal.is_some() {
            return self.commit_journal();
        }
        self.seal_dirty()?;
        self.cache.write_dirty()
    }

    /// Sets the checksums of all dirty blocks, and puts the superblock among them.
    pub(super) fn seal_dirty(&mut self) -> Result<()> {
        for (block, kind) in self.cache.dirty_blocks()? {
            self.seal_block(block, kind)?;
        }
        // Sealed bitmaps have changed their groups' descriptors.
        for (block, kind) in self.cache.dirty_blocks()? {
            if let Kind::Descriptors(first) = kind {
                let slot = self.cache.get(block, kind)?;
                self.sup.seal_descs(first, self.cache.data_mut(slot))?;
            }
        }
        self.write_super()
    }

    /// Puts the superblock into its buffer, where it isn't as it is.
    pub(super) fn write_super(&mut self) -> Result<()> {
        self.sup.seal()?;
        let (block, at) = self.sup.place();
        let length = self.sup.raw.len();
        let slot = self.cache.get(block, Kind::Plain)?;
        if part(self.cache.data(slot), at..at + length)? == self.sup.raw.as_slice() {
            return Ok(());
        }
        let bytes = self.cache.edit(block, Kind::Plain, at..at + length)?;
        if bytes.len() == length {
            bytes.copy_from_slice(&self.sup.raw);
        }
        Ok(())
    }

    fn seal_block(&mut self, block: u64, kind: Kind) -> Result<()> {
        if !self.sup.has_csum() {
            return Ok(());
        }
        let slot = self.cache.get(block, kind)?;
        let data = self.cache.data(slot);
        match kind {
            Kind::BlockBitmap(group) => {
                let value = self.sup.bitmap_checksum(self.sup.blocks_per_group, data)?;
                let mut desc = self.desc(group)?;
                desc.block_bitmap_csum = value;
                self.set_desc(group, &desc)
            }
            Kind::InodeBitmap(group) => {
                let value = self.sup.bitmap_checksum(self.sup.inodes_per_group, data)?;
                let mut desc = self.desc(group)?;
                desc.inode_bitmap_csum = value;
                self.set_desc(group, &desc)
            }
            _ => {
                if let Some((at, value)) = own_checksum(&self.sup, kind, block, data)? {
                    put32(self.cache.data_mut(slot), at, value)?;
                }
                Ok(())
            }
        }
    }
}
