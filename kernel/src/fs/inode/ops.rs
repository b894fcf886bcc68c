//! What a file system does for its inodes: [`InodeOps`], and the requests that come with it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType, SetAttr};
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::xattr::SetMode;
use kiln_core::path::Link;

use super::Inode;
use crate::fs::file::{File, FileOps, Ioctl};
use crate::fs::mount::Path;
use crate::fs::{open_by_type, regular};

/// Something to be made in a directory.
pub(crate) struct NewInode<'a> {
    /// What it is.
    pub(crate) kind: FileType,
    /// Permissions, the umask already taken off.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Its number, for a device.
    pub(crate) rdev: DeviceNumber,
    /// Where it leads, for a symbolic link.
    pub(crate) target: &'a [u8],
}

/// A name that moves.
pub(crate) struct Rename<'a> {
    /// The directory it leaves.
    pub(crate) from: &'a Arc<Inode>,
    /// The name there.
    pub(crate) from_name: &'a [u8],
    /// What it names.
    pub(crate) moved: &'a Arc<Inode>,
    /// The directory it goes to, perhaps the same.
    pub(crate) to: &'a Arc<Inode>,
    /// The name there.
    pub(crate) to_name: &'a [u8],
    /// What had that name; for an exchange it gets the other.
    pub(crate) replaced: Option<&'a Arc<Inode>>,
    /// `RENAME_EXCHANGE`.
    pub(crate) exchange: bool,
}

/// Takes directory entries and the cursor after each; `false` stops the listing.
pub(crate) type Emit<'a> = dyn FnMut(&Entry<'_>, u64) -> bool + 'a;

/// What a file system does for its inodes. The defaults are for what it doesn't have.
pub(crate) trait InodeOps: Any + Send + Sync {
    /// The child `name` of a directory.
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        let _ = (dir, name);
        Err(Errno::ENOTDIR)
    }

    /// Whether what [`Self::lookup`] answers may be remembered. Not where names come and go by
    /// themselves, as in `/proc`.
    fn cacheable(&self) -> bool {
        true
    }

    /// Whether regular files can be made at all: where not, opening with `O_CREAT` says EACCES.
    fn makes_files(&self) -> bool {
        true
    }

    /// Makes something under a name that is free.
    fn create(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<Arc<Inode>, Errno> {
        let _ = (dir, name, new);
        Err(Errno::EPERM)
    }

    /// Makes a regular file without a name (`O_TMPFILE`).
    fn create_unnamed(&self, dir: &Arc<Inode>, new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        let _ = (dir, new);
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives an inode another name.
    fn link(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        let _ = (dir, name, inode);
        Err(Errno::EPERM)
    }

    /// Removes a name of something that isn't a directory.
    fn unlink(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        let _ = (dir, name, victim);
        Err(Errno::EPERM)
    }

    /// Removes a directory; ENOTEMPTY unless it is empty.
    fn rmdir(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        let _ = (dir, name, victim);
        Err(Errno::EPERM)
    }

    /// Moves a name; what is replaced goes as by `unlink` or `rmdir`.
    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let _ = rename;
        Err(Errno::EPERM)
    }

    /// Whether a name that moves away can leave a whiteout (`RENAME_WHITEOUT`).
    fn leaves_whiteouts(&self) -> bool {
        true
    }

    /// Lists a directory from `cursor` on; 0 is the beginning, and `.` and `..` are the VFS's:
    /// cursors 0 and 1 never come, the first entry of the file system's own is at 2 or later.
    fn readdir(&self, dir: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let _ = (dir, cursor, emit);
        Err(Errno::ENOTDIR)
    }

    /// The text of a symbolic link.
    fn readlink(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let _ = inode;
        Err(Errno::EINVAL)
    }

    /// Where a symbolic link leads.
    fn follow(&self, inode: &Arc<Inode>) -> Result<Link<Path>, Errno> {
        self.readlink(inode).map(Link::Text)
    }

    /// Opens the inode. Permissions are checked, truncation is the VFS's. The default goes by the
    /// type: files with a mapping, directories, FIFOs and devices need nothing of their own.
    fn open(&self, inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        open_by_type(inode, flags)
    }

    /// Brings [`Inode::attr`] up to date before it is shown.
    fn refresh(&self, inode: &Inode) -> Result<(), Errno> {
        let _ = inode;
        Ok(())
    }

    /// Carries out a change of attributes that is allowed, the size left out; afterwards the VFS
    /// applies it to [`Inode::attr`].
    fn set_attr(&self, inode: &Arc<Inode>, change: &SetAttr) -> Result<(), Errno> {
        let _ = (inode, change);
        Ok(())
    }

    /// Cuts a regular file, or lets it grow with a hole; [`Inode::lock`] is held.
    fn truncate(&self, inode: &Arc<Inode>, size: u64) -> Result<(), Errno> {
        inode.mapping().ok_or(Errno::EINVAL)?.truncate(size)
    }

    /// Where on its device a file's bytes from `from` on lie: the first piece, which begins at a block and is cut
    /// after `most` bytes (`FS_IOC_FIEMAP`). What isn't written out yet may look like a hole.
    fn extent(&self, inode: &Arc<Inode>, from: u64, most: u64) -> Result<Extent, Errno> {
        let _ = (inode, from, most);
        Err(Errno::EOPNOTSUPP)
    }

    /// Carries `fallocate` out; [`Inode::lock`] is held, the range is checked. The default makes
    /// no space certain, which is right where space is memory.
    fn allocate(&self, inode: &Arc<Inode>, request: &Allocate) -> Result<(), Errno> {
        request.generic(inode)
    }

    /// [`Inode::attr`] changed by itself (times, size): it is to be written out some day.
    fn touched(&self, inode: &Inode) {
        let _ = inode;
    }

    /// Brings the inode, and its data unless they are in its mapping only, to the disk.
    fn sync(&self, inode: &Arc<Inode>, data_only: bool) -> Result<(), Errno> {
        let _ = (inode, data_only);
        Ok(())
    }

    /// The value of an extended attribute.
    fn get_xattr(&self, inode: &Arc<Inode>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let _ = (inode, name);
        Err(Errno::EOPNOTSUPP)
    }

    /// Sets an extended attribute, or removes it (`None`).
    fn set_xattr(
        &self,
        inode: &Arc<Inode>,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result<(), Errno> {
        let _ = (inode, name, value, mode);
        Err(Errno::EOPNOTSUPP)
    }

    /// The flags that chattr(1) changes: those that may be asked for, and those of them that are then taken. None: it
    /// keeps no flags.
    fn flags(&self) -> Option<[u32; 2]> {
        None
    }

    /// A request that only its file system knows; ENOTTY.
    fn ioctl(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let _ = (file, request);
        Err(Errno::ENOTTY)
    }

    /// The names of all extended attributes, each ended by a NUL.
    fn list_xattr(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let _ = inode;
        Ok(Vec::new())
    }
}

/// A piece of a file.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Where in the file it begins.
    pub(crate) logical: u64,
    /// Where on the device; `None` for a hole.
    pub(crate) physical: Option<u64>,
    /// Bytes, at least one.
    pub(crate) length: u64,
    /// `FIEMAP_EXTENT_*` (linux/fiemap.h).
    pub(crate) flags: u32,
}

impl Extent {
    /// `FIEMAP_EXTENT_UNWRITTEN`: it is allocated, and reads as zeros.
    pub(crate) const UNWRITTEN: u32 = 0x800;
    /// `FIEMAP_EXTENT_MERGED`: the file system has it block by block.
    pub(crate) const MERGED: u32 = 0x1000;
}

/// What `fallocate` is asked to do with `offset..offset + len`.
#[derive(Clone, Copy)]
pub(crate) struct Allocate {
    /// First byte.
    pub(crate) offset: u64,
    /// Bytes, at least one.
    pub(crate) len: u64,
    /// What becomes of what is there.
    pub(crate) kind: AllocateKind,
    /// `FALLOC_FL_KEEP_SIZE`: the file doesn't grow.
    pub(crate) keep_size: bool,
}

/// The modes of `fallocate` that exist here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllocateKind {
    /// Space is made certain.
    Reserve,
    /// A hole is made.
    Punch,
    /// Zeros are put there.
    Zero,
    /// It is taken out: what follows moves down.
    Collapse,
    /// A hole is put in: what follows moves up.
    Insert,
}

impl Allocate {
    /// The part of the work that the page cache can do: the size, holes and zeros.
    pub(crate) fn generic(&self, inode: &Inode) -> Result<(), Errno> {
        let mapping = inode.mapping().ok_or(Errno::EOPNOTSUPP)?;
        let end = self.offset.checked_add(self.len).ok_or(Errno::EFBIG)?;
        // As Linux's tmpfs: the others are for disks.
        if !matches!(self.kind, AllocateKind::Reserve | AllocateKind::Punch) {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.kind == AllocateKind::Punch {
            regular::zero_range(mapping, self.offset, end.min(mapping.size()))?;
        }
        if !self.keep_size && end > mapping.size() {
            mapping.truncate(end)?;
        }
        Ok(())
    }
}
