//! The orphan list: inodes without a name that are still open, or that are being truncated. It
//! starts in the superblock and goes on in each inode's `i_dtime`, so that after a crash the
//! next mount (or e2fsck) finishes the work.

use super::buffer::Kind;
use super::bytes::{get32, part, part_mut, put32};
use super::csum::crc32c;
use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::map::State;
use super::superblock::RoCompat;
use super::{Ext4, Time};
use crate::num::low32;

/// The end of each block of the file of orphans: a magic number and a checksum.
const FILE_TAIL: usize = 8;
const FILE_MAGIC: u32 = 0x0B10_CA04;
const BAD_FILE: Error = Error::Corrupt("file of orphans");

/// A change of the list in memory, to be taken back when the transaction fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListChange {
    Pushed,
    Removed(usize, Ino),
}

impl<D: Device> Ext4<D> {
    pub(super) fn is_orphan(&self, ino: Ino) -> bool {
        self.orphans.contains(&ino)
    }

    /// Puts an inode at the head of the list; the caller stores it.
    pub(super) fn add_orphan(&mut self, inode: &mut Inode) -> Result<()> {
        if self.is_orphan(inode.ino) {
            return Ok(());
        }
        self.orphans.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.list_changes
            .try_reserve(1)
            .map_err(|_| Error::NoMemory)?;
        inode.dtime = self.sup.counters.last_orphan;
        self.sup.counters.last_orphan = inode.ino;
        self.orphans.push(inode.ino);
        self.list_changes.push(ListChange::Pushed);
        Ok(())
    }

    /// Takes an inode off the list; the caller stores it.
    pub(super) fn remove_orphan(&mut self, inode: &mut Inode) -> Result<()> {
        let Some(place) = self.orphans.iter().position(|ino| *ino == inode.ino) else {
            return Ok(());
        };
        self.list_changes
            .try_reserve(1)
            .map_err(|_| Error::NoMemory)?;
        match self.orphans.get(place + 1).copied() {
            None => self.sup.counters.last_orphan = inode.dtime,
            Some(before) => {
                let mut before = self.load_any(before)?;
                before.dtime = inode.dtime;
                self.store(&before)?;
            }
        }
        inode.dtime = 0;
        self.orphans.remove(place);
        self.list_changes
            .push(ListChange::Removed(place, inode.ino));
        Ok(())
    }

    /// Takes back what the failed transaction did to the list.
    pub(super) fn undo_list(&mut self) {
        while let Some(change) = self.list_changes.pop() {
            match change {
                ListChange::Pushed => {
                    self.orphans.pop();
                }
                ListChange::Removed(place, ino) => {
                    self.orphans.insert(place.min(self.orphans.len()), ino);
                }
            }
        }
    }

    /// Frees an inode that has no name left: its blocks, its attributes, itself. Called when
    /// nobody has it open any more.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it has names, or when the disk can't be read; it then stays an
    /// orphan, for e2fsck or the next mount.
    pub fn evict(&mut self, ino: Ino, now: Time) -> Result<()> {
        let inode = self.load(ino)?;
        if inode.links != 0 {
            return Err(Error::Invalid);
        }
        if self.has_blocks(&inode) {
            let limit = self.block_limit(&inode)?;
            self.free_range(ino, 0, limit)?;
        }
        let mut inode = self.load(ino)?;
        self.transact(|fs| {
            fs.drop_attributes(&mut inode)?;
            fs.remove_orphan(&mut inode)?;
            inode.size = 0;
            inode.flags &= !super::inode::FLAG_INDEX;
            fs.free_inode(&mut inode, now)
        })
    }

    /// Finishes what an earlier mount left: deletes orphans, and ends truncations.
    pub(super) fn finish_orphans(&mut self, now: Time) -> Result<()> {
        if !self.orphans.is_empty() {
            // They are this mount's own, still open.
            return Ok(());
        }
        let mut next = self.sup.counters.last_orphan;
        // The list goes from its head, which the vector has last.
        let mut found = alloc::vec::Vec::new();
        while next != 0 {
            if found.contains(&next) || next < self.sup.first_inode {
                return Err(Error::Corrupt("orphan list"));
            }
            found.try_reserve(1).map_err(|_| Error::NoMemory)?;
            found.push(next);
            next = self.load_any(next)?.dtime;
        }
        found.reverse();
        self.orphans = found;
        self.adopt_orphan_file()?;
        while let Some(ino) = self.orphans.last().copied() {
            let inode = self.load_any(ino)?;
            if inode.links == 0 {
                self.evict(ino, now)?;
            } else {
                self.end_truncation(ino, inode.size)?;
            }
        }
        Ok(())
    }

    /// Puts the inodes that the file of orphans names onto the list, and empties that file.
    fn adopt_orphan_file(&mut self) -> Result<()> {
        if !self.sup.ro_compat.contains(RoCompat::ORPHAN_PRESENT) {
            return Ok(());
        }
        let file = self.load_any(self.sup.orphan_file)?;
        let blocks = low32(file.size >> self.sup.block_bits);
        let most = self.sup.blocks.min(u64::from(blocks));
        for number in 0..low32(most) {
            self.transact(|fs| fs.adopt_block(&file, number))?;
        }
        self.sup.ro_compat.remove(RoCompat::ORPHAN_PRESENT);
        Ok(())
    }

    fn adopt_block(&mut self, file: &Inode, number: u32) -> Result<()> {
        let mapping = self.map_inode(file, number, 1)?;
        if mapping.state != State::Written {
            return Err(BAD_FILE);
        }
        let block = mapping.start;
        let entries = self.sup.block_size - FILE_TAIL;
        let slot = self.block(block, Kind::Plain)?;
        let b = self.cache.data(slot);
        if get32(b, entries)? != FILE_MAGIC {
            return Err(BAD_FILE);
        }
        let seed = crc32c(file.seed, &block.to_le_bytes());
        if self.sup.has_csum() && crc32c(seed, part(b, 0..entries)?) != get32(b, entries + 4)? {
            return Err(Error::BadChecksum("file of orphans"));
        }
        for at in (0..entries).step_by(4) {
            let slot = self.block(block, Kind::Plain)?;
            let ino = get32(self.cache.data(slot), at)?;
            if ino == 0 {
                continue;
            }
            if ino < self.sup.first_inode {
                return Err(BAD_FILE);
            }
            let mut inode = self.load_any(ino)?;
            self.add_orphan(&mut inode)?;
            self.store(&inode)?;
        }
        let bytes = self
            .cache
            .edit(block, Kind::Plain, 0..entries + FILE_TAIL)?;
        part_mut(bytes, 0..entries)?.fill(0);
        let value = crc32c(seed, part(bytes, 0..entries)?);
        put32(bytes, entries + 4, value)
    }
}
