//! What is done with an inode of an overlay ([`Node`]): passed on to the layers' files, after a copy where it changes
//! one below. What changes a directory is in [`change`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{FileType, SetAttr};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::overlay::{ESCAPED, PREFIX};
use kiln_core::fs::xattr::SetMode;

use super::file::OverlayFile;
use super::layers::set_attr;
use super::node::Node;
use super::{change, listing};
use crate::fs::file::FileOps;
use crate::fs::inode::{Allocate, Emit, Extent, Inode, InodeOps, NewInode, Rename};
use crate::fs::memory::{append, try_arc};

impl InodeOps for Node {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        let (upper, lowers) = self.find(name)?;
        if upper.is_none() && lowers.is_empty() {
            return Ok(None);
        }
        let place = (Arc::clone(dir), Box::from(name));
        Node::inode(&self.overlay, upper, lowers, Some(place)).map(Some)
    }

    fn create(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<Arc<Inode>, Errno> {
        change::create(self, dir, name, new)
    }

    fn create_unnamed(&self, dir: &Arc<Inode>, new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        change::create_unnamed(self, dir, new)
    }

    fn link(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        change::link(self, dir, name, inode)
    }

    fn unlink(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        change::remove(self, dir, name, victim)
    }

    fn rmdir(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        change::remove(self, dir, name, victim)
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        change::rename(self, rename)
    }

    fn leaves_whiteouts(&self) -> bool {
        false
    }

    fn readdir(&self, _: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        listing::list(self, cursor, emit)
    }

    fn readlink(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        if inode.kind() != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        let real = self.real()?;
        let real = real.inode()?;
        real.ops().readlink(real)
    }

    fn open(&self, inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        if inode.kind() != FileType::Regular || flags.has(abi::O_PATH) {
            return crate::fs::open_by_type(inode, flags);
        }
        if flags.writes() || flags.has(abi::O_TRUNC) {
            // What is to be cut needs no copy of its contents.
            self.overlay.copy_up(inode, !flags.has(abi::O_TRUNC))?;
        }
        Ok(try_arc(OverlayFile::open(self, flags)?)?)
    }

    fn refresh(&self, inode: &Inode) -> Result<(), Errno> {
        self.take_attributes(inode)
    }

    fn set_attr(&self, inode: &Arc<Inode>, change: &SetAttr) -> Result<(), Errno> {
        set_attr(&self.copied(inode)?, *change)
    }

    fn truncate(&self, inode: &Arc<Inode>, size: u64) -> Result<(), Errno> {
        let dentry = self.overlay.copy_up(inode, size != 0)?;
        let change = SetAttr {
            size: Some(size),
            ..SetAttr::default()
        };
        set_attr(dentry.inode().ok_or(Errno::ENOENT)?, change)?;
        self.take_attributes(inode)
    }

    fn extent(&self, _: &Arc<Inode>, from: u64, most: u64) -> Result<Extent, Errno> {
        let real = self.real()?;
        let inode = real.inode()?;
        inode.ops().extent(inode, from, most)
    }

    fn allocate(&self, inode: &Arc<Inode>, request: &Allocate) -> Result<(), Errno> {
        let real = self.copied(inode)?;
        let guard = real.lock.lock();
        real.ops().allocate(&real, request)?;
        real.modified();
        drop(guard);
        self.take_attributes(inode)
    }

    fn sync(&self, _: &Arc<Inode>, data_only: bool) -> Result<(), Errno> {
        let Some(upper) = self.upper() else {
            return Ok(());
        };
        let real = upper.inode().ok_or(Errno::ENOENT)?;
        real.ops().sync(real, data_only)
    }

    fn get_xattr(&self, _: &Arc<Inode>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let real = self.real()?;
        let real = real.inode()?;
        real.ops().get_xattr(real, &below(name)?)
    }

    fn set_xattr(
        &self,
        inode: &Arc<Inode>,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result<(), Errno> {
        if value.is_none() {
            // What isn't there is no reason to copy.
            self.get_xattr(inode, name)?;
        }
        let real = self.copied(inode)?;
        let _guard = real.lock.lock();
        real.set_xattr(&below(name)?, value, mode)?;
        real.changed();
        Ok(())
    }

    fn list_xattr(&self, _: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        let real = self.real()?;
        let real = real.inode()?;
        let names = real.ops().list_xattr(real)?;
        let mut shown = Vec::new();
        for name in names.split_inclusive(|byte| *byte == 0) {
            if let Some(escaped) = name.strip_prefix(ESCAPED) {
                append(&mut shown, PREFIX)?;
                append(&mut shown, escaped)?;
            } else if !name.starts_with(PREFIX) {
                append(&mut shown, name)?;
            }
        }
        Ok(shown)
    }
}

/// An attribute's name in the layers: programs' own that look like overlay's are told apart there.
fn below(name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut real = Vec::new();
    match name.strip_prefix(PREFIX) {
        Some(rest) => {
            append(&mut real, ESCAPED)?;
            append(&mut real, rest)?;
        }
        None => append(&mut real, name)?,
    }
    Ok(real)
}
