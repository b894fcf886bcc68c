//! Making names: mkdir(2), mknod(2), symlink(2), link(2), and the part of open(2) that creates.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{APPEND_ONLY, DeviceNumber, FileType, IMMUTABLE};
use kiln_core::fs::perm::Capability;
use kiln_core::path::Walker;

use super::{locked_child, may_change, need_name, walk};
use crate::fs::context::Lookup;
use crate::fs::dentry::Dentry;
use crate::fs::inode::NewInode;
use crate::fs::mount::Path;
use crate::fs::notify;

/// Something to be made.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    /// What.
    pub(crate) kind: FileType,
    /// Permissions, before the umask.
    pub(crate) mode: u32,
    /// Which device.
    pub(crate) rdev: DeviceNumber,
    /// Where a link leads.
    pub(crate) target: &'a [u8],
}

impl Node<'static> {
    /// A regular file.
    pub(crate) const fn regular(mode: u32) -> Self {
        Self::new(FileType::Regular, mode)
    }

    /// Something that is neither a device nor a link.
    pub(crate) const fn new(kind: FileType, mode: u32) -> Self {
        Self {
            kind,
            mode,
            rdev: DeviceNumber::new(0, 0),
            target: b"",
        }
    }
}

/// Makes what isn't there yet.
pub(crate) fn create(lookup: &Lookup<'_>, path: &[u8], node: &Node<'_>) -> Result<Path, Errno> {
    let mut walker = walk(lookup, path)?;
    need_name(walker.to_last()?, Errno::EEXIST)?;
    let dir = walker.node().clone();
    let _guard = dir.inode()?.lock.lock();
    need_free(&walker, node.kind == FileType::Directory)?;
    if node.kind.is_device() && !lookup.can(Capability::Mknod) {
        // A device 0:0 is a whiteout, which anybody may make.
        let whiteout = node.kind == FileType::CharDevice && node.rdev == DeviceNumber::default();
        if !whiteout {
            return Err(Errno::EPERM);
        }
    }
    dir.mount.check_writable()?;
    let dentry = create_locked(lookup, &dir, walker.name(), node)?;
    Ok(dir.with(dentry))
}

/// Makes a symbolic link.
pub(crate) fn symlink(lookup: &Lookup<'_>, target: &[u8], path: &[u8]) -> Result<(), Errno> {
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let node = Node {
        target,
        ..Node::new(FileType::Symlink, 0o777)
    };
    create(lookup, path, &node).map(|_| ())
}

/// The last component must be free, in a directory locked by the caller.
fn need_free(walker: &Walker<'_, Lookup<'_>>, makes_dir: bool) -> Result<(), Errno> {
    let there = locked_child(walker)?;
    if there.inode().is_some() {
        return Err(Errno::EEXIST);
    }
    if walker.trailing_slash() && !makes_dir {
        return Err(Errno::ENOENT);
    }
    Ok(())
}

/// Makes `node` under a name that is free, in a directory locked by the caller.
pub(super) fn create_locked(
    lookup: &Lookup<'_>,
    dir: &Path,
    name: &[u8],
    node: &Node<'_>,
) -> Result<Arc<Dentry>, Errno> {
    may_change(lookup, dir)?;
    let inode = dir.inode()?;
    let default = match node.kind {
        FileType::Symlink => None,
        _ => super::acl::default_of(inode)?,
    };
    let mode = match node.kind {
        FileType::Symlink => node.mode,
        _ => super::acl::mode_for_new(default.as_ref(), node.mode, lookup.fs.umask()),
    };
    let (uid, gid, mode) = inode.with_attr(|attr| lookup.who.for_new(attr, node.kind, mode));
    let new = NewInode {
        kind: node.kind,
        mode,
        uid,
        gid,
        rdev: node.rdev,
        target: node.target,
    };
    let made = inode.ops().create(inode, name, &new)?;
    made.note_made();
    super::acl::inherit(default.as_ref(), &made, node.mode)?;
    notify::name(inode, name, &made, abi::IN_CREATE);
    if inode.ops().cacheable() {
        dir.dentry.remember(name, Some(made))
    } else {
        dir.dentry.passing(name, made)
    }
}

/// Gives the file `old` the name `path`.
pub(crate) fn link(lookup: &Lookup<'_>, old: &Path, path: &[u8]) -> Result<(), Errno> {
    let mut walker = walk(lookup, path)?;
    need_name(walker.to_last()?, Errno::EEXIST)?;
    let dir = walker.node().clone();
    let parent = dir.inode()?;
    let _guard = parent.lock.lock();
    need_free(&walker, false)?;
    dir.mount.check_writable()?;
    if !Arc::ptr_eq(&old.mount, &dir.mount) {
        return Err(Errno::EXDEV);
    }
    let inode = old.inode()?;
    lookup.may_link(inode)?;
    may_change(lookup, &dir)?;
    if !Arc::ptr_eq(inode.sb(), parent.sb()) {
        return Err(Errno::EXDEV);
    }
    if inode.kind() == FileType::Directory {
        return Err(Errno::EPERM);
    }
    if inode.with_attr(|attr| attr.has(IMMUTABLE | APPEND_ONLY)) {
        return Err(Errno::EPERM);
    }
    // A file whose names are all gone can't come back; one that never had any can (O_TMPFILE).
    if inode.is_dead() && !old.dentry.is_linkable() {
        return Err(Errno::ENOENT);
    }
    parent.ops().link(parent, walker.name(), inode)?;
    dir.dentry
        .remember(walker.name(), Some(Arc::clone(inode)))?;
    notify::links(inode);
    notify::name(parent, walker.name(), inode, abi::IN_CREATE);
    Ok(())
}
