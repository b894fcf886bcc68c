//! umount2(2).

use alloc::sync::Arc;
use kiln_core::errno::Errno;

use super::{may_mount, propagate, reconfigure};
use crate::fs::context::Lookup;
use crate::fs::mount::{Mount, MountFlags, Namespace, Path};
use crate::fs::superblock;
use crate::fs::vfs::resolve;

/// What `umount2` knows (linux/fs.h).
const MNT_FORCE: u32 = 1;
const MNT_DETACH: u32 = 2;
const MNT_EXPIRE: u32 = 4;
const UMOUNT_NOFOLLOW: u32 = 8;
const KNOWN: u32 = MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW;

/// Handles of a mount that nobody uses: the namespace's and the caller's.
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
    let mut gone = namespace.tree(mount)?;
    let tree = gone.len();
    // Innermost first: what is left has nothing on it.
    for at in (0..tree).rev() {
        if let Some(inner) = gone.get(at).cloned() {
            propagate::companions(namespace, &inner, &mut gone)?;
        }
    }
    let companions = gone.get(tree..).unwrap_or_default();
    for companion in companions {
        // What covers it refers to it, too.
        if !detached && is_in_use(companion, namespace.children(companion)?.len()) {
            return Err(Errno::EBUSY);
        }
    }
    for companion in companions {
        propagate::leave(namespace, companion);
    }
    namespace.dissolve(mount);
    Ok(())
}

/// Whether something is open in a mount, stands in it, or is mounted on it.
fn is_busy(namespace: &Namespace, mount: &Arc<Mount>) -> Result<bool, Errno> {
    Ok(!namespace.children(mount)?.is_empty() || is_in_use(mount, 0))
}

fn is_in_use(mount: &Arc<Mount>, covers: usize) -> bool {
    Arc::strong_count(mount) > IDLE + covers
}
