//! Allocating and freeing inodes: directories spread out, files near their directory.

use super::bitmap;
use super::buffer::Kind;
use super::device::Device;
use super::error::{Error, Result};
use super::group::{Desc, INODE_UNINIT};
use super::inode::{Ino, Inode};
use super::{Ext4, Time};
use crate::fs::attr::TOP_DIR;
use crate::num::{low32, usize_of32};

/// Where to look for a free inode for files of one group: there is none in `steps` groups from `home` on, nor below
/// `bit` of the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreeInode {
    home: u32,
    steps: u32,
    bit: u32,
}

impl<D: Device> Ext4<D> {
    /// Allocates an inode for a child of `parent`. Its place in the table is not written yet.
    pub(super) fn alloc_inode(&mut self, parent: &Inode, dir: bool, now: Time) -> Result<Inode> {
        if self.sup.counters.free_inodes == 0 {
            return Err(Error::NoSpace);
        }
        let (home, _) = self.sup.inode_group(parent.ino);
        let group = if dir {
            let top = parent.ino == super::ROOT || parent.flags & TOP_DIR != 0;
            self.group_for_dir(home, top)?
        } else {
            self.group_for_file(home)?
        };
        let ino = self.take_inode(group.ok_or(Error::NoSpace)?, dir)?;
        self.next_generation = self
            .next_generation
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        Ok(Inode::new(&self.sup, ino, self.next_generation, now))
    }

    fn group_after(&self, home: u32, step: u32) -> u32 {
        low32((u64::from(home) + u64::from(step)) % u64::from(self.sup.groups))
    }

    /// The parent's group or the nearest after it that has a free inode.
    fn group_for_file(&mut self, home: u32) -> Result<Option<u32>> {
        let known = self.free_inode.filter(|known| known.home == home);
        let first = known.map_or(0, |known| known.steps);
        for steps in first..self.sup.groups {
            let group = self.group_after(home, steps);
            if self.desc(group)?.free_inodes > 0 {
                if known.is_none_or(|known| known.steps != steps) {
                    self.free_inode = Some(FreeInode {
                        home,
                        steps,
                        bit: 0,
                    });
                }
                return Ok(Some(group));
            }
        }
        Ok(None)
    }

    /// After Orlov: directories of the root go where there are fewest, others near their parent,
    /// as long as the group isn't fuller than the average.
    fn group_for_dir(&mut self, home: u32, top: bool) -> Result<Option<u32>> {
        let groups = u64::from(self.sup.groups);
        let counters = self.sup.counters;
        let inodes = u64::from(counters.free_inodes) / groups;
        let blocks = counters.free_blocks / groups;
        let mut best: Option<(u32, u32)> = None;
        // Enough of a look round: more would make mkdir slow on a large file system.
        for step in 0..self.sup.groups.min(256) {
            let group = self.group_after(home, step);
            let desc = self.desc(group)?;
            let roomy = desc.free_inodes > 0
                && u64::from(desc.free_inodes) >= inodes * 3 / 4
                && u64::from(desc.free_blocks) >= blocks * 3 / 4;
            if !roomy {
                continue;
            }
            if !top {
                return Ok(Some(group));
            }
            if best.is_none_or(|(_, fewest)| desc.directories < fewest) {
                best = Some((group, desc.directories));
            }
        }
        match best {
            Some((group, _)) => Ok(Some(group)),
            None => self.group_for_file(home),
        }
    }

    fn take_inode(&mut self, group: u32, dir: bool) -> Result<Ino> {
        let mut desc = self.desc(group)?;
        let slot = self.inode_bitmap(group, &desc)?;
        let per = self.sup.inodes_per_group;
        let least = if group == 0 {
            self.sup.first_inode - 1
        } else {
            0
        };
        let least = self.next_free(group).map_or(least, |bit| least.max(*bit));
        let bit = bitmap::first_clear(self.cache.data(slot), least, per)
            .ok_or(Error::Corrupt("group descriptor: free inodes"))?;
        if let Some(next) = self.next_free(group) {
            *next = bit + 1;
        }
        self.change_bit(group, &desc, bit, true)?;
        self.note_used(&mut desc, bit);
        desc.free_inodes -= 1;
        desc.directories += u32::from(dir);
        self.set_desc(group, &desc)?;
        let free = &mut self.sup.counters.free_inodes;
        *free = free.saturating_sub(1);
        Ok(group * per + bit + 1)
    }

    /// Below what bit of the group there is no free inode, where that is known.
    fn next_free(&mut self, group: u32) -> Option<&mut u32> {
        let known = self.free_inode?;
        let is_it = self.group_after(known.home, known.steps) == group;
        self.free_inode
            .as_mut()
            .filter(|_| is_it)
            .map(|known| &mut known.bit)
    }

    /// Keeps in mind that this inode of a group is free.
    fn note_free(&mut self, group: u32, bit: u32) {
        match self.next_free(group) {
            Some(next) => *next = bit.min(*next),
            // It may be nearer, or elsewhere.
            None => self.free_inode = None,
        }
    }

    /// Keeps the count of never used inodes at the end of the group's table.
    fn note_used(&self, desc: &mut Desc, bit: u32) {
        if !self.sup.has_group_csum() {
            return;
        }
        let per = self.sup.inodes_per_group;
        let fresh = desc.flags & INODE_UNINIT != 0;
        let used = if fresh {
            0
        } else {
            per.saturating_sub(desc.unused_inodes)
        };
        if bit >= used {
            desc.unused_inodes = per - (bit + 1);
        }
        desc.flags &= !INODE_UNINIT;
    }

    fn change_bit(&mut self, group: u32, desc: &Desc, bit: u32, value: bool) -> Result<()> {
        let byte = usize_of32(bit / 8);
        let kind = Kind::InodeBitmap(group);
        let bytes = self.cache.edit(desc.inode_bitmap, kind, byte..byte + 1)?;
        if value {
            bitmap::set(bytes, bit % 8, 1)
        } else {
            bitmap::clear(bytes, bit % 8, 1)
        }
    }

    /// Frees the inode: nothing may belong to it any more. Its place keeps the time of deletion.
    pub(super) fn free_inode(&mut self, inode: &mut Inode, now: Time) -> Result<()> {
        let (group, bit) = self.sup.inode_group(inode.ino);
        let mut desc = self.desc(group)?;
        let slot = self.inode_bitmap(group, &desc)?;
        if inode.ino < self.sup.first_inode || !bitmap::is_set(self.cache.data(slot), bit)? {
            return Err(Error::Corrupt("inode bitmap: freed twice"));
        }
        self.change_bit(group, &desc, bit, false)?;
        self.note_free(group, bit);
        desc.free_inodes += 1;
        if inode.is_dir() {
            desc.directories = desc.directories.saturating_sub(1);
        }
        if desc.free_inodes > self.sup.inodes_per_group {
            return Err(Error::Corrupt("group descriptor: free inodes"));
        }
        self.set_desc(group, &desc)?;
        self.sup.counters.free_inodes += 1;
        inode.links = 0;
        inode.dtime = low32(now.seconds.cast_unsigned()).max(1);
        self.store(inode)
    }
}
