//! Operations on names: create, link, unlink, rmdir. Renaming is in `rename`.
//!
//! Permissions, the sticky bit and the inheritance of groups are the caller's business; what
//! would damage the file system is refused here.

use super::buffer::Kind;
use super::bytes::put_slice;
use super::device::Device;
use super::dir_edit::{LINK_MAX, NewEntry};
use super::error::{Error, Result};
use super::extent_edit::init_root;
use super::inode::{BLOCK_BYTES, FLAG_EXTENTS, Ino, Inode};
use super::superblock::Incompat;
use super::{Ext4, FileType, NAME_MAX, Time};
use crate::fs::attr::{self, DIR_FLAGS};
use crate::num::u64_of;

/// A file to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// Kind and permissions, as in `st_mode`.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Device number of a device node.
    pub device: u32,
    /// Target of a symlink.
    pub target: &'a [u8],
    pub now: Time,
}

/// What an inode was left with when a name went away. With no links left it is an orphan:
/// [`Ext4::evict`] frees it when nobody has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlinked {
    pub ino: Ino,
    pub links: u16,
}

/// Flags that files take over from their directory, as Linux's `EXT4_FL_INHERITED`.
const INHERITED: u32 = attr::SECURE_DELETE
    | attr::UNDELETABLE
    | attr::COMPRESSED
    | attr::SYNCHRONOUS
    | attr::NO_DUMP
    | attr::NO_ATIME
    | attr::NO_COMPRESSION
    | attr::JOURNAL_DATA
    | attr::NO_TAIL
    | attr::DIR_SYNCHRONOUS
    | attr::DAX
    | attr::PROJECT_INHERIT;
/// Those of them that other than files and directories have.
const ANY_KIND: u32 = attr::NO_DUMP | attr::NO_ATIME;

/// Whether `name` can be an entry's name at all.
pub(super) fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > NAME_MAX {
        return Err(Error::NameTooLong);
    }
    if name == b"." || name == b".." {
        return Err(Error::Exists);
    }
    if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
        return Err(Error::Invalid);
    }
    Ok(())
}

impl<D: Device> Ext4<D> {
    /// A directory that may be changed: it hasn't been removed while it was open.
    pub(super) fn load_live_dir(&mut self, ino: Ino) -> Result<Inode> {
        let dir = self.load_dir(ino)?;
        if dir.links == 0 {
            return Err(Error::NotFound);
        }
        Ok(dir)
    }

    /// Creates a file of any kind in directory `dir`.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NoSpace`], [`Error::TooManyLinks`], [`Error::NameTooLong`], …
    pub fn create(&mut self, dir: Ino, name: &[u8], new: &NewFile<'_>) -> Result<Ino> {
        check_name(name)?;
        let mut parent = self.load_live_dir(dir)?;
        if self.find(&parent, name)?.is_some() {
            return Err(Error::Exists);
        }
        self.transact(|fs| {
            let mut inode = fs.make_inode(&parent, new)?;
            inode.links = 1;
            if inode.is_dir() {
                inode.links = 2;
                fs.init_dir(&mut inode, dir)?;
            }
            fs.store_new(&inode)?;
            let entry = NewEntry {
                name,
                ino: inode.ino,
                kind: inode.kind(),
            };
            fs.add_entry(&mut parent, entry)?;
            if inode.is_dir() {
                fs.link_dir(&mut parent)?;
            }
            touch(&mut parent, new.now);
            fs.store(&parent)?;
            Ok(inode.ino)
        })
    }

    /// Creates a file without a name (`O_TMPFILE`): an orphan until it is linked.
    ///
    /// # Errors
    /// As [`Ext4::create`].
    pub fn create_unnamed(&mut self, dir: Ino, new: &NewFile<'_>) -> Result<Ino> {
        let parent = self.load_live_dir(dir)?;
        if FileType::of_mode(new.mode) != FileType::Regular {
            return Err(Error::Invalid);
        }
        self.transact(|fs| {
            let mut inode = fs.make_inode(&parent, new)?;
            fs.store_new(&inode)?;
            fs.add_orphan(&mut inode)?;
            fs.store(&inode)?;
            Ok(inode.ino)
        })
    }

    /// Allocates and fills an inode; its links are the caller's.
    fn make_inode(&mut self, parent: &Inode, new: &NewFile<'_>) -> Result<Inode> {
        let kind = FileType::of_mode(new.mode);
        let mut inode = self.alloc_inode(parent, kind == FileType::Directory, new.now)?;
        inode.mode = new.mode;
        inode.uid = new.uid;
        inode.gid = new.gid;
        inode.flags = parent.flags & INHERITED;
        match kind {
            FileType::Directory => {}
            FileType::Regular => inode.flags &= !DIR_FLAGS,
            _ => inode.flags &= ANY_KIND,
        }
        match kind {
            FileType::Unknown => return Err(Error::Invalid),
            FileType::Regular | FileType::Directory => self.init_map(&mut inode)?,
            FileType::Symlink => self.init_symlink(&mut inode, new.target)?,
            FileType::Char | FileType::Block => inode.set_device(new.device)?,
            FileType::Fifo | FileType::Socket => {}
        }
        Ok(inode)
    }

    /// Gives the inode an empty map of blocks.
    fn init_map(&mut self, inode: &mut Inode) -> Result<()> {
        if self.sup.incompat.contains(Incompat::EXTENTS) {
            inode.flags |= FLAG_EXTENTS;
            return init_root(inode);
        }
        Ok(())
    }

    fn init_symlink(&mut self, inode: &mut Inode, target: &[u8]) -> Result<()> {
        if target.is_empty() {
            return Err(Error::NotFound);
        }
        if target.len() >= self.sup.block_size {
            return Err(Error::NameTooLong);
        }
        inode.size = u64_of(target.len());
        if target.len() < BLOCK_BYTES {
            return put_slice(&mut inode.block, 0, target);
        }
        self.init_map(inode)?;
        let mapping = self.fill(inode, 0, 1, false)?;
        self.cache.fresh(mapping.start, Kind::Plain)?;
        let bytes = self
            .cache
            .edit(mapping.start, Kind::Plain, 0..target.len())?;
        put_slice(bytes, 0, target)
    }

    /// Gives file `ino` one more name.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::TooManyLinks`], [`Error::NotPermitted`] for directories, …
    pub fn link(&mut self, ino: Ino, dir: Ino, name: &[u8], now: Time) -> Result<()> {
        check_name(name)?;
        let mut parent = self.load_live_dir(dir)?;
        let mut inode = self.load(ino)?;
        if inode.is_dir() {
            return Err(Error::NotPermitted);
        }
        if inode.links >= LINK_MAX {
            return Err(Error::TooManyLinks);
        }
        if self.find(&parent, name)?.is_some() {
            return Err(Error::Exists);
        }
        self.transact(|fs| {
            if inode.links == 0 {
                fs.remove_orphan(&mut inode)?;
            }
            inode.links += 1;
            inode.ctime = now;
            fs.store(&inode)?;
            fs.add_entry(
                &mut parent,
                NewEntry {
                    name,
                    ino,
                    kind: inode.kind(),
                },
            )?;
            touch(&mut parent, now);
            fs.store(&parent)
        })
    }

    /// Removes a name that isn't a directory's.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::IsDirectory`], …
    pub fn unlink(&mut self, dir: Ino, name: &[u8], now: Time) -> Result<Unlinked> {
        let mut parent = self.load_live_dir(dir)?;
        let place = self.find(&parent, name)?.ok_or(Error::NotFound)?;
        let inode = self.load(place.ino)?;
        if inode.is_dir() {
            return Err(Error::IsDirectory);
        }
        self.transact(|fs| {
            fs.remove_name(&parent, place)?;
            touch(&mut parent, now);
            fs.store(&parent)?;
            fs.drop_link(inode, now)
        })
    }

    /// Counts one name less of a file that isn't a directory.
    pub(super) fn drop_link(&mut self, mut inode: Inode, now: Time) -> Result<Unlinked> {
        inode.links = inode.links.saturating_sub(1);
        inode.ctime = now;
        if inode.links == 0 {
            self.add_orphan(&mut inode)?;
        }
        self.store(&inode)?;
        Ok(Unlinked {
            ino: inode.ino,
            links: inode.links,
        })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotDirectory`], [`Error::NotEmpty`], …
    pub fn rmdir(&mut self, dir: Ino, name: &[u8], now: Time) -> Result<Unlinked> {
        match name {
            b"." => return Err(Error::Invalid),
            b".." => return Err(Error::NotEmpty),
            _ => {}
        }
        let mut parent = self.load_live_dir(dir)?;
        let place = self.find(&parent, name)?.ok_or(Error::NotFound)?;
        let inode = self.load_dir(place.ino)?;
        if !self.is_empty_dir(&inode)? {
            return Err(Error::NotEmpty);
        }
        self.transact(|fs| {
            fs.remove_name(&parent, place)?;
            Self::unlink_dir(&mut parent);
            touch(&mut parent, now);
            fs.store(&parent)?;
            fs.drop_dir(inode, now)
        })
    }

    /// Makes an orphan of an empty directory whose name is gone.
    pub(super) fn drop_dir(&mut self, mut inode: Inode, now: Time) -> Result<Unlinked> {
        inode.links = 0;
        inode.ctime = now;
        inode.mtime = now;
        self.add_orphan(&mut inode)?;
        self.store(&inode)?;
        Ok(Unlinked {
            ino: inode.ino,
            links: 0,
        })
    }
}

/// Notes a change of a directory's entries.
pub(super) fn touch(dir: &mut Inode, now: Time) {
    dir.mtime = now;
    dir.ctime = now;
}
