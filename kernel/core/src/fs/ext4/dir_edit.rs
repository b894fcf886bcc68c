//! Adding, changing and removing directory entries, in directories without an index; those with
//! one add through `htree_edit`.

use super::buffer::Kind;
use super::bytes::{put8, put16, put32};
use super::device::Device;
use super::dir::{Glance, Head, Place, Records, init_leaf, leaf_end, needed, put_record};
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::superblock::Compat;
use super::{Ext4, FileType};
use crate::num::{low16, u64_of};

/// A name to be entered.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewEntry<'a> {
    pub(super) name: &'a [u8],
    pub(super) ino: Ino,
    pub(super) kind: FileType,
}

impl<D: Device> Ext4<D> {
    /// Enters a name, which the directory doesn't have yet. The caller stores `dir`.
    pub(super) fn add_entry(&mut self, dir: &mut Inode, new: NewEntry<'_>) -> Result<()> {
        if dir.is_indexed(&self.sup) {
            return self.add_indexed(dir, new);
        }
        let blocks = self.sup.dir_blocks(dir);
        for number in 0..blocks {
            if self.add_to_block(dir, number, new)? {
                return Ok(());
            }
        }
        if blocks == 1 && self.sup.compat.contains(Compat::DIR_INDEX) && self.make_index(dir)? {
            return self.add_indexed(dir, new);
        }
        let number = self.append_dir_block(dir)?;
        if self.add_to_block(dir, number, new)? {
            return Ok(());
        }
        Err(Error::Corrupt("directory block"))
    }

    /// The entry type's byte, where the file system notes it.
    pub(super) fn kind_byte(&self, kind: FileType) -> u8 {
        if self.sup.has_types() {
            kind.to_entry()
        } else {
            0
        }
    }

    /// Enters a name into one block if it has room.
    pub(super) fn add_to_block(
        &mut self,
        dir: &Inode,
        number: u32,
        new: NewEntry<'_>,
    ) -> Result<bool> {
        let Some((block, slot)) = self.dir_block(dir, number)? else {
            return Ok(false);
        };
        let need = needed(new.name.len());
        let b = self.cache.data(slot);
        let end = leaf_end(b);
        let mut at = 0;
        let (length, used) = loop {
            if at >= end {
                return Ok(false);
            }
            let glance = Glance::at(b, at)?;
            let used = glance.used();
            if glance.length >= used + need {
                break (Head::parse(b, at, end)?.length, used);
            }
            at += glance.length;
        };
        let kind = self.kind_byte(new.kind);
        let bytes = self
            .cache
            .edit(block, Kind::Directory(dir.seed), at..at + used + need)?;
        if used > 0 {
            put16(bytes, 4, low16(u64_of(used)))?;
        }
        put_record(bytes, used, length - used, new.ino, kind, new.name)?;
        Ok(true)
    }

    /// Adds an empty leaf at the end of the directory; answers its number.
    pub(super) fn append_dir_block(&mut self, dir: &mut Inode) -> Result<u32> {
        let (number, block) = self.append_raw_block(dir)?;
        let csum = self.sup.has_csum();
        let size = self.sup.block_size;
        let kind = Kind::Directory(dir.seed);
        init_leaf(self.cache.edit(block, kind, 0..size)?, csum)?;
        Ok(number)
    }

    /// Adds a block of zeros to the directory; answers its number in it and on the device.
    pub(super) fn append_raw_block(&mut self, dir: &mut Inode) -> Result<(u32, u64)> {
        let number = self.sup.dir_blocks(dir);
        // As Linux: without large_dir a directory ends where its size needs more than 32 bits.
        let size = dir.size + u64_of(self.sup.block_size);
        if size > u64::from(u32::MAX) {
            return Err(Error::NoSpace);
        }
        let mapping = self.map_inode(dir, number, 1)?;
        if mapping.start != 0 {
            return Err(Error::Corrupt("directory: blocks behind its end"));
        }
        let mapping = self.fill(dir, number, 1, false)?;
        self.cache.fresh(mapping.start, Kind::Directory(dir.seed))?;
        dir.size = size;
        Ok((number, mapping.start))
    }

    /// Removes the entry at `place`, joining its space to the entry before it.
    pub(super) fn remove_name(&mut self, dir: &Inode, place: Place) -> Result<()> {
        let kind = Kind::Directory(dir.seed);
        let slot = self.block(place.block, kind)?;
        let b = self.cache.data(slot);
        let end = leaf_end(b);
        let mut before: Option<(usize, usize)> = None;
        let mut at = 0;
        while at < place.at {
            let Glance { length, .. } = Glance::at(b, at)?;
            before = Some((at, length));
            at += length;
        }
        if at != place.at {
            return Err(Error::Corrupt("directory entry"));
        }
        let Head { length, .. } = Head::parse(b, at, end)?;
        match before {
            Some((at, before)) => {
                let bytes = self.cache.edit(place.block, kind, at..at + 8)?;
                put16(bytes, 4, low16(u64_of(before + length)))
            }
            None => {
                let bytes = self.cache.edit(place.block, kind, place.at..place.at + 8)?;
                put32(bytes, 0, 0)
            }
        }
    }

    /// Makes the entry at `place` name another inode.
    pub(super) fn change_entry(
        &mut self,
        dir: &Inode,
        place: Place,
        ino: Ino,
        file: FileType,
    ) -> Result<()> {
        let kind = Kind::Directory(dir.seed);
        self.block(place.block, kind)?;
        let byte = self.kind_byte(file);
        let typed = self.sup.has_types();
        let bytes = self.cache.edit(place.block, kind, place.at..place.at + 8)?;
        put32(bytes, 0, ino)?;
        if typed {
            put8(bytes, 7, byte)?;
        }
        Ok(())
    }

    /// Makes the first block of a new directory.
    pub(super) fn init_dir(&mut self, dir: &mut Inode, parent: Ino) -> Result<()> {
        let (_, block) = self.append_raw_block(dir)?;
        let csum = self.sup.has_csum();
        let byte = self.kind_byte(FileType::Directory);
        let size = self.sup.block_size;
        let ino = dir.ino;
        let bytes = self.cache.edit(block, Kind::Directory(dir.seed), 0..size)?;
        init_leaf(bytes, csum)?;
        let end = leaf_end(bytes);
        put_record(bytes, 0, 12, ino, byte, b".")?;
        put_record(bytes, 12, end - 12, parent, byte, b"..")
    }

    /// Whether the directory holds nothing but `.` and `..`.
    pub(super) fn is_empty_dir(&mut self, dir: &Inode) -> Result<bool> {
        for number in 0..self.sup.dir_blocks(dir) {
            let Some((_, slot)) = self.dir_block(dir, number)? else {
                continue;
            };
            for record in Records::new(self.cache.data(slot), false) {
                let record = record?;
                if record.ino != 0 && record.name != b"." && record.name != b".." {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Counts one more subdirectory: with the feature dir_nlink, 1 stands for "too many".
    pub(super) fn link_dir(&self, dir: &mut Inode) -> Result<()> {
        let limitless = self.has_dir_nlink() && dir.is_indexed(&self.sup);
        if dir.links >= LINK_MAX {
            if !limitless {
                return Err(Error::TooManyLinks);
            }
            dir.links = 1;
        } else if dir.links != 1 {
            dir.links += 1;
        }
        Ok(())
    }

    /// Counts one subdirectory less.
    pub(super) fn unlink_dir(dir: &mut Inode) {
        if dir.links > 2 {
            dir.links -= 1;
        }
    }

    fn has_dir_nlink(&self) -> bool {
        let feature = super::superblock::RoCompat::DIR_NLINK;
        self.sup.ro_compat.contains(feature)
    }
}

/// `EXT4_LINK_MAX`.
pub(super) const LINK_MAX: u16 = 65_000;
