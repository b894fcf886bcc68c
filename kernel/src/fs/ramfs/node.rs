//! [`Node`]: what a file system in memory keeps of an inode.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{APPEND_ONLY, FileType, IMMUTABLE, NO_ATIME, NO_DUMP};
use kiln_core::fs::dirent::Entry;
use kiln_core::fs::index::Index;
use kiln_core::fs::xattr::{SetMode, Xattrs};
use kiln_core::num::u64_of;

use super::make;
use super::room::{Place, Room};
use super::seed::Origin;
use crate::fs::clock;
use crate::fs::inode::{Allocate, AllocateKind, Emit, Inode, InodeOps, NewInode, Rename};
use crate::fs::memory::{append, try_copy};
use crate::mm::kmem;
use crate::sync::SpinLock;

/// A name's value in a directory.
pub(super) enum Child {
    /// It is in the image and nobody has looked it up yet.
    Seeded { nid: u64, kind: FileType },
    /// It is here.
    Made(Arc<Inode>),
}

/// What changes of a node.
#[derive(Default)]
pub(super) struct State {
    pub(super) names: Index<Child>,
    pub(super) xattrs: Xattrs,
}

/// What a file system in memory keeps of an inode.
pub(super) struct Node {
    /// Touched under the inode's lock; the spin lock lets readers look.
    pub(super) state: SpinLock<State>,
    /// A symbolic link's text.
    target: Vec<u8>,
    /// Where in the image it comes from.
    pub(super) origin: Option<Origin>,
    place: Place,
}

impl Node {
    /// Of something new.
    pub(super) fn new(target: Vec<u8>, place: Place) -> Self {
        Self {
            state: SpinLock::default(),
            target,
            origin: None,
            place,
        }
    }

    /// Of something that comes from the image.
    pub(super) fn seeded(target: Vec<u8>, place: Place, origin: Origin) -> Self {
        Self {
            origin: Some(origin),
            ..Self::new(target, place)
        }
    }

    /// Enters a name; an old value of it is dropped.
    pub(super) fn enter(&self, name: &[u8], child: Child) -> Result<(), Errno> {
        let _charge = kmem::charge(Index::<Child>::cost(name)).map_err(|_| Errno::ENOMEM)?;
        let old = self.state.lock().names.insert(name, child);
        old.map(drop).map_err(|_| Errno::ENOMEM)
    }

    fn strike(&self, name: &[u8]) {
        let removed = self.state.lock().names.remove(name);
        drop(removed);
    }

    /// What is known of a name here: the inode, or that it is in the image.
    fn known(&self, name: &[u8]) -> Option<Child> {
        self.state.lock().names.get(name).map(|child| match child {
            Child::Seeded { nid, kind } => Child::Seeded {
                nid: *nid,
                kind: *kind,
            },
            Child::Made(inode) => Child::Made(Arc::clone(inode)),
        })
    }

    /// Takes every name of the image over, before the directory is listed or changed.
    fn expand(&self) -> Result<(), Errno> {
        match &self.origin {
            Some(origin) => origin.expand(self),
            None => Ok(()),
        }
    }

    fn is_empty(&self) -> bool {
        self.state.lock().names.is_empty()
    }
}

/// The node of an inode of a file system in memory; EXDEV for any other.
fn node_of(inode: &Inode) -> Result<&Node, Errno> {
    inode.ops_as().ok_or(Errno::EXDEV)
}

fn is_dir(inode: &Inode) -> bool {
    inode.kind() == FileType::Directory
}

/// Stamps a directory whose names changed, with so many more subdirectories.
fn changed_dir(dir: &Inode, more: i32) {
    let now = clock::now();
    dir.update(|attr| {
        (attr.mtime, attr.ctime) = (now, now);
        attr.nlink = attr.nlink.saturating_add_signed(more);
    });
}

/// A name of `victim` is gone: the last one of a directory takes both its links.
fn lose_link(victim: &Inode, room: &Room) {
    let now = clock::now();
    let dir = is_dir(victim);
    let left = victim.update(|attr| {
        attr.nlink = if dir { 0 } else { attr.nlink.saturating_sub(1) };
        attr.ctime = now;
        attr.nlink
    });
    if left > 0 {
        room.uncount();
    }
}

/// Fills the holes of a range with pages of zeros.
fn reserve(inode: &Inode, request: &Allocate) -> Result<(), Errno> {
    const PAGE: u64 = PAGE_SIZE as u64;
    let mapping = inode.mapping().ok_or(Errno::ENODEV)?;
    let end = request.offset.saturating_add(request.len).div_ceil(PAGE);
    mapping.fill_holes(request.offset / PAGE, end)
}

impl InodeOps for Node {
    fn lookup(&self, dir: &Arc<Inode>, name: &[u8]) -> Result<Option<Arc<Inode>>, Errno> {
        let known = self.known(name);
        let (nid, origin) = match (known, &self.origin) {
            (Some(Child::Made(inode)), _) => return Ok(Some(inode)),
            (Some(Child::Seeded { nid, .. }), Some(origin)) => (nid, origin),
            (None, Some(origin)) => match origin.lookup(name)? {
                Some(nid) => (nid, origin),
                None => return Ok(None),
            },
            (_, None) => return Ok(None),
        };
        let inode = origin.instantiate(dir.sb(), nid)?;
        self.enter(name, Child::Made(Arc::clone(&inode)))?;
        Ok(Some(inode))
    }

    fn create(
        &self,
        dir: &Arc<Inode>,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<Arc<Inode>, Errno> {
        self.expand()?;
        let inode = make(dir, self.place.room(), new)?;
        self.enter(name, Child::Made(Arc::clone(&inode)))?;
        changed_dir(dir, i32::from(is_dir(&inode)));
        Ok(inode)
    }

    fn create_unnamed(&self, dir: &Arc<Inode>, new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
        let inode = make(dir, self.place.room(), new)?;
        inode.update(|attr| attr.nlink = 0);
        Ok(inode)
    }

    fn link(&self, dir: &Arc<Inode>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
        self.expand()?;
        // Every name of a file counts as one, as on Linux's.
        let unnamed = inode.is_dead();
        if !unnamed {
            self.place.room().count()?;
        }
        let entered = self.enter(name, Child::Made(Arc::clone(inode)));
        if entered.is_err() && !unnamed {
            self.place.room().uncount();
        }
        entered?;
        changed_dir(dir, 0);
        let now = clock::now();
        inode.update(|attr| {
            attr.nlink = attr.nlink.saturating_add(1);
            attr.ctime = now;
        });
        Ok(())
    }

    fn unlink(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        self.expand()?;
        self.strike(name);
        changed_dir(dir, 0);
        lose_link(victim, self.place.room());
        Ok(())
    }

    fn rmdir(&self, dir: &Arc<Inode>, name: &[u8], victim: &Arc<Inode>) -> Result<(), Errno> {
        let below = node_of(victim)?;
        below.expand()?;
        if !below.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.expand()?;
        self.strike(name);
        changed_dir(dir, -1);
        lose_link(victim, self.place.room());
        Ok(())
    }

    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let to = node_of(rename.to)?;
        self.expand()?;
        to.expand()?;
        if let Some(other) = rename.replaced.filter(|_| !rename.exchange)
            && is_dir(other)
        {
            let below = node_of(other)?;
            below.expand()?;
            if !below.is_empty() {
                return Err(Errno::ENOTEMPTY);
            }
        }
        to.enter(rename.to_name, Child::Made(Arc::clone(rename.moved)))?;
        let mut from_dirs = -i32::from(is_dir(rename.moved));
        let mut to_dirs = i32::from(is_dir(rename.moved));
        match rename.replaced {
            Some(other) if rename.exchange => {
                // The name is there already, so this needs no memory but what is charged.
                self.enter(rename.from_name, Child::Made(Arc::clone(other)))?;
                from_dirs += i32::from(is_dir(other));
                to_dirs -= i32::from(is_dir(other));
            }
            Some(other) => {
                self.strike(rename.from_name);
                to_dirs -= i32::from(is_dir(other));
                lose_link(other, self.place.room());
            }
            None => self.strike(rename.from_name),
        }
        changed_dir(rename.from, from_dirs);
        changed_dir(rename.to, to_dirs);
        let now = clock::now();
        rename.moved.update(|attr| attr.ctime = now);
        Ok(())
    }

    fn readdir(&self, _: &Arc<Inode>, cursor: u64, emit: &mut Emit<'_>) -> Result<(), Errno> {
        self.expand()?;
        let state = self.state.lock();
        for (at, name, child) in state.names.iter_from(cursor) {
            let (ino, kind) = match child {
                Child::Seeded { nid, kind } => (*nid, *kind),
                Child::Made(inode) => (inode.ino(), inode.kind()),
            };
            let entry = Entry {
                ino,
                kind: kind.dirent(),
                name,
            };
            if !emit(&entry, at + 1) {
                break;
            }
        }
        Ok(())
    }

    fn readlink(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        if inode.kind() != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        try_copy(&self.target)
    }

    fn allocate(&self, inode: &Arc<Inode>, request: &Allocate) -> Result<(), Errno> {
        if request.kind == AllocateKind::Reserve {
            reserve(inode, request)?;
        }
        request.generic(inode)
    }

    fn refresh(&self, inode: &Inode) -> Result<(), Errno> {
        /// What Linux's tmpfs reckons for a name.
        const ENTRY: u64 = 20;
        if is_dir(inode) {
            let names = u64_of(self.state.lock().names.len());
            inode.update(|attr| (attr.size, attr.blocks) = ((names + 2) * ENTRY, 0));
        }
        if let Some(mapping) = inode.mapping() {
            let pages = mapping.content_pages();
            inode.update(|attr| attr.blocks = pages * u64_of(PAGE_SIZE / 512));
        }
        Ok(())
    }

    fn get_xattr(&self, inode: &Arc<Inode>, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.load_xattrs(inode)?;
        let value = self.state.lock().xattrs.get(name).map(<[u8]>::len)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(value).map_err(|_| Errno::ENOMEM)?;
        let state = self.state.lock();
        copy.extend(state.xattrs.get(name)?.iter().take(value));
        Ok(copy)
    }

    fn set_xattr(
        &self,
        inode: &Arc<Inode>,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result<(), Errno> {
        self.load_xattrs(inode)?;
        let mut state = self.state.lock();
        match value {
            Some(value) => state.xattrs.set(name, value, mode),
            None => state.xattrs.remove(name),
        }
    }

    fn flags(&self) -> Option<[u32; 2]> {
        Some([IMMUTABLE | APPEND_ONLY | NO_DUMP | NO_ATIME; 2])
    }

    fn list_xattr(&self, inode: &Arc<Inode>) -> Result<Vec<u8>, Errno> {
        self.load_xattrs(inode)?;
        let mut list = Vec::new();
        for name in self.state.lock().xattrs.names() {
            append(&mut list, name)?;
            append(&mut list, b"\0")?;
        }
        Ok(list)
    }
}

impl Node {
    fn load_xattrs(&self, inode: &Inode) -> Result<(), Errno> {
        match &self.origin {
            Some(origin) => origin.load_xattrs(self, inode),
            None => Ok(()),
        }
    }
}
