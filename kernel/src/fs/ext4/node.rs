//! [`Node`]: the VFS's requests for an inode, carried out by the core. [`space`] has fallocate(2)'s, [`shift`] those of
//! ranges that move, [`xattrs`] the extended attributes', and [`attributes`] what both sides call them.

mod attributes;
mod shift;
mod space;
mod xattrs;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::attr;
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::ext4::{self as core_fs, Error, Ext4, How, Ino, NewFile};
use kiln_core::fs::xattr;
use kiln_core::num::{low16, low32};

pub(super) use self::attributes::attr_of;
use self::attributes::{kind_of, number, renew_dir, renew_links};
use super::disk::Disk;
use super::pages::Pages;
use super::{Doomed, Volume, now, time};
use crate::fs::file::{File, Ioctl};
use crate::fs::inode::{Allocate, Emit, Extent, Inode, InodeOps, NewInode, Rename};
use crate::fs::memory::try_push;
use crate::sync::Once;
use crate::vm::Mapping;

/// The VFS's cursors begin at 2.
const FIRST_CURSOR: u64 = 2;

/// An inode's side of the file system.
pub(super) struct Node {
    volume: Arc<Volume>,
    ino: Ino,
    pages: Option<Arc<Pages>>,
    /// The inode that this belongs to.
    pub(super) me: Once<Weak<Inode>>,
    /// It is in the volume's list of changed inodes.
    pub(super) is_changed: AtomicBool,
    /// Its last name is gone.
    is_nameless: AtomicBool,
}

/// The node of an inode, if it is one of ours.
pub(super) fn node_of(inode: &Inode) -> Option<&Node> {
    inode.ops_as()
}

impl Node {
    pub(super) fn new(volume: Arc<Volume>, ino: Ino, pages: Option<Arc<Pages>>) -> Self {
        Self {
            volume,
            ino,
            pages,
            me: Once::new(),
            is_changed: AtomicBool::new(false),
            is_nameless: AtomicBool::new(false),
        }
    }

    /// Runs an operation of the core.
    fn with<T>(
        &self,
        operation: impl FnOnce(&mut Ext4<Disk>) -> Result<T, Error>,
    ) -> Result<T, Errno> {
        self.volume.settle();
        operation(&mut self.volume.core.lock()).map_err(Error::errno)
    }

    /// The file system.
    pub(super) fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    /// Notes whether an inode still has a name, after the core took one away or gave one.
    fn note_links(&self, inode: &Inode) {
        let Some(node) = node_of(inode) else { return };
        let nameless = inode.is_dead();
        let was = node.is_nameless.swap(nameless, Ordering::AcqRel);
        match (was, nameless) {
            (false, true) => {
                self.volume.nameless.fetch_add(1, Ordering::Relaxed);
                self.volume.drop_changed(node.ino);
            }
            (true, false) => {
                self.volume.nameless.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn new_file<'a>(new: &NewInode<'a>) -> NewFile<'a> {
        NewFile {
            mode: low16(u64::from(new.kind.mode() | new.mode)),
            uid: new.uid,
            gid: new.gid,
            device: low32(new.rdev.encode()),
            target: new.target,
            now: now(),
        }
    }

    /// Whether nothing of the inode needs to be written for its contents to be found.
    fn lacks_times_only(&self, inode: &Inode) -> Result<bool, Errno> {
        let mut core = self.volume.core.lock();
        let known = core.attr(self.ino).map_err(Error::errno)?;
        Ok(known.size == inode.size())
    }

    fn file(&self, inode: &Inode) -> Result<(&Arc<Pages>, Arc<Mapping>), Errno> {
        let pages = self.pages.as_ref().ok_or(Errno::EINVAL)?;
        let mapping = inode.mapping().ok_or(Errno::EINVAL)?;
        Ok((pages, Arc::clone(mapping)))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if *self.is_nameless.get_mut() {
            if let Some(pages) = &self.pages {
                pages.bury();
            }
            let doomed = Doomed {
                ino: self.ino,
                pages: self.pages.take(),
            };
            let mut list = self.volume.doomed.lock();
            if list.len() < list.capacity() {
                list.push(doomed);
            }
        }
        self.volume.forget(self.ino, 0);
    }
}

impl InodeOps for Node {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        let _ = dir;
        self.volume.settle();
        let mut core = self.volume.core.lock();
        match core.lookup(self.ino, name).map_err(Error::errno)? {
            Some(ino) => self.volume.inode(&mut core, ino).map(Some),
            None => Ok(None),
        }
    }

    fn create(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<Arc<Inode>, Errno> {
        self.volume.settle();
        let mut core = self.volume.core.lock();
        let ino = core
            .create(self.ino, name, &Self::new_file(new))
            .map_err(Error::errno)?;
        renew_dir(&mut core, dir)?;
        self.volume.inode(&mut core, ino)
    }

    fn create_unnamed(&self, dir: &Arc<Inode>, new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        let _ = dir;
        self.volume.settle();
        self.volume.expect_doomed()?;
        let mut core = self.volume.core.lock();
        let ino = core
            .create_unnamed(self.ino, &Self::new_file(new))
            .map_err(Error::errno)?;
        let inode = self.volume.inode(&mut core, ino)?;
        self.note_links(&inode);
        Ok(inode)
    }

    fn link(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        let ino = number(inode)?;
        self.volume.settle();
        let mut core = self.volume.core.lock();
        core.link(ino, self.ino, name, now())
            .map_err(Error::errno)?;
        renew_dir(&mut core, dir)?;
        renew_links(&mut core, inode)?;
        self.note_links(inode);
        Ok(())
    }

    fn unlink(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        self.volume.settle();
        self.volume.expect_doomed()?;
        let mut core = self.volume.core.lock();
        core.unlink(self.ino, name, now()).map_err(Error::errno)?;
        renew_dir(&mut core, dir)?;
        renew_links(&mut core, victim)?;
        self.note_links(victim);
        Ok(())
    }

    fn rmdir(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        self.volume.settle();
        self.volume.expect_doomed()?;
        let mut core = self.volume.core.lock();
        core.rmdir(self.ino, name, now()).map_err(Error::errno)?;
        renew_dir(&mut core, dir)?;
        renew_links(&mut core, victim)?;
        self.note_links(victim);
        Ok(())
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let from = (number(rename.from)?, rename.from_name);
        let to = (number(rename.to)?, rename.to_name);
        let how = if rename.exchange {
            How::Exchange
        } else {
            How::Replace
        };
        self.volume.settle();
        self.volume.expect_doomed()?;
        let mut core = self.volume.core.lock();
        core.rename(from, to, how, now()).map_err(Error::errno)?;
        renew_dir(&mut core, rename.from)?;
        renew_dir(&mut core, rename.to)?;
        renew_links(&mut core, rename.moved)?;
        if let Some(replaced) = rename.replaced {
            renew_links(&mut core, replaced)?;
            self.note_links(replaced);
        }
        Ok(())
    }

    fn readdir(&self, dir: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        let _ = dir;
        self.with(|core| {
            core.read_dir(
                self.ino,
                cursor.saturating_sub(FIRST_CURSOR),
                &mut |entry| {
                    if entry.name == b"." || entry.name == b".." {
                        return true;
                    }
                    let shown = Entry {
                        ino: u64::from(entry.ino),
                        kind: kind_of(entry.kind).map_or(0, attr::FileType::dirent),
                        name: entry.name,
                    };
                    emit(&shown, entry.next + FIRST_CURSOR)
                },
            )
        })
    }

    fn readlink(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let _ = inode;
        self.with(|core| core.read_link(self.ino))
    }

    fn refresh(&self, inode: &Inode) -> Result<(), Errno> {
        let sectors = self.with(|core| Ok(core.attr(self.ino)?.sectors))?;
        let promised = self.pages.as_ref().map_or(0, |pages| pages.promised());
        let more = promised << (self.volume.block_bits - 9);
        inode.update(|attr| attr.blocks = sectors + more);
        Ok(())
    }

    fn set_attr(&self, inode: &Arc<Inode>, change: &attr::SetAttr) -> Result<(), Errno> {
        let _ = inode;
        let set = core_fs::SetAttr {
            permissions: change.mode.map(|mode| low16(u64::from(mode))),
            uid: change.uid,
            gid: change.gid,
            atime: change.atime.map(time),
            mtime: change.mtime.map(time),
            ctime: change.ctime.map(time),
            flags: change.flags,
            ..core_fs::SetAttr::default()
        };
        self.with(|core| core.set_attr(self.ino, &set))
    }

    fn truncate(&self, inode: &Arc<Inode>, size: u64) -> Result<(), Errno> {
        let (pages, mapping) = self.file(inode)?;
        if size > pages.limit {
            return Err(Errno::EFBIG);
        }
        let old = mapping.size();
        mapping.truncate(size)?;
        if size >= old {
            return self.with(|core| core.set_size(self.ino, size, now()));
        }
        let result = {
            let _io = pages.io.write();
            self.with(|core| core.truncate(self.ino, size, now()))
        };
        pages.release_promise();
        result
    }

    fn extent(&self, inode: &Arc<Inode>, from: u64, most: u64) -> Result<Extent, Errno> {
        self.extent_at(inode, from, most)
    }

    fn allocate(&self, inode: &Arc<Inode>, request: &Allocate) -> Result<(), Errno> {
        self.change_space(inode, request)
    }

    fn touched(&self, inode: &Inode) {
        if inode.is_dead() || self.is_changed.swap(true, Ordering::AcqRel) {
            return;
        }
        let me = self.me.get().and_then(Weak::upgrade);
        if let Some(me) = me
            && try_push(&mut self.volume.changed.lock(), me).is_ok()
        {
            return;
        }
        let written = self.volume.write_inode(inode);
        self.volume.note(written);
    }

    fn sync(&self, inode: &Arc<Inode>, data_only: bool) -> Result<(), Errno> {
        if self.is_changed.load(Ordering::Acquire)
            && !(data_only && self.lacks_times_only(inode)?)
        {
            self.volume.write_inode(inode).map_err(Error::errno)?;
        }
        self.volume.settle();
        self.volume.commit()
    }

    fn get_xattr(&self, inode: &Arc<Inode>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let _ = inode;
        self.xattr(name)
    }

    fn set_xattr(
        &self,
        inode: &Arc<Inode>,
        name: &[u8],
        value: Option<&[u8]>,
        mode: xattr::SetMode,
    ) -> Result<(), Errno> {
        self.change_xattr(inode, name, value, mode)
    }

    fn flags(&self) -> Option<[u32; 2]> {
        Some([core_fs::SHOWN_FLAGS, core_fs::USER_FLAGS])
    }

    fn ioctl(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        self.serve(file, request)
    }

    fn list_xattr(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let _ = inode;
        self.xattr_names()
    }
}
