//! Mounts put elsewhere: `MS_MOVE`, move_mount(2), pivot_root(2).

use alloc::sync::Arc;
use kiln_core::errno::Errno;

use super::{check_place, is_dir, may_mount, propagate};
use crate::fs::context::Lookup;
use crate::fs::mount::{Mount, Namespace, Path};
use crate::fs::vfs::resolve;

/// Moves the mount at `source` to `target`.
pub(crate) fn move_mount(lookup: &Lookup<'_>, source: &[u8], target: &[u8]) -> Result<(), Errno> {
    let place = resolve(lookup, target, true)?;
    may_mount(lookup)?;
    if source.is_empty() {
        return Err(Errno::EINVAL);
    }
    let from = resolve(lookup, source, true)?;
    move_path(lookup.fs.namespace(), &from, place)
}

/// Moves the mount whose root `from` is to `place`. It may hang nowhere yet.
pub(crate) fn move_path(namespace: &Namespace, from: &Path, place: Path) -> Result<(), Errno> {
    let _guard = namespace.change();
    check_place(namespace, &place)?;
    if !from.is_mount_root()
        || namespace.is_root(&from.mount)
        || is_dir(&from.dentry) != is_dir(&place.dentry)
    {
        return Err(Errno::EINVAL);
    }
    match from.mount.place() {
        // Whoever shares what it is mounted on would have to see it go.
        Some(on) if on.mount.propagation().shared != 0 => return Err(Errno::EINVAL),
        // Beneath the top of a tree that hangs nowhere.
        Some(_) if !namespace.contains(&from.mount) => return Err(Errno::EINVAL),
        _ => {}
    }
    // There would have to be copies of what can't be copied.
    let unbindable = |mount: &Arc<Mount>| mount.propagation().unbindable;
    if place.mount.propagation().shared != 0 && namespace.tree(&from.mount)?.iter().any(unbindable)
    {
        return Err(Errno::EINVAL);
    }
    let mut at = Some(place.clone());
    while let Some(above) = at {
        if Arc::ptr_eq(&above.mount, &from.mount) {
            return Err(Errno::ELOOP);
        }
        at = above.mount.place();
    }
    // A copy that hung nowhere is as new here as one that was never seen.
    let moved = from.mount.place().is_some();
    propagate::mount(namespace, &from.mount, place, moved)
}

/// Whether `path` lies at or beneath `root`, across mounts.
fn is_reachable(path: &Path, root: &Path) -> bool {
    let mut at = path.clone();
    while !Arc::ptr_eq(&at.mount, &root.mount) {
        match at.mount.place() {
            Some(place) => at = place,
            None => return false,
        }
    }
    at.dentry.is_beneath(&root.dentry)
}

/// Makes `new` the root, and shows the old one at `old`, beneath it. Answers both roots: whoever
/// stands in the old one is to be moved to the new one.
pub(crate) fn pivot_root(
    lookup: &Lookup<'_>,
    new: &Path,
    old: &Path,
) -> Result<(Path, Path), Errno> {
    let namespace = lookup.fs.namespace();
    let root = lookup.fs.root();
    let _guard = namespace.change();
    check_pivot(namespace, &root, new, old)?;
    old.dentry.pin()?;
    match root.mount.place() {
        Some(place) => namespace.put(&new.mount, place),
        None => namespace.set_root(&new.mount),
    }
    namespace.put(&root.mount, old.clone());
    Ok((root, new.clone()))
}

fn check_pivot(namespace: &Namespace, root: &Path, new: &Path, old: &Path) -> Result<(), Errno> {
    let is_shared = |mount: &Mount| mount.propagation().shared != 0;
    let on_shared = |mount: &Mount| mount.place().is_some_and(|on| is_shared(&on.mount));
    if is_shared(&old.mount)
        || on_shared(&new.mount)
        || on_shared(&root.mount)
        || !namespace.contains(&root.mount)
        || !namespace.contains(&new.mount)
    {
        return Err(Errno::EINVAL);
    }
    if !new.dentry.is_hashed() || !old.dentry.is_hashed() {
        return Err(Errno::ENOENT);
    }
    if Arc::ptr_eq(&new.mount, &root.mount) || Arc::ptr_eq(&old.mount, &root.mount) {
        return Err(Errno::EBUSY);
    }
    if !root.is_mount_root()
        || !new.is_mount_root()
        || !is_reachable(old, new)
        || !is_reachable(new, root)
    {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
