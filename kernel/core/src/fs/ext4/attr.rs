//! Attributes of files, and the numbers of the file system as a whole.

use super::device::Device;
use super::error::Result;
use super::inode::{Ino, Inode};
use super::{Ext4, FileType, Time};

/// What `stat` says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    pub ino: Ino,
    pub kind: FileType,
    /// `st_mode`: kind and permissions.
    pub mode: u16,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// Space taken, in units of 512 bytes.
    pub sectors: u64,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
    /// Zero where the file system doesn't note it.
    pub crtime: Time,
    /// Device number of a device node, as `mknod` takes it; else 0.
    pub device: u32,
    pub generation: u32,
    /// `FS_IOC_GETFLAGS`.
    pub flags: u32,
}

/// What `statfs` says of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statfs {
    pub block_size: u32,
    pub blocks: u64,
    pub free: u64,
    /// Free to those who may not use the reserve.
    pub available: u64,
    pub inodes: u64,
    pub free_inodes: u64,
    pub name_max: u32,
    pub id: [u32; 2],
}

impl Inode {
    pub(super) fn attr(&self) -> Attr {
        Attr {
            ino: self.ino,
            kind: self.kind(),
            mode: self.mode,
            links: u32::from(self.links),
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            sectors: self.sectors,
            atime: self.atime,
            mtime: self.mtime,
            ctime: self.ctime,
            crtime: self.crtime,
            device: self.device(),
            generation: self.generation,
            flags: self.flags,
        }
    }
}

impl<D: Device> Ext4<D> {
    /// The attributes of inode `ino`.
    ///
    /// # Errors
    /// [`super::Error::Stale`] when there's no such file, or the inode can't be read.
    pub fn attr(&mut self, ino: Ino) -> Result<Attr> {
        Ok(self.load(ino)?.attr())
    }

    /// The numbers of the file system.
    #[must_use]
    pub fn statfs(&self) -> Statfs {
        let free = self
            .sup
            .counters
            .free_blocks
            .saturating_sub(self.sup.counters.reserved);
        Statfs {
            block_size: 1 << self.sup.block_bits,
            blocks: self.sup.blocks.saturating_sub(self.sup.overhead()),
            free,
            available: free.saturating_sub(self.sup.reserved_blocks),
            inodes: u64::from(self.sup.inodes),
            free_inodes: u64::from(self.sup.counters.free_inodes),
            name_max: 255,
            id: self.sup.id(),
        }
    }
}
