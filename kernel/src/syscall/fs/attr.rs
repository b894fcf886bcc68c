//! Attributes: the `stat`, `chmod`, `chown`, `utime`, `truncate`, `access` and `statfs` families.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{FileType, Timestamp};
use kiln_core::fs::perm::Want;

use super::{AT_FDCWD, Call, SysResult, behind, file, known_flags, resolve_at, with_lookup};
use crate::fs::{Path, identity, real_identity, vfs};

/// Flags of the `*at` calls that say how a path is walked.
const WALK_FLAGS: u32 = abi::AT_EMPTY_PATH | abi::AT_SYMLINK_NOFOLLOW | abi::AT_NO_AUTOMOUNT;

fn put_stat(call: &Call<'_>, path: &Path, to: UserAddr) -> SysResult {
    let stat = vfs::stat(path, |stat| stat.to_stat())?;
    call.space.copy_out(to, &stat)?;
    Ok(0)
}

pub(in crate::syscall) fn stat(call: &mut Call<'_>, path: UserAddr, to: UserAddr) -> SysResult {
    let path = resolve_at(call, AT_FDCWD, path, 0)?;
    put_stat(call, &path, to)
}

pub(in crate::syscall) fn lstat(call: &mut Call<'_>, path: UserAddr, to: UserAddr) -> SysResult {
    let path = resolve_at(call, AT_FDCWD, path, abi::AT_SYMLINK_NOFOLLOW)?;
    put_stat(call, &path, to)
}

pub(in crate::syscall) fn fstat(call: &mut Call<'_>, fd: i32, to: UserAddr) -> SysResult {
    let file = call.files.get_any(fd)?;
    put_stat(call, &file.path, to)
}

pub(in crate::syscall) fn newfstatat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    to: UserAddr,
    flags: u32,
) -> SysResult {
    // How fresh the answer must be may be said here too, and means nothing.
    known_flags(flags, WALK_FLAGS | abi::AT_STATX_SYNC_TYPE)?;
    let path = resolve_at(call, dirfd, path, flags)?;
    put_stat(call, &path, to)
}

pub(in crate::syscall) fn statx(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    flags: u32,
    mask: u32,
    to: UserAddr,
) -> SysResult {
    let sync = abi::AT_STATX_SYNC_TYPE;
    if mask & abi::STATX__RESERVED != 0 || flags & sync == sync {
        return Err(Errno::EINVAL);
    }
    known_flags(flags, WALK_FLAGS | sync)?;
    let path = resolve_at(call, dirfd, path, flags)?;
    let statx = vfs::stat(&path, |stat| stat.to_statx(mask))?;
    call.space.copy_out(to, &statx)?;
    Ok(0)
}

pub(in crate::syscall) fn access(call: &mut Call<'_>, path: UserAddr, mode: u32) -> SysResult {
    faccessat2(call, AT_FDCWD, path, mode, 0)
}

pub(in crate::syscall) fn faccessat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    mode: u32,
) -> SysResult {
    faccessat2(call, dirfd, path, mode, 0)
}

pub(in crate::syscall) fn faccessat2(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    mode: u32,
    flags: u32,
) -> SysResult {
    let want = Want::from_bits(mode).ok_or(Errno::EINVAL)?;
    let known = abi::AT_EACCESS | abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH;
    known_flags(flags, known)?;
    let creds = call.creds;
    let who = if flags & abi::AT_EACCESS != 0 {
        identity(creds)
    } else {
        real_identity(creds)
    };
    let path = resolve_as(call, &who, dirfd, path, flags)?;
    vfs::access(&who, &path, want).map(|()| 0)
}

/// As [`resolve_at`], with other ids than the caller's for files.
fn resolve_as(
    call: &Call<'_>,
    who: &kiln_core::fs::perm::Identity<'_>,
    dirfd: i32,
    addr: UserAddr,
    flags: u32,
) -> Result<Path, Errno> {
    let path = super::path_arg(call, addr)?;
    if path.is_empty() && flags & abi::AT_EMPTY_PATH != 0 {
        return behind(call, dirfd);
    }
    let path = super::not_empty(path)?;
    let base = super::base(call, dirfd, &path)?;
    let context = call.fs;
    let lookup = crate::fs::Lookup::new(context, *who).at(base);
    vfs::resolve(&lookup, &path, flags & abi::AT_SYMLINK_NOFOLLOW == 0)
}

pub(in crate::syscall) fn chmod(call: &mut Call<'_>, path: UserAddr, mode: u32) -> SysResult {
    fchmodat(call, AT_FDCWD, path, mode)
}

pub(in crate::syscall) fn fchmodat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    mode: u32,
) -> SysResult {
    let path = resolve_at(call, dirfd, path, 0)?;
    change_mode(call, &path, mode)
}

pub(in crate::syscall) fn fchmod(call: &mut Call<'_>, fd: i32, mode: u32) -> SysResult {
    let file = file(call, fd)?;
    if file.is_event() {
        return Err(Errno::EOPNOTSUPP);
    }
    change_mode(call, &file.path, mode)
}

fn change_mode(call: &Call<'_>, path: &Path, mode: u32) -> SysResult {
    let creds = call.creds;
    vfs::chmod(&identity(creds), path, mode).map(|()| 0)
}

pub(in crate::syscall) fn chown(
    call: &mut Call<'_>,
    path: UserAddr,
    uid: u32,
    gid: u32,
) -> SysResult {
    fchownat(call, AT_FDCWD, path, uid, gid, 0)
}

pub(in crate::syscall) fn lchown(
    call: &mut Call<'_>,
    path: UserAddr,
    uid: u32,
    gid: u32,
) -> SysResult {
    fchownat(call, AT_FDCWD, path, uid, gid, abi::AT_SYMLINK_NOFOLLOW)
}

pub(in crate::syscall) fn fchownat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    uid: u32,
    gid: u32,
    flags: u32,
) -> SysResult {
    known_flags(flags, abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH)?;
    let path = resolve_at(call, dirfd, path, flags)?;
    change_owner(call, &path, uid, gid)
}

pub(in crate::syscall) fn fchown(call: &mut Call<'_>, fd: i32, uid: u32, gid: u32) -> SysResult {
    let file = file(call, fd)?;
    if file.is_event() {
        return Err(Errno::EOPNOTSUPP);
    }
    change_owner(call, &file.path, uid, gid)
}

fn change_owner(call: &Call<'_>, path: &Path, uid: u32, gid: u32) -> SysResult {
    let creds = call.creds;
    vfs::chown(&identity(creds), path, uid, gid).map(|()| 0)
}

/// A time to set: `None` leaves it alone, `Some(None)` is now.
type Change = Option<Option<Timestamp>>;

fn set_times(call: &Call<'_>, path: &Path, times: [Change; 2]) -> SysResult {
    let creds = call.creds;
    let [atime, mtime] = times;
    vfs::set_times(&identity(creds), path, atime, mtime).map(|()| 0)
}

/// Two times, from `[seconds, fraction]` pairs; a fraction of `limit` or more is no time.
fn exact(pairs: [i64; 4], limit: i64, unit: u32) -> Result<[Change; 2], Errno> {
    let time = |sec: i64, fraction: i64| {
        let fraction = u32::try_from(fraction).map_err(|_| Errno::EINVAL)?;
        if i64::from(fraction) >= limit {
            return Err(Errno::EINVAL);
        }
        let nsec = fraction * unit;
        Ok(Some(Some(Timestamp { sec, nsec })))
    };
    let [first, first_fraction, second, second_fraction] = pairs;
    Ok([time(first, first_fraction)?, time(second, second_fraction)?])
}

const NOW: [Change; 2] = [Some(None), Some(None)];

pub(in crate::syscall) fn utimensat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    times: UserAddr,
    flags: u32,
) -> SysResult {
    // What isn't a time is told after what isn't a file.
    let changes = if times.is_null() {
        Ok(NOW)
    } else {
        nanosecond_times(call.space.read_val::<[u64; 4]>(times)?)
    };
    if changes == Ok([None, None]) {
        return Ok(0);
    }
    if path.is_null() && flags & abi::AT_EMPTY_PATH == 0 {
        if flags != 0 || dirfd == AT_FDCWD {
            return Err(if dirfd == AT_FDCWD {
                Errno::EFAULT
            } else {
                Errno::EINVAL
            });
        }
        let file = file(call, dirfd)?;
        return set_times(call, &file.path, changes?);
    }
    known_flags(flags, abi::AT_SYMLINK_NOFOLLOW | abi::AT_EMPTY_PATH)?;
    let path = resolve_at(call, dirfd, path, flags)?;
    set_times(call, &path, changes?)
}

fn nanosecond_times(raw: [u64; 4]) -> Result<[Change; 2], Errno> {
    const UTIME_NOW: u64 = (1 << 30) - 1;
    const UTIME_OMIT: u64 = (1 << 30) - 2;
    let time = |sec: u64, nsec: u64| match nsec {
        UTIME_NOW => Ok(Some(None)),
        UTIME_OMIT => Ok(None),
        nsec if nsec < 1_000_000_000 => Ok(Some(Some(Timestamp {
            sec: sec.cast_signed(),
            nsec: kiln_core::num::low32(nsec),
        }))),
        _ => Err(Errno::EINVAL),
    };
    let [atime, atime_nsec, mtime, mtime_nsec] = raw;
    Ok([time(atime, atime_nsec)?, time(mtime, mtime_nsec)?])
}

pub(in crate::syscall) fn utime(call: &mut Call<'_>, path: UserAddr, times: UserAddr) -> SysResult {
    let changes = if times.is_null() {
        NOW
    } else {
        let [atime, mtime] = call.space.read_val::<[u64; 2]>(times)?;
        exact([atime.cast_signed(), 0, mtime.cast_signed(), 0], 1, 0)?
    };
    let path = resolve_at(call, AT_FDCWD, path, 0)?;
    set_times(call, &path, changes)
}

pub(in crate::syscall) fn utimes(
    call: &mut Call<'_>,
    path: UserAddr,
    times: UserAddr,
) -> SysResult {
    futimesat(call, AT_FDCWD, path, times)
}

pub(in crate::syscall) fn futimesat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    times: UserAddr,
) -> SysResult {
    let changes = if times.is_null() {
        NOW
    } else {
        let raw = call.space.read_val::<[u64; 4]>(times)?;
        exact(raw.map(u64::cast_signed), 1_000_000, 1000)?
    };
    let path = if path.is_null() && dirfd != AT_FDCWD {
        file(call, dirfd)?.path.clone()
    } else {
        resolve_at(call, dirfd, path, 0)?
    };
    set_times(call, &path, changes)
}

fn new_size(size: i64) -> Result<u64, Errno> {
    u64::try_from(size).map_err(|_| Errno::EINVAL)
}

pub(in crate::syscall) fn truncate(call: &mut Call<'_>, path: UserAddr, size: i64) -> SysResult {
    let size = new_size(size)?;
    let path = resolve_at(call, AT_FDCWD, path, 0)?;
    with_lookup(call, None, |lookup| vfs::truncate(lookup, &path, size)).map(|()| 0)
}

pub(in crate::syscall) fn ftruncate(call: &mut Call<'_>, fd: i32, size: i64) -> SysResult {
    let size = new_size(size)?;
    let file = file(call, fd)?;
    let regular = file.inode.kind() == FileType::Regular && !file.ops.ignores_seek();
    if !regular || !file.writable() {
        return Err(Errno::EINVAL);
    }
    vfs::check_not_append_only(&file.inode)?;
    with_lookup(call, None, |lookup| {
        vfs::truncate_inode(lookup, &file.path, size)
    })
    .map(|()| 0)
}

fn put_statfs(call: &Call<'_>, path: &Path, to: UserAddr) -> SysResult {
    let statfs = vfs::statfs(path)?.to_statfs();
    call.space.copy_out(to, &statfs)?;
    Ok(0)
}

pub(in crate::syscall) fn statfs(call: &mut Call<'_>, path: UserAddr, to: UserAddr) -> SysResult {
    let path = resolve_at(call, AT_FDCWD, path, 0)?;
    put_statfs(call, &path, to)
}

pub(in crate::syscall) fn fstatfs(call: &mut Call<'_>, fd: i32, to: UserAddr) -> SysResult {
    let path = call.files.get_any(fd)?.path.clone();
    put_statfs(call, &path, to)
}
