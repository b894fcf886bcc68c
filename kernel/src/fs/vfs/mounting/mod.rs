//! Mounting: mount(2) in its parts, and the end of the job, when everything is brought to disk.
//!
//! [`moving`] puts mounts elsewhere, [`unmount`] takes them away, [`propagate`] does the same to peers, [`configure`] is the interface of
//! fsopen(2) and its kin.

mod configure;
mod moving;
mod propagate;
mod unmount;

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Capability;

use super::resolve;
use crate::fs::context::Lookup;
use crate::fs::dentry::Dentry;
use crate::fs::inode::Inode;
use crate::fs::memory::{try_copy, try_push};
use crate::fs::mount::{Mount, MountFlags, Namespace, Path, Propagation};
use crate::fs::superblock::{self, FileSystemType, MountRequest, find_type};
use crate::vm::writeback;

pub(crate) use configure::{FsConfig, TreeFile};
pub(crate) use moving::{move_mount, move_path, pivot_root};
pub(crate) use unmount::unmount;

/// EPERM for those who may not mount.
pub(crate) fn may_mount(lookup: &Lookup<'_>) -> Result<(), Errno> {
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
    let root = file_system(lookup, &kind, source, flags, options)?;
    let namespace = lookup.fs.namespace();
    let _guard = namespace.change();
    let mount = Mount::new(root, flags, try_copy(source)?)?;
    graft(namespace, &mount, place)
}

/// The file system of the type on `source`, its root; the one in use already where a device has one.
fn file_system(
    lookup: &Lookup<'_>,
    kind: &FileSystemType,
    source: &[u8],
    flags: MountFlags,
    options: &[u8],
) -> Result<Arc<Dentry>, Errno> {
    let read_only = flags.contains(MountFlags::READ_ONLY);
    let device = if kind.driver.is_some() {
        Some(device(lookup, source)?)
    } else {
        None
    };
    superblock::settle()?;
    if let Some(device) = &device
        && let Some((sb, root)) = superblock::on_device(device.rdev())
    {
        let same = find_type(sb.kind().as_bytes())?.driver == kind.driver;
        if !same || sb.read_only() != read_only {
            return Err(Errno::EBUSY);
        }
        return Ok(root);
    }
    let root = (kind.mount)(&MountRequest {
        lookup: Some(lookup),
        device,
        options,
        read_only,
    })?;
    root.sb().set_flags(flags);
    superblock::root_of(root)
}

/// A tree of its own, whose root is the file system of type `kind` on the disk at `source`.
pub(crate) fn tree_on(
    lookup: &Lookup<'_>,
    source: &[u8],
    kind: &[u8],
    flags: MountFlags,
) -> Result<Arc<Namespace>, Errno> {
    let root = file_system(lookup, &find_type(kind)?, source, flags, b"")?;
    Namespace::new(Mount::new(root, flags, try_copy(source)?)?)
}

/// The block device that `source` names.
fn device(lookup: &Lookup<'_>, source: &[u8]) -> Result<Arc<Inode>, Errno> {
    if source.is_empty() {
        return Err(Errno::EINVAL);
    }
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

fn is_dir(dentry: &Dentry) -> bool {
    dentry
        .inode()
        .is_some_and(|inode| inode.kind() == FileType::Directory)
}

/// The place of a mount must be there, and in the tree.
fn check_place(namespace: &Namespace, place: &Path) -> Result<(), Errno> {
    if !place.dentry.is_hashed() || !namespace.contains(&place.mount) {
        return Err(Errno::ENOENT);
    }
    Ok(())
}

/// Shows a mount at `place`, where a directory covers a directory and a file a file.
fn graft(namespace: &Namespace, mount: &Arc<Mount>, place: Path) -> Result<(), Errno> {
    check_place(namespace, &place)?;
    if place.is_mount_root()
        && Arc::ptr_eq(place.mount.sb(), mount.sb())
        && Arc::ptr_eq(place.mount.root(), mount.root())
    {
        return Err(Errno::EBUSY);
    }
    if is_dir(mount.root()) != is_dir(&place.dentry) {
        return Err(Errno::ENOTDIR);
    }
    namespace.keep(mount)?;
    propagate::mount(namespace, mount, place, false).inspect_err(|_| namespace.dissolve(mount))
}

/// Shows what is at `source` at `target` too; with what is mounted beneath it if `recursive`.
pub(crate) fn bind(
    lookup: &Lookup<'_>,
    source: &[u8],
    target: &[u8],
    recursive: bool,
) -> Result<(), Errno> {
    let place = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    if source.is_empty() {
        return Err(Errno::EINVAL);
    }
    let from = resolve(lookup, source, true)?;
    let namespace = lookup.fs.namespace();
    let _guard = namespace.change();
    check_place(namespace, &place)?;
    check_bindable(namespace, &from)?;
    if is_dir(&from.dentry) != is_dir(&place.dentry) {
        return Err(Errno::ENOTDIR);
    }
    let copy = copy_tree(namespace, &from, recursive)?;
    propagate::mount(namespace, &copy, place, false).inspect_err(|_| namespace.dissolve(&copy))
}

/// What is copied must be in the tree, and not forbid it.
pub(crate) fn check_bindable(namespace: &Namespace, from: &Path) -> Result<(), Errno> {
    if from.mount.propagation().unbindable || !namespace.contains(&from.mount) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// A mount of what `from` shows, one of the namespace's but without a place; with copies of the
/// mounts beneath it if `recursive`.
pub(crate) fn copy_tree(
    namespace: &Namespace,
    from: &Path,
    recursive: bool,
) -> Result<Arc<Mount>, Errno> {
    let top = from.mount.copy(Arc::clone(&from.dentry))?;
    namespace.keep(&top)?;
    let mut pending = Vec::new();
    if recursive {
        try_push(&mut pending, (Arc::clone(&from.mount), Arc::clone(&top)))?;
    }
    while let Some((old, new)) = pending.pop() {
        for child in namespace.children(&old)? {
            let Some(place) = child.place() else {
                continue;
            };
            // What covers the root that is copied counts as beneath it.
            if !place.dentry.is_beneath(new.root()) || child.propagation().unbindable {
                continue;
            }
            let copied = child.copy(Arc::clone(child.root())).and_then(|copy| {
                let place = Path {
                    mount: Arc::clone(&new),
                    dentry: place.dentry,
                };
                namespace.keep(&copy)?;
                namespace.put(&copy, place);
                try_push(&mut pending, (child, copy))
            });
            if let Err(error) = copied {
                namespace.dissolve(&top);
                return Err(error);
            }
        }
    }
    Ok(top)
}

/// Changes how events reach the mount at `target`, and those beneath it if the flags say so.
pub(crate) fn change_propagation(
    lookup: &Lookup<'_>,
    target: &[u8],
    flags: u32,
) -> Result<(), Errno> {
    let path = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    let kind = flags & !(abi::MS_REC | abi::MS_SILENT);
    set_propagation(lookup, &path, kind, flags & abi::MS_REC != 0)
}

/// The same of a mount that is known; `kind` is one of `MS_SHARED` and its like.
pub(crate) fn set_propagation(
    lookup: &Lookup<'_>,
    path: &Path,
    kind: u32,
    recursive: bool,
) -> Result<(), Errno> {
    const KINDS: u32 = abi::MS_SHARED | abi::MS_PRIVATE | abi::MS_SLAVE | abi::MS_UNBINDABLE;
    if kind & !KINDS != 0 || kind.count_ones() != 1 {
        return Err(Errno::EINVAL);
    }
    let namespace = lookup.fs.namespace();
    let _guard = namespace.change();
    if !recursive {
        propagate_as(namespace, &path.mount, kind);
        return Ok(());
    }
    for mount in namespace.tree(&path.mount)? {
        propagate_as(namespace, &mount, kind);
    }
    Ok(())
}

fn propagate_as(namespace: &Namespace, mount: &Mount, kind: u32) {
    let before = mount.propagation();
    let after = match kind {
        abi::MS_SHARED if before.shared != 0 => Propagation {
            unbindable: false,
            ..before
        },
        abi::MS_SHARED => Propagation {
            shared: namespace.free_group(),
            master: before.master,
            unbindable: false,
        },
        // Whoever has no peers to receive from goes on receiving from where they would have.
        abi::MS_SLAVE if before.shared != 0 && namespace.peers(before.shared) > 1 => Propagation {
            master: before.shared,
            ..Propagation::default()
        },
        abi::MS_SLAVE => Propagation {
            master: before.master,
            ..Propagation::default()
        },
        kind => Propagation {
            unbindable: kind == abi::MS_UNBINDABLE,
            ..Propagation::default()
        },
    };
    mount.set_propagation(after);
    namespace.hand_over(before);
}

/// Changes the flags of the mount at `target`, and of its file system unless `bind`. `atime` is false when
/// the flags don't say how access times move: that stays then.
pub(crate) fn remount(
    lookup: &Lookup<'_>,
    target: &[u8],
    flags: MountFlags,
    (bind, atime): (bool, bool),
    options: &[u8],
) -> Result<(), Errno> {
    let path = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    let namespace = lookup.fs.namespace();
    if !path.is_mount_root() || !namespace.contains(&path.mount) {
        return Err(Errno::EINVAL);
    }
    let flags = if atime {
        flags
    } else {
        (flags - MountFlags::ATIME) | (path.mount.flags() & MountFlags::ATIME)
    };
    let _guard = namespace.change();
    if bind {
        return path.mount.set_flags(flags);
    }
    // `MS_RMT_MASK` (linux/fs.h): how directories are written stays.
    let kept = path.mount.sb().flags() & MountFlags::DIR_SYNC;
    let wanted = (flags - MountFlags::DIR_SYNC) | kept;
    reconfigure(namespace, &path.mount, wanted, options)?;
    path.mount.set_flags(flags)
}

/// Changes a file system: its flags, and its options.
fn reconfigure(
    namespace: &Namespace,
    mount: &Mount,
    flags: MountFlags,
    options: &[u8],
) -> Result<(), Errno> {
    let sb = mount.sb();
    let read_only = flags.contains(MountFlags::READ_ONLY);
    if read_only && !sb.read_only() && namespace.writers_of(sb) != 0 {
        return Err(Errno::EBUSY);
    }
    if let Some(known) = superblock::find_type(sb.kind().as_bytes())?.option {
        superblock::check_options(options, known)?;
    }
    sb.ops().reconfigure(options)?;
    sb.remount(read_only)?;
    sb.set_flags(flags);
    Ok(())
}

/// Brings everything to disk; the first error, after everything was tried.
pub(crate) fn sync_all() -> Result<(), Errno> {
    let mut result = writeback::sync_everything();
    for sb in superblock::in_use()? {
        result = result.and(sb.ops().sync());
    }
    result.and(superblock::settle())
}

/// The end: everything is brought to disk and left as it should be found. Nothing may be written
/// afterwards.
pub(crate) fn unmount_all() -> Result<(), Errno> {
    let mut result = writeback::sync_everything();
    for sb in superblock::in_use()?.iter().rev() {
        result = result.and(sb.ops().unmount());
    }
    result
}
