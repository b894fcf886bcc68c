//! The layers of an overlay: [`Layer`]; a file in one: [`Real`]; and what is done in them as the kernel itself.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType, SetAttr};
use kiln_core::fs::overlay::YES;
use kiln_core::fs::xattr::SetMode;
use kiln_core::num::u64_of;

use super::Upper;
use crate::fs::Dentry;
use crate::fs::inode::Inode;
use crate::fs::memory::{try_copy, try_push};
use crate::fs::mount::{Mount, Path};
use crate::fs::vfs::{self, Node as NewNode};

/// A layer.
pub(super) struct Layer {
    /// A mount of its own: whatever becomes of the one it was found through.
    pub(super) mount: Arc<Mount>,
    /// Which of the file systems that the layers are of.
    pub(super) file_system: u64,
}

impl Layer {
    /// The next layer.
    pub(super) fn new(before: &[Self], mount: Arc<Mount>) -> Self {
        let same = before
            .iter()
            .find(|layer| Arc::ptr_eq(layer.mount.sb(), mount.sb()));
        let file_system = same.map_or(u64_of(before.len()), |layer| layer.file_system);
        Self { mount, file_system }
    }
}

/// A file of a layer.
#[derive(Clone)]
pub(super) struct Real {
    pub(super) layer: usize,
    pub(super) dentry: Arc<Dentry>,
}

impl Real {
    /// Of that layer.
    pub(super) fn new(layer: usize, dentry: Arc<Dentry>) -> Self {
        Self { layer, dentry }
    }

    /// Its inode.
    pub(super) fn inode(&self) -> Result<&Arc<Inode>, Errno> {
        self.dentry.inode().ok_or(Errno::ENOENT)
    }

    /// The child of that name, if it is there: a whiteout too.
    pub(super) fn child(&self, name: &[u8]) -> Result<Option<Self>, Errno> {
        if !is_dir(self.inode()?) {
            return Ok(None);
        }
        let dentry = self.dentry.child(name, false)?;
        Ok(dentry.inode().is_some().then(|| Self {
            layer: self.layer,
            dentry: Arc::clone(&dentry),
        }))
    }
}

/// Whether it is a directory.
pub(super) fn is_dir(inode: &Inode) -> bool {
    inode.kind() == FileType::Directory
}

/// Whether it hides what lies below.
pub(super) fn is_whiteout(inode: &Inode) -> bool {
    inode.kind() == FileType::CharDevice && inode.rdev() == DeviceNumber::default()
}

/// Whether an attribute of overlay's says yes.
pub(super) fn says_yes(inode: &Arc<Inode>, name: &[u8]) -> bool {
    inode
        .ops()
        .get_xattr(inode, name)
        .is_ok_and(|value| value == YES)
}

/// Sets an attribute of overlay's.
pub(super) fn mark(inode: &Arc<Inode>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    let _guard = inode.lock.lock();
    inode.set_xattr(name, Some(value), SetMode::Any)
}

/// Changes the attributes of a layer's file.
pub(super) fn set_attr(inode: &Arc<Inode>, change: SetAttr) -> Result<(), Errno> {
    let _guard = inode.lock.lock();
    inode.set_attr(change)
}

/// Names in a directory of a layer, with what they are.
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) ino: u64,
    pub(super) kind: u8,
    /// It is a directory of the upper layer that what is below shows through.
    pub(super) from_upper: bool,
}

/// What a directory of a layer holds.
pub(super) fn entries(dir: &Arc<Inode>) -> Result<Vec<Entry>, Errno> {
    let mut found = Vec::new();
    let mut failed = None;
    let guard = dir.lock.lock();
    dir.ops().readdir(dir, 2, &mut |entry, _| {
        let copied = try_copy(entry.name).and_then(|name| {
            let (ino, kind) = (entry.ino, entry.kind);
            let from_upper = false;
            try_push(
                &mut found,
                Entry {
                    name,
                    ino,
                    kind,
                    from_upper,
                },
            )
        });
        failed = copied.err();
        failed.is_none()
    })?;
    drop(guard);
    failed.map_or(Ok(found), Err)
}

/// Empties a directory of the upper layer that holds nothing but whiteouts, or what an earlier mount
/// left in its working directory.
pub(super) fn clear(upper: &Upper, dir: &Arc<Dentry>) -> Result<(), Errno> {
    let mut pending = Vec::new();
    try_push(&mut pending, Arc::clone(dir))?;
    while let Some(at) = pending.last().cloned() {
        let inode = at.inode().ok_or(Errno::ENOENT)?;
        let lookup = upper.at(&at);
        let mut inner = None;
        for entry in entries(inode)? {
            match vfs::unlink(&lookup, &entry.name) {
                Err(Errno::EISDIR) => {
                    if vfs::rmdir(&lookup, &entry.name).is_err() {
                        inner = Some(at.child(&entry.name, false)?);
                    }
                }
                other => other?,
            }
        }
        match inner {
            Some(inner) => try_push(&mut pending, inner)?,
            None => {
                pending.pop();
            }
        }
    }
    Ok(())
}

impl Upper {
    /// A name in the working directory that nothing has.
    fn fresh_name(&self) -> String {
        format!("#{:x}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes something in the working directory; its name there.
    pub(super) fn make(&self, node: &NewNode<'_>) -> Result<(Path, String), Errno> {
        loop {
            let name = self.fresh_name();
            match vfs::create(&self.at(&self.work), name.as_bytes(), node) {
                Ok(path) => return Ok((path, name)),
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves what was made there to its place; `flags` are `RENAME_*`.
    pub(super) fn place(
        &self,
        made: &str,
        dir: &Arc<Dentry>,
        name: &[u8],
        flags: u32,
    ) -> Result<(), Errno> {
        let (from, to) = (self.at(&self.work), self.at(dir));
        vfs::rename(&from, made.as_bytes(), &to, name, flags)
    }

    /// Takes away what was made there.
    pub(super) fn unmake(&self, made: &str) -> Result<(), Errno> {
        let lookup = self.at(&self.work);
        match vfs::unlink(&lookup, made.as_bytes()) {
            Err(Errno::EISDIR) => {
                let dir = self.work.child(made.as_bytes(), false)?;
                clear(self, &dir)?;
                vfs::rmdir(&lookup, made.as_bytes())
            }
            other => other,
        }
    }

    /// Leaves a whiteout of that name in `dir`, in place of what the upper layer has there.
    pub(super) fn white_out(&self, dir: &Arc<Dentry>, name: &[u8]) -> Result<(), Errno> {
        let there = dir.child(name, false)?;
        let (_, made) = self.make(&NewNode::new(FileType::CharDevice, 0))?;
        let covers_dir = there.inode().is_some_and(|inode| is_dir(inode));
        let flags = if covers_dir { abi::RENAME_EXCHANGE } else { 0 };
        let placed = self.place(&made, dir, name, flags);
        if placed.is_err() || covers_dir {
            let unmade = self.unmake(&made);
            return placed.and(unmade);
        }
        placed
    }
}
