//! What system calls do with paths. Every function takes a [`Lookup`], which says who asks and
//! from where, and answers Linux's errors in Linux's order.

mod acl;
mod attr;
mod create;
mod mounting;
mod open;
mod remove;
mod rename;
mod xattr;

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::{Capability, Want};
use kiln_core::path::{Last, Shape, Tree, Walker};

use super::context::Lookup;
use super::dentry::Dentry;
use super::mount::Path;

pub(crate) use crate::fs::regular::{MAX_SIZE, seek_contents};
pub(crate) use attr::{
    access, allocate, check_not_append_only, chmod, chown, flags, set_flags, set_times, stat,
    statfs, truncate, truncate_inode,
};
pub(crate) use create::{Node, create, link, symlink};
pub(crate) use mounting::{
    FsConfig, TreeFile, bind, change_propagation, check_bindable, copy_tree, may_mount, mount,
    move_mount, move_path, pivot_root, remount, set_propagation, sync_all, tree_on, unmount,
    unmount_all,
};
pub(crate) use open::{open, open_path};
pub(crate) use remove::{rmdir, unlink};
pub(crate) use rename::rename;
pub(crate) use xattr::{get_xattr, list_xattr, remove_xattr, set_xattr};

/// The file of that path; a link at the end is followed or not.
pub(crate) fn resolve(lookup: &Lookup<'_>, path: &[u8], follow: bool) -> Result<Path, Errno> {
    Walker::new(lookup, || Ok(lookup.start()), path)?.resolve(follow)
}

/// A walk that will stop at the last component.
fn walk<'a>(lookup: &'a Lookup<'_>, path: &'a [u8]) -> Result<Walker<'a, Lookup<'a>>, Errno> {
    Walker::new(lookup, || Ok(lookup.start()), path)
}

/// Goes to `path` as working directory: it must be a directory that may be searched.
pub(crate) fn directory(lookup: &Lookup<'_>, path: &[u8]) -> Result<Path, Errno> {
    let found = resolve(lookup, path, true)?;
    check_directory(lookup, &found)?;
    Ok(found)
}

/// Whether `path` may become a working directory.
pub(crate) fn check_directory(lookup: &Lookup<'_>, path: &Path) -> Result<(), Errno> {
    if lookup.shape(path) != Shape::Directory {
        return Err(Errno::ENOTDIR);
    }
    lookup.check(path.inode()?, Want::EXEC)
}

/// Makes `path` the root directory of whoever asks.
pub(crate) fn chroot(lookup: &Lookup<'_>, path: &[u8]) -> Result<(), Errno> {
    let found = directory(lookup, path)?;
    if !lookup.can(Capability::SysChroot) {
        return Err(Errno::EPERM);
    }
    lookup.fs.set_root(found);
    Ok(())
}

/// The text of the link `path`; an empty path means the link that is open as the base.
pub(crate) fn readlink(lookup: &Lookup<'_>, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let found = if path.is_empty() && lookup.base.is_some() {
        lookup.start()
    } else {
        resolve(lookup, path, false)?
    };
    if lookup.shape(&found) != Shape::Symlink {
        return Err(if path.is_empty() {
            Errno::ENOENT
        } else {
            Errno::EINVAL
        });
    }
    let inode = found.inode()?;
    found.mount.accessed(inode);
    match inode.ops().follow(inode)? {
        kiln_core::path::Link::Text(text) => Ok(text),
        kiln_core::path::Link::Jump(target) => target.display_from(&lookup.fs.root()),
    }
}

/// The name of the working directory; ENOENT when it was removed.
pub(crate) fn getcwd(lookup: &Lookup<'_>) -> Result<Vec<u8>, Errno> {
    let name = lookup.fs.cwd().name_from(&lookup.fs.root())?;
    if name.deleted {
        return Err(Errno::ENOENT);
    }
    if name.reachable {
        return Ok(name.bytes);
    }
    let mut bytes = super::memory::try_copy(b"(unreachable)")?;
    super::memory::append(&mut bytes, &name.bytes)?;
    Ok(bytes)
}

/// Whether names may be added to or removed from `dir`, which is locked.
fn may_change(lookup: &Lookup<'_>, dir: &Path) -> Result<(), Errno> {
    let inode = dir.inode()?;
    if inode.is_dead() {
        return Err(Errno::ENOENT);
    }
    lookup.check(inode, Want::WRITE | Want::EXEC)
}

/// The last component's dentry, looked up with the directory locked by the caller; negative when
/// there is none.
fn locked_child(walker: &Walker<'_, Lookup<'_>>) -> Result<Arc<Dentry>, Errno> {
    if walker.name().len() > kiln_core::path::NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    walker.node().dentry.child(walker.name(), true)
}

/// What a last component that isn't a name means to those who need one.
fn need_name(last: Last, otherwise: Errno) -> Result<(), Errno> {
    match last {
        Last::Name => Ok(()),
        _ => Err(otherwise),
    }
}
