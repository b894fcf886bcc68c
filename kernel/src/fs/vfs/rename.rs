//! Moving names: rename(2) and renameat2(2).

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType};
use kiln_core::fs::perm::{Capability, Want};
use kiln_core::path::{Last, Walker};

use super::remove::may_remove;
use super::{locked_child, may_change, need_name, walk};
use crate::fs::context::Lookup;
use crate::fs::dentry::Dentry;
use crate::fs::inode::{Inode, NewInode, Rename};
use crate::fs::mount::Path;
use crate::fs::notify;
use crate::sched::MutexGuard;

/// One side of a rename.
struct Side<'a> {
    walker: Walker<'a, Lookup<'a>>,
    dir: Path,
    last: Last,
}

impl<'a> Side<'a> {
    fn new(lookup: &'a Lookup<'_>, path: &'a [u8]) -> Result<Self, Errno> {
        let mut walker = walk(lookup, path)?;
        let last = walker.to_last()?;
        let dir = walker.node().clone();
        Ok(Self { walker, dir, last })
    }
}

/// Renames `old`, seen from `from`, to `new`, seen from `to`; `flags` are `RENAME_*`.
pub(crate) fn rename(
    from: &Lookup<'_>,
    old: &[u8],
    to: &Lookup<'_>,
    new: &[u8],
    flags: u32,
) -> Result<(), Errno> {
    let known = abi::RENAME_NOREPLACE | abi::RENAME_EXCHANGE | abi::RENAME_WHITEOUT;
    let whiteout = flags & abi::RENAME_WHITEOUT != 0;
    let exchange = flags & abi::RENAME_EXCHANGE != 0;
    let no_replace = flags & abi::RENAME_NOREPLACE != 0;
    if flags & !known != 0 || exchange && (no_replace || whiteout) {
        return Err(Errno::EINVAL);
    }
    if whiteout && !from.can(Capability::Mknod) {
        return Err(Errno::EPERM);
    }
    let (old, new) = (Side::new(from, old)?, Side::new(to, new)?);
    if !Arc::ptr_eq(&old.dir.mount, &new.dir.mount) {
        return Err(Errno::EXDEV);
    }
    need_name(old.last, Errno::EBUSY)?;
    let taken = if no_replace {
        Errno::EEXIST
    } else {
        Errno::EBUSY
    };
    need_name(new.last, taken)?;
    old.dir.mount.check_writable()?;
    let locks = Locked::new(&old.dir, &new.dir)?;
    let can_white_out = old.dir.inode()?.ops().leaves_whiteouts();
    let done = rename_locked(
        to,
        &old,
        &new,
        (exchange, no_replace, whiteout && !can_white_out),
    )
    .and_then(|moved| {
        if whiteout && moved {
            leave_whiteout(from, &old)
        } else {
            Ok(())
        }
    });
    drop(locks);
    done
}

/// Makes a whiteout, a device 0:0, of the name that something was moved away from.
fn leave_whiteout(lookup: &Lookup<'_>, old: &Side<'_>) -> Result<(), Errno> {
    let dir = old.dir.inode()?;
    let name = old.walker.name();
    let new = NewInode {
        kind: FileType::CharDevice,
        mode: 0,
        uid: lookup.who.uid,
        gid: lookup.who.gid,
        rdev: DeviceNumber::default(),
        target: b"",
    };
    let made = dir.ops().create(dir, name, &new)?;
    old.dir.dentry.remember(name, Some(made)).map(|_| ())
}

/// Both directories' locks, and the rename lock when they differ.
struct Locked<'a> {
    _first: MutexGuard<'a, ()>,
    _second: Option<MutexGuard<'a, ()>>,
    _rename: Option<MutexGuard<'a, ()>>,
}

impl<'a> Locked<'a> {
    fn new(old: &'a Path, new: &'a Path) -> Result<Self, Errno> {
        let (from, to) = (old.inode()?, new.inode()?);
        if Arc::ptr_eq(from, to) {
            return Ok(Self {
                _first: from.lock.lock(),
                _second: None,
                _rename: None,
            });
        }
        let rename = from.sb().rename.lock();
        let to_first = old.dentry.is_beneath(&new.dentry)
            || (!new.dentry.is_beneath(&old.dentry) && Arc::as_ptr(to) < Arc::as_ptr(from));
        let (first, second) = if to_first { (to, from) } else { (from, to) };
        Ok(Self {
            _first: first.lock.lock(),
            _second: Some(second.lock.lock()),
            _rename: Some(rename),
        })
    }
}

/// Answers whether anything moved.
fn rename_locked(
    lookup: &Lookup<'_>,
    old: &Side<'_>,
    new: &Side<'_>,
    (exchange, no_replace, impossible): (bool, bool, bool),
) -> Result<bool, Errno> {
    let moved = locked_child(&old.walker)?;
    let inode = Arc::clone(moved.inode().ok_or(Errno::ENOENT)?);
    let target = locked_child(&new.walker)?;
    let replaced = target.inode().map(Arc::clone);
    match replaced {
        Some(_) if no_replace => return Err(Errno::EEXIST),
        None if exchange => return Err(Errno::ENOENT),
        _ => {}
    }
    check_shapes(old, new, &inode, replaced.as_ref(), exchange)?;
    if new.dir.dentry.is_beneath(&moved) {
        return Err(Errno::EINVAL);
    }
    if old.dir.dentry.is_beneath(&target) {
        return Err(if exchange {
            Errno::EINVAL
        } else {
            Errno::ENOTEMPTY
        });
    }
    if replaced
        .as_ref()
        .is_some_and(|other| Arc::ptr_eq(other, &inode))
    {
        return Ok(false);
    }
    check_permissions(
        lookup,
        old,
        new,
        (&moved, &inode),
        (&target, replaced.as_ref()),
        exchange,
    )?;
    if impossible {
        return Err(Errno::EINVAL);
    }
    carry_out(
        old,
        new,
        (&moved, &inode),
        (&target, replaced.as_ref()),
        exchange,
    )?;
    Ok(true)
}

/// Slashes behind a name that isn't a directory's.
fn check_shapes(
    old: &Side<'_>,
    new: &Side<'_>,
    moved: &Inode,
    replaced: Option<&Arc<Inode>>,
    exchange: bool,
) -> Result<(), Errno> {
    let is_dir = |inode: &Inode| inode.kind() == FileType::Directory;
    if exchange && new.walker.trailing_slash() && !replaced.is_some_and(|inode| is_dir(inode)) {
        return Err(Errno::ENOTDIR);
    }
    let slash = old.walker.trailing_slash() || (!exchange && new.walker.trailing_slash());
    if !is_dir(moved) && slash {
        return Err(Errno::ENOTDIR);
    }
    Ok(())
}

/// A dentry with its inode; a target may have none.
type Moved<'a> = (&'a Arc<Dentry>, &'a Arc<Inode>);
type Target<'a> = (&'a Arc<Dentry>, Option<&'a Arc<Inode>>);

fn check_permissions(
    lookup: &Lookup<'_>,
    old: &Side<'_>,
    new: &Side<'_>,
    (moved, inode): Moved<'_>,
    (target, replaced): Target<'_>,
    exchange: bool,
) -> Result<(), Errno> {
    let is_dir = inode.kind() == FileType::Directory;
    may_remove(lookup, &old.dir, moved, inode, is_dir)?;
    match replaced {
        Some(other) => {
            let want_dir = if exchange {
                other.kind() == FileType::Directory
            } else {
                is_dir
            };
            may_remove(lookup, &new.dir, target, other, want_dir)?;
        }
        None => may_change(lookup, &new.dir)?,
    }
    // A directory's `..` changes with its parent.
    if old.dir.dentry.inode().map(|inode| inode.ino()) != new.dir.dentry.inode().map(|i| i.ino()) {
        if is_dir {
            lookup.check(inode, Want::WRITE)?;
        }
        if let Some(other) = replaced.filter(|_| exchange)
            && other.kind() == FileType::Directory
        {
            lookup.check(other, Want::WRITE)?;
        }
    }
    Ok(())
}

fn carry_out(
    old: &Side<'_>,
    new: &Side<'_>,
    (moved, inode): Moved<'_>,
    (target, replaced): Target<'_>,
    exchange: bool,
) -> Result<(), Errno> {
    let (from, to) = (old.dir.inode()?, new.dir.inode()?);
    let goes = replaced.filter(|other| !exchange && other.kind() == FileType::Directory);
    let guard = goes.map(|other| other.lock.lock());
    from.ops().rename(&Rename {
        from,
        from_name: old.walker.name(),
        moved: inode,
        to,
        to_name: new.walker.name(),
        replaced,
        exchange,
    })?;
    drop(guard);
    if exchange {
        // Each is out of its table before the other takes its place there.
        target.unhash();
        moved.relocate(&new.dir.dentry, new.walker.name())?;
        target.relocate(&old.dir.dentry, old.walker.name())?;
        notify::moved(
            (from, old.walker.name()),
            (to, new.walker.name()),
            inode,
            None,
        );
        if let Some(other) = replaced {
            notify::moved(
                (to, new.walker.name()),
                (from, old.walker.name()),
                other,
                None,
            );
        }
        return Ok(());
    }
    if goes.is_some() {
        target.prune();
    }
    target.unhash();
    moved.relocate(&new.dir.dentry, new.walker.name())?;
    notify::moved(
        (from, old.walker.name()),
        (to, new.walker.name()),
        inode,
        replaced,
    );
    Ok(())
}
