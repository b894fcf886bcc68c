//! Removing names: unlink(2) and rmdir(2).

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::path::{Last, Walker};

use super::{locked_child, may_change, need_name, walk};
use crate::fs::context::Lookup;
use crate::fs::dentry::Dentry;
use crate::fs::inode::Inode;
use crate::fs::mount::Path;
use crate::fs::notify;

/// Removes a name of something that isn't a directory.
pub(crate) fn unlink(lookup: &Lookup<'_>, path: &[u8]) -> Result<(), Errno> {
    let mut walker = walk(lookup, path)?;
    need_name(walker.to_last()?, Errno::EISDIR)?;
    let dir = walker.node().clone();
    dir.mount.check_writable()?;
    let parent = dir.inode()?;
    let guard = parent.lock.lock();
    let (dentry, victim) = present(&walker)?;
    if walker.trailing_slash() {
        return Err(match victim.kind() {
            FileType::Directory => Errno::EISDIR,
            _ => Errno::ENOTDIR,
        });
    }
    may_remove(lookup, &dir, &dentry, &victim, false)?;
    parent.ops().unlink(parent, walker.name(), &victim)?;
    dentry.unhash();
    notify::links(&victim);
    drop(guard);
    // Dropped outside the directory's lock: the file's end may take long.
    drop(dentry);
    notify::name(parent, walker.name(), &victim, abi::IN_DELETE);
    drop(victim);
    Ok(())
}

/// Removes an empty directory.
pub(crate) fn rmdir(lookup: &Lookup<'_>, path: &[u8]) -> Result<(), Errno> {
    let mut walker = walk(lookup, path)?;
    match walker.to_last()? {
        Last::Name => {}
        Last::Dot => return Err(Errno::EINVAL),
        Last::DotDot => return Err(Errno::ENOTEMPTY),
        Last::Root => return Err(Errno::EBUSY),
    }
    let dir = walker.node().clone();
    dir.mount.check_writable()?;
    let parent = dir.inode()?;
    let _guard = parent.lock.lock();
    let (dentry, victim) = present(&walker)?;
    may_remove(lookup, &dir, &dentry, &victim, true)?;
    let _inner = victim.lock.lock();
    parent.ops().rmdir(parent, walker.name(), &victim)?;
    dentry.prune();
    dentry.unhash();
    drop(dentry);
    notify::name(parent, walker.name(), &victim, abi::IN_DELETE);
    Ok(())
}

fn present(walker: &Walker<'_, Lookup<'_>>) -> Result<(Arc<Dentry>, Arc<Inode>), Errno> {
    let dentry = locked_child(walker)?;
    let inode = Arc::clone(dentry.inode().ok_or(Errno::ENOENT)?);
    Ok((dentry, inode))
}

/// Whether a name may be taken out of `dir`.
pub(super) fn may_remove(
    lookup: &Lookup<'_>,
    dir: &Path,
    dentry: &Arc<Dentry>,
    victim: &Inode,
    want_dir: bool,
) -> Result<(), Errno> {
    may_change(lookup, dir)?;
    let victim = victim.attr();
    let parent = dir.inode()?;
    parent.with_attr(|dir| lookup.who.may_remove(dir, &victim, want_dir))?;
    if dentry.is_mountpoint() {
        return Err(Errno::EBUSY);
    }
    Ok(())
}
