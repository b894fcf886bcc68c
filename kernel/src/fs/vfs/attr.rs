//! Attributes by path or inode: stat(2), chmod(2), chown(2), utimensat(2), truncate(2), access(2),
//! statfs(2).

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{
    APPEND_ONLY, DIR_FLAGS, EXTENTS, FileType, IMMUTABLE, JOURNAL_DATA, SetAttr, Timestamp,
};
use kiln_core::fs::perm::{Capability, Identity, Want};
use kiln_core::fs::stat::{Stat, StatFs};

use crate::fs::context::Lookup;
use crate::fs::file::File;
use crate::fs::inode::{Allocate, AllocateKind, Inode};
use crate::fs::lease;
use crate::fs::mount::{MountFlags, Path};
use crate::fs::regular::MAX_SIZE;
use crate::fs::{blockdev, clock};
use crate::fs::{limits, memfd, notify};

/// Has `tell` make of a file's attributes what `stat` tells: in place, since a copy is longer than the rest.
pub(crate) fn stat<T>(path: &Path, tell: impl FnOnce(&Stat<'_>) -> T) -> Result<T, Errno> {
    let inode = path.inode()?;
    let ops = inode.ops();
    ops.refresh(inode)?;
    let sb = inode.sb();
    let (size, has_flags) = (inode.size(), ops.flags().is_some());
    clock::told();
    Ok(inode.with_attr(|attr| {
        tell(&Stat {
            ino: inode.ino(),
            dev: sb.dev(),
            block_size: sb.block_size(),
            attr,
            size,
            mount_id: path.mount.id(),
            mount_root: path.is_mount_root(),
            has_flags,
        })
    }))
}

/// Whether `want` is granted, as access(2) asks.
pub(crate) fn access(who: &Identity<'_>, path: &Path, want: Want) -> Result<(), Errno> {
    let inode = path.inode()?;
    let kind = inode.kind();
    let no_exec = path.mount.has(MountFlags::NO_EXEC);
    if want.contains(Want::EXEC) && kind == FileType::Regular && no_exec {
        return Err(Errno::EACCES);
    }
    inode.check(who, want)?;
    let on_disk = matches!(
        kind,
        FileType::Regular | FileType::Directory | FileType::Symlink
    );
    if want.contains(Want::WRITE) && on_disk {
        path.mount.check_writable()?;
    }
    Ok(())
}

/// Carries out a change that `decide` makes of the attributes, or refuses.
pub(crate) fn set_attr_checked(
    path: &Path,
    decide: impl FnOnce(&Arc<Inode>) -> Result<SetAttr, Errno>,
) -> Result<(), Errno> {
    path.mount.check_writable()?;
    let inode = path.inode()?;
    let _guard = inode.lock.lock();
    let change = decide(inode)?;
    let mask = told_of(&change);
    inode.set_attr(change)?;
    notify::path(path, mask);
    Ok(())
}

/// What watchers are told of a change (`fsnotify_change` of Linux).
fn told_of(change: &SetAttr) -> u32 {
    let inode = change.mode.is_some() || change.uid.is_some() || change.gid.is_some();
    match (change.atime, change.mtime) {
        _ if inode => abi::IN_ATTRIB,
        (Some(_), Some(_)) => abi::IN_ATTRIB,
        (Some(_), None) => abi::IN_ACCESS,
        (None, Some(_)) => abi::IN_MODIFY,
        (None, None) => 0,
    }
}

/// chmod(2).
pub(crate) fn chmod(who: &Identity<'_>, path: &Path, mode: u32) -> Result<(), Errno> {
    if path.inode()?.kind() == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    set_attr_checked(path, |inode| inode.with_attr(|attr| who.chmod(attr, mode)))?;
    super::acl::follow_mode(path.inode()?)
}

/// `FS_IOC_GETFLAGS`: the flags that chattr(1) changes.
pub(crate) fn flags(path: &Path) -> Result<u32, Errno> {
    let inode = path.inode()?;
    let [shown, _] = may_have_flags(inode)?;
    Ok(inode.with_attr(|attr| attr.flags) & shown)
}

/// The flags that an inode may be asked for, and those that are then taken; ENOTTY.
fn may_have_flags(inode: &Inode) -> Result<[u32; 2], Errno> {
    let kind = inode.kind();
    let has_some = matches!(kind, FileType::Regular | FileType::Directory);
    let [mut known, taken] = inode
        .ops()
        .flags()
        .filter(|_| has_some)
        .ok_or(Errno::ENOTTY)?;
    if kind == FileType::Regular {
        known &= !DIR_FLAGS;
    }
    Ok([known, taken])
}

/// `FS_IOC_SETFLAGS`.
pub(crate) fn set_flags(who: &Identity<'_>, path: &Path, flags: u32) -> Result<(), Errno> {
    /// Those that only the privileged may change.
    const GUARDED: u32 = IMMUTABLE | APPEND_ONLY;
    let [known, taken] = may_have_flags(path.inode()?)?;
    set_attr_checked(path, |inode| {
        inode.with_attr(|attr| {
            if !who.owns(attr) {
                return Err(Errno::EPERM);
            }
            if (attr.flags ^ flags) & GUARDED != 0 && !who.can(Capability::LinuxImmutable) {
                return Err(Errno::EPERM);
            }
            // Nothing changes how the contents are kept, or written.
            let fixed = EXTENTS | JOURNAL_DATA;
            if flags & !known != 0 || (attr.flags ^ flags) & known & fixed != 0 {
                return Err(Errno::EOPNOTSUPP);
            }
            Ok(SetAttr {
                flags: Some(attr.flags & !taken | flags & taken),
                ..SetAttr::default()
            })
        })
    })
}

/// EPERM for changing a file's contents other than by appending to it, where that is all that may be
/// done.
pub(crate) fn check_not_append_only(inode: &Inode) -> Result<(), Errno> {
    if inode.with_attr(|attr| attr.has(APPEND_ONLY)) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// chown(2); an id of -1 leaves that one alone.
pub(crate) fn chown(who: &Identity<'_>, path: &Path, uid: u32, gid: u32) -> Result<(), Errno> {
    let given = |id: u32| (id != u32::MAX).then_some(id);
    set_attr_checked(path, |inode| {
        inode.with_attr(|attr| who.chown(attr, given(uid), given(gid)))
    })?;
    let inode = path.inode()?;
    if inode.kind() == FileType::Directory {
        return Ok(());
    }
    // As set-id bits do, what the file gives goes with its owner.
    let _guard = inode.lock.lock();
    inode.drop_capabilities()
}

/// Sets access and modification time; `None` leaves that one alone, `Some(None)` means now.
pub(crate) fn set_times(
    who: &Identity<'_>,
    path: &Path,
    atime: Option<Option<Timestamp>>,
    mtime: Option<Option<Timestamp>>,
) -> Result<(), Errno> {
    if atime.is_none() && mtime.is_none() {
        return Ok(());
    }
    let exact = (atime, mtime) != (Some(None), Some(None));
    set_attr_checked(path, |inode| {
        match inode.with_attr(|attr| who.may_set_times(attr, exact)) {
            // Who isn't the owner may by a list, too, what writing lets them.
            Err(Errno::EACCES) => inode.check(who, Want::WRITE)?,
            other => other?,
        }
        let (first, last) = inode.sb().ops().time_limits();
        // A time out of range becomes the nearest one, without its fraction.
        let kept = |time: Option<Timestamp>| match time {
            Some(time) if time.sec <= first => Timestamp {
                sec: first,
                nsec: 0,
            },
            Some(time) if time.sec >= last => Timestamp { sec: last, nsec: 0 },
            Some(time) => time,
            None => clock::now(),
        };
        Ok(SetAttr {
            atime: atime.map(kept),
            mtime: mtime.map(kept),
            ..SetAttr::default()
        })
    })
}

/// truncate(2) of a path.
pub(crate) fn truncate(lookup: &Lookup<'_>, path: &Path, size: u64) -> Result<(), Errno> {
    let inode = path.inode()?;
    match inode.kind() {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    path.mount.check_writable()?;
    lookup.check(inode, Want::WRITE)?;
    check_not_append_only(inode)?;
    inode.begin_writing()?;
    let done =
        lease::break_for(inode, true, false).and_then(|()| truncate_inode(lookup, path, size));
    inode.end_writing();
    done
}

/// Cuts or stretches a regular file that may be written to.
pub(crate) fn truncate_inode(lookup: &Lookup<'_>, path: &Path, size: u64) -> Result<(), Errno> {
    let inode = path.inode()?;
    if size > MAX_SIZE {
        return Err(Errno::EFBIG);
    }
    let _guard = inode.lock.lock();
    if size > inode.size() {
        limits::room(size - 1)?;
    }
    memfd::check_resize(inode, size)?;
    inode.drop_capabilities()?;
    let mode = inode.with_attr(|attr| lookup.who.mode_after_write(attr));
    inode.set_attr(SetAttr {
        size: Some(size),
        mode,
        ..SetAttr::default()
    })?;
    notify::path(path, abi::IN_MODIFY);
    Ok(())
}

fn inode_is_immutable(file: &File) -> bool {
    file.inode.with_attr(|attr| attr.has(IMMUTABLE))
}

/// fallocate(2).
pub(crate) fn allocate(file: &File, mode: u32, offset: i64, len: i64) -> Result<(), Errno> {
    /// `FALLOC_FL_*` (linux/falloc.h).
    const KEEP_SIZE: u32 = 1;
    const PUNCH_HOLE: u32 = 2;
    const COLLAPSE_RANGE: u32 = 8;
    const ZERO_RANGE: u32 = 0x10;
    const INSERT_RANGE: u32 = 0x20;
    const KNOWN: u32 = 0x7F;
    let (Ok(offset), Ok(len @ 1..)) = (u64::try_from(offset), u64::try_from(len)) else {
        return Err(Errno::EINVAL);
    };
    let kind = match mode & !KEEP_SIZE {
        0 => AllocateKind::Reserve,
        PUNCH_HOLE if mode & KEEP_SIZE != 0 => AllocateKind::Punch,
        ZERO_RANGE => AllocateKind::Zero,
        COLLAPSE_RANGE if mode == COLLAPSE_RANGE => AllocateKind::Collapse,
        INSERT_RANGE if mode == INSERT_RANGE => AllocateKind::Insert,
        // Each of these goes alone.
        other if other & !KNOWN == 0 && other & (COLLAPSE_RANGE | INSERT_RANGE) != 0 => {
            return Err(Errno::EINVAL);
        }
        _ => return Err(Errno::EOPNOTSUPP),
    };
    file.check_writable()?;
    match file.inode.kind() {
        FileType::Regular | FileType::BlockDevice => {}
        FileType::Directory => return Err(Errno::EISDIR),
        FileType::Fifo => return Err(Errno::ESPIPE),
        _ => return Err(Errno::ENODEV),
    }
    if inode_is_immutable(file) {
        return Err(Errno::EPERM);
    }
    if kind != AllocateKind::Reserve {
        check_not_append_only(&file.inode)?;
    }
    let end = offset.checked_add(len).filter(|end| *end <= MAX_SIZE);
    let end = end.ok_or(Errno::EFBIG)?;
    if mode & KEEP_SIZE == 0 {
        limits::room(end - 1)?;
    }
    let request = Allocate {
        offset,
        len,
        kind,
        keep_size: mode & KEEP_SIZE != 0,
    };
    let inode = &file.inode;
    if inode.kind() == FileType::BlockDevice {
        return blockdev::allocate(file, &request);
    }
    let _guard = inode.lock.lock();
    if kind == AllocateKind::Reserve {
        memfd::check_resize(inode, end.max(inode.size()))?;
    } else {
        memfd::check_write(file, end)?;
    }
    inode.remove_privs()?;
    inode.ops().allocate(inode, &request)?;
    inode.modified();
    notify::file(file, abi::IN_MODIFY);
    Ok(())
}

/// What `statfs` tells of the file system that shows `path`.
pub(crate) fn statfs(path: &Path) -> Result<StatFs, Errno> {
    /// `ST_RELATIME`, which differs from `MS_RELATIME` (linux/statfs.h).
    const ST_RELATIME: u32 = 0x1000;
    /// The same of `ST_NOSYMFOLLOW`.
    const ST_NOSYMFOLLOW: u32 = 0x2000;
    let mut stat = path.mount.sb().statfs()?;
    let flags = path.mount.flags();
    stat.flags = (flags - (MountFlags::RELATIME | MountFlags::NO_SYMFOLLOW)).bits();
    if flags.contains(MountFlags::NO_SYMFOLLOW) {
        stat.flags |= ST_NOSYMFOLLOW;
    }
    if flags.contains(MountFlags::RELATIME) {
        stat.flags |= ST_RELATIME;
    }
    let told = MountFlags::READ_ONLY | MountFlags::SYNC | MountFlags::MAND;
    stat.flags |= (path.mount.sb().flags() & told).bits();
    Ok(stat)
}
