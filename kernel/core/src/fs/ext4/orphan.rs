//! The orphan list: inodes without a name that are still open, or that are being truncated. It
//! starts in the superblock and goes on in each inode's `i_dtime`, so that after a crash the
//! next mount (or e2fsck) finishes the work.

use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::{Ext4, Time};

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
}
