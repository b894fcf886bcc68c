//! Mounting: mount(2), umount2(2), and the end of the job, when everything is brought to disk.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Capability;

use super::resolve;
use crate::fs::context::Lookup;
use crate::fs::dentry::Dentry;
use crate::fs::inode::Inode;
use crate::fs::memory::{try_copy, try_push};
use crate::fs::mount::{Mount, MountFlags, Namespace, Path};
use crate::fs::notify;
use crate::fs::superblock::{MountRequest, SuperBlock, find_type};
use crate::vm::writeback;

/// `MNT_DETACH`, `UMOUNT_NOFOLLOW` and what else `umount2` knows (linux/fs.h).
const UMOUNT_KNOWN: u32 = 0xF;
const MNT_DETACH: u32 = 2;
const MNT_EXPIRE: u32 = 4;
const UMOUNT_NOFOLLOW: u32 = 8;

fn may_mount(lookup: &Lookup<'_>) -> Result<(), Errno> {
    if lookup.can(Capability::SysAdmin) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Mounts a file system of the type `kind` on `target`.
pub(crate) fn mount(
    lookup: &Lookup<'_>,
    source: &[u8],
    target: &[u8],
    kind: &[u8],
    flags: MountFlags,
    options: &[u8],
) -> Result<(), Errno> {
    let place = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    let kind = find_type(kind)?;
    let device = if kind.needs_device {
        Some(device(lookup, source)?)
    } else {
        None
    };
    let root = (kind.mount)(&MountRequest {
        source,
        device,
        options,
        read_only: flags.contains(MountFlags::READ_ONLY),
    })?;
    attach(
        lookup.fs.namespace(),
        Dentry::root(root)?,
        flags,
        source,
        place,
    )
}

/// A tree of its own, whose root is the file system of type `kind` on the disk at `source`.
pub(crate) fn tree_on(
    lookup: &Lookup<'_>,
    source: &[u8],
    kind: &[u8],
    flags: MountFlags,
) -> Result<Arc<Namespace>, Errno> {
    let root = (find_type(kind)?.mount)(&MountRequest {
        source,
        device: Some(device(lookup, source)?),
        options: b"",
        read_only: flags.contains(MountFlags::READ_ONLY),
    })?;
    let mount = Mount::new(Dentry::root(root)?, flags, try_copy(source)?)?;
    Namespace::new(mount)
}

/// The block device that `source` names.
fn device(lookup: &Lookup<'_>, source: &[u8]) -> Result<Arc<Inode>, Errno> {
    let path = resolve(lookup, source, true)?;
    let inode = path.inode()?;
    if inode.kind() != FileType::BlockDevice {
        return Err(Errno::ENOTBLK);
    }
    if path.mount.has(MountFlags::NO_DEV) {
        return Err(Errno::EACCES);
    }
    Ok(Arc::clone(inode))
}

/// Shows `root` at `place`, where a directory covers a directory and a file a file.
fn attach(
    namespace: &Namespace,
    root: Arc<Dentry>,
    flags: MountFlags,
    source: &[u8],
    place: Path,
) -> Result<(), Errno> {
    let is_dir = |inode: &Inode| inode.kind() == FileType::Directory;
    let covers = root.inode().is_some_and(|inode| is_dir(inode));
    if covers != is_dir(place.inode()?) {
        return Err(Errno::ENOTDIR);
    }
    if !place.dentry.is_hashed() {
        return Err(Errno::ENOENT);
    }
    let mount = Mount::new(root, flags, try_copy(source)?)?;
    namespace.attach(&mount, place)
}

/// Shows what is at `source` at `target` too.
pub(crate) fn bind(lookup: &Lookup<'_>, source: &[u8], target: &[u8]) -> Result<(), Errno> {
    let place = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    let from = resolve(lookup, source, true)?;
    let (flags, name) = (from.mount.flags(), try_copy(from.mount.source())?);
    attach(
        lookup.fs.namespace(),
        Arc::clone(&from.dentry),
        flags,
        &name,
        place,
    )
}

/// Moves the mount at `source` to `target`.
pub(crate) fn move_mount(lookup: &Lookup<'_>, source: &[u8], target: &[u8]) -> Result<(), Errno> {
    let place = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    let from = resolve(lookup, source, true)?;
    if !from.is_mount_root() || from.mount.place().is_none() {
        return Err(Errno::EINVAL);
    }
    // Not into itself.
    let mut at = Some(place.clone());
    while let Some(above) = at {
        if Arc::ptr_eq(&above.mount, &from.mount) {
            return Err(Errno::ELOOP);
        }
        at = above.mount.place();
    }
    let namespace = lookup.fs.namespace();
    namespace.detach(&from.mount, true)?;
    namespace.attach(&from.mount, place)
}

/// Changes the flags of the mount at `target`, and of its file system unless `bind`.
pub(crate) fn remount(
    lookup: &Lookup<'_>,
    target: &[u8],
    flags: MountFlags,
    bind: bool,
) -> Result<(), Errno> {
    let path = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    if !bind {
        path.mount
            .sb()
            .remount(flags.contains(MountFlags::READ_ONLY))?;
    }
    path.mount.set_flags(flags);
    Ok(())
}

/// Takes the mount at `target` away.
pub(crate) fn unmount(lookup: &Lookup<'_>, target: &[u8], flags: u32) -> Result<(), Errno> {
    if flags & !UMOUNT_KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let path = resolve(lookup, target, flags & UMOUNT_NOFOLLOW == 0)?;
    may_mount(lookup)?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    if flags & MNT_EXPIRE != 0 {
        return Err(Errno::EAGAIN);
    }
    let namespace = lookup.fs.namespace();
    let sb = Arc::clone(path.mount.sb());
    namespace.detach(&path.mount, flags & MNT_DETACH != 0)?;
    if namespace.shows(&sb) {
        return Ok(());
    }
    path.dentry.prune();
    notify::unmounted(&sb);
    finish(&sb)
}

/// Leaves a file system as it should be found.
fn finish(sb: &SuperBlock) -> Result<(), Errno> {
    let written = writeback::sync_everything();
    let unmounted = sb.ops().unmount();
    written.and(unmounted)
}

/// Every file system of the tree, once.
fn file_systems(namespace: &Namespace) -> Result<Vec<Arc<SuperBlock>>, Errno> {
    let mut found: Vec<Arc<SuperBlock>> = Vec::new();
    for mount in namespace.mounted()? {
        if !found.iter().any(|sb| Arc::ptr_eq(sb, mount.sb())) {
            try_push(&mut found, Arc::clone(mount.sb()))?;
        }
    }
    Ok(found)
}

/// Brings everything to disk; the first error, after everything was tried.
pub(crate) fn sync_all(namespace: &Namespace) -> Result<(), Errno> {
    let mut result = writeback::sync_everything();
    for sb in file_systems(namespace)? {
        result = result.and(sb.ops().sync());
    }
    result
}

/// The end: everything is brought to disk and left as it should be found. Nothing may be written
/// afterwards.
pub(crate) fn unmount_all(namespace: &Namespace) -> Result<(), Errno> {
    let mut result = writeback::sync_everything();
    for sb in file_systems(namespace)?.iter().rev() {
        result = result.and(sb.ops().unmount());
    }
    result
}
