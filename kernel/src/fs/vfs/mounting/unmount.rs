//! umount2(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;

use super::{may_mount, propagate, reconfigure};
use crate::fs::context::Lookup;
use crate::fs::mount::{GOES, Index, Mount, MountFlags, Namespace, Path};
use crate::fs::superblock;
use crate::fs::vfs::resolve;

/// What `umount2` knows (linux/fs.h).
const MNT_FORCE: u32 = 1;
const MNT_DETACH: u32 = 2;
const MNT_EXPIRE: u32 = 4;
const UMOUNT_NOFOLLOW: u32 = 8;
const KNOWN: u32 = MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW;

/// Handles of a mount that nobody uses: the namespace's and the caller's, or its index's.
const IDLE: usize = 2;

/// Takes the mount at `target` away.
pub(crate) fn unmount(lookup: &Lookup<'_>, target: &[u8], flags: u32) -> Result<(), Errno> {
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let Path { mount, dentry } = resolve(lookup, target, flags & UMOUNT_NOFOLLOW == 0)?;
    may_mount(lookup)?;
    let namespace = lookup.fs.namespace();
    if !Arc::ptr_eq(&dentry, mount.root()) || !namespace.contains(&mount) {
        return Err(Errno::EINVAL);
    }
    drop(dentry);
    let guard = namespace.change();
    let is_own_root = Arc::ptr_eq(&lookup.fs.root().mount, &mount);
    if flags & MNT_EXPIRE != 0 {
        if is_own_root || flags & (MNT_FORCE | MNT_DETACH) != 0 {
            return Err(Errno::EINVAL);
        }
        if is_busy(namespace, &mount)? {
            return Err(Errno::EBUSY);
        }
        if !mount.expire() {
            return Err(Errno::EAGAIN);
        }
    }
    if flags & MNT_DETACH != 0 {
        if namespace.is_root(&mount) {
            return Err(Errno::EINVAL);
        }
        take_away(namespace, &mount, true)?;
    } else if is_own_root {
        // The root can't be left, but it can be made safe to leave.
        let flags = mount.sb().flags() | MountFlags::READ_ONLY;
        return reconfigure(namespace, &mount, flags, b"");
    } else {
        if namespace.is_root(&mount) || is_busy(namespace, &mount)? {
            return Err(Errno::EBUSY);
        }
        take_away(namespace, &mount, false)?;
    }
    drop(mount);
    drop(guard);
    superblock::settle()
}

/// Takes a mount away with all that is on it. Whoever uses what goes with that keeps it from going, unless `detached`.
fn take_away(namespace: &Namespace, mount: &Arc<Mount>, detached: bool) -> Result<(), Errno> {
    let index = Index::new(namespace)?;
    let taken = choose(&index, mount, detached).and_then(|gone| namespace.remove(&index, &gone));
    index.settle();
    taken
}

/// What is to go, marked so.
fn choose(index: &Index, mount: &Arc<Mount>, detached: bool) -> Result<Vec<usize>, Errno> {
    let mut gone = index.tree(mount)?;
    index.of(&gone).for_each(|mount| mount.is_to_be(GOES, true));
    let tree = gone.len();
    propagate::companions(index, &mut gone)?;
    // What covers it refers to it, too.
    let in_use = |mount: &Arc<Mount>| is_in_use(mount, index.children(mount).count());
    let companions = gone.get(tree..).unwrap_or_default();
    if !detached && index.of(companions).any(in_use) {
        return Err(Errno::EBUSY);
    }
    Ok(gone)
}

/// Whether something is open in a mount, stands in it, or is mounted on it.
fn is_busy(namespace: &Namespace, mount: &Arc<Mount>) -> Result<bool, Errno> {
    Ok(!namespace.children(mount)?.is_empty() || is_in_use(mount, 0))
}

fn is_in_use(mount: &Arc<Mount>, covers: usize) -> bool {
    Arc::strong_count(mount) > IDLE + covers
}
