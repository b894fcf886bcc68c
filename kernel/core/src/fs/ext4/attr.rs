//! Attributes of files, and the numbers of the file system as a whole.

use super::device::Device;
use super::error::{Error, Result};
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

/// Attributes to be changed; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Permissions: the lower 12 bits of `st_mode`.
    pub permissions: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub atime: Option<Time>,
    pub mtime: Option<Time>,
    pub ctime: Option<Time>,
    /// What a regular file's size is at least. It doesn't shrink: the blocks behind the new end would be nobody's
    /// after a crash, which is what [`Ext4::truncate`] sees to.
    pub size: Option<u64>,
    /// `FS_IOC_SETFLAGS`: of these only the flags that a user may change are taken.
    pub flags: Option<u32>,
}

/// `EXT4_FL_USER_MODIFIABLE`, less the one of extents, which would change how contents are stored. The one of names whose case
/// doesn't count is among them, but whoever asks for what isn't shown is refused before.
pub const USER_FLAGS: u32 = 0x6243_C0FF;
/// `EXT4_FL_USER_VISIBLE`, less the one of names whose case doesn't count: there are none such here.
pub const SHOWN_FLAGS: u32 = 0x325B_DFFF;

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

    /// Changes attributes of inode `ino`.
    ///
    /// # Errors
    /// [`super::Error::Stale`] when there's no such file, or the inode can't be read.
    pub fn set_attr(&mut self, ino: Ino, set: &SetAttr) -> Result<()> {
        let mut inode = self.load(ino)?;
        if let Some(permissions) = set.permissions {
            inode.mode = inode.mode & 0xF000 | permissions & 0xFFF;
        }
        if let Some(flags) = set.flags {
            inode.flags = inode.flags & !USER_FLAGS | flags & USER_FLAGS;
        }
        inode.uid = set.uid.unwrap_or(inode.uid);
        inode.gid = set.gid.unwrap_or(inode.gid);
        inode.atime = set.atime.unwrap_or(inode.atime);
        inode.mtime = set.mtime.unwrap_or(inode.mtime);
        inode.ctime = set.ctime.unwrap_or(inode.ctime);
        if let Some(size) = set.size {
            if inode.kind() != FileType::Regular {
                return Err(Error::Invalid);
            }
            // A damaged one may be longer already.
            if size > self.size_limit(&inode).max(inode.size) {
                return Err(Error::TooBig);
            }
            inode.size = inode.size.max(size);
            self.note_large_file(size);
        }
        self.transact(|fs| fs.store(&inode))
    }

    /// The numbers of the file system.
    #[must_use]
    pub fn statfs(&self) -> Statfs {
        let free = self
            .sup
            .counters
            .free_blocks
            .saturating_sub(self.sup.counters.reserved);
        let reserve = self.sup.reserved_blocks;
        let kept = reserve.saturating_add(self.sup.kept_clusters());
        Statfs {
            block_size: 1 << self.sup.block_bits,
            blocks: self.sup.blocks.saturating_sub(self.sup.overhead()),
            free,
            available: free.saturating_sub(kept),
            inodes: u64::from(self.sup.inodes),
            free_inodes: u64::from(self.sup.counters.free_inodes),
            name_max: 255,
            id: self.sup.id(),
        }
    }
}
