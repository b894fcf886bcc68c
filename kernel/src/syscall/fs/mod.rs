//! Files: the system calls that work on descriptors and paths.
//!
//! | module | calls |
//! | --- | --- |
//! | [`handle`] | `name_to_handle_at`, `open_by_handle_at` |
//! | [`io`], [`vectored`] | `read`, `write` and their variants, `lseek`, `fsync`; `readv` and its kin |
//! | [`ioctl`] | `ioctl` |
//! | [`open`] | `open`, `close`, `pipe`, `memfd_create` |
//! | [`fd`] | `dup`, `fcntl`, `flock`, `close_range` |
//! | [`names`] | `mkdir`, `unlink`, `rename`, `link`, `readlink`, `getdents`, `getcwd`, … |
//! | [`attr`] | `stat`, `chmod`, `chown`, `utimensat`, `truncate`, `access`, `statfs` |
//! | [`aio`] | `io_submit` and its kin |
//! | [`rwf`] | flags of a single read or write |
//! | [`poll`], [`epoll`] | waiting for many files |
//! | [`splice`] | `sendfile`, `splice`, `tee`, `copy_file_range` |
//! | [`mounts`], [`mount_fd`] | `mount`, `umount2`, `pivot_root`, `sync`; `fsopen` and its kin |
//! | [`xattr`] | extended attributes |
//!
//! The work is `fs`'s; here arguments are taken apart and results put together, as Linux does.

pub(crate) mod aio;
pub(crate) mod attr;
pub(crate) mod epoll;
pub(crate) mod fd;
mod fiemap;
pub(crate) mod handle;
pub(crate) mod io;
pub(crate) mod ioctl;
pub(crate) mod mount_fd;
pub(crate) mod mounts;
pub(crate) mod names;
pub(crate) mod open;
mod owner;
pub(crate) mod poll;
mod rwf;
pub(crate) mod select;
pub(crate) mod splice;
pub(crate) mod vectored;
pub(crate) mod xattr;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::usize_of;
use kiln_core::path::nul_at;

use super::{Call, SysResult};
use crate::fs::{File, Lookup, Path, identity, vfs};

/// Relative paths begin in the working directory.
const AT_FDCWD: i32 = abi::AT_FDCWD;

/// The open file behind `fd`, not one opened with `O_PATH`.
pub(in crate::syscall) fn file(call: &Call<'_>, fd: i32) -> Result<Arc<File>, Errno> {
    call.files.get(fd)
}

/// A path argument: a short one is in here, so that it takes no memory from the heap.
enum PathArg {
    Short([u8; SHORT_PATH], usize),
    Long(Vec<u8>),
}

/// Bytes of a short path, its NUL included.
const SHORT_PATH: usize = 64;

impl Deref for PathArg {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes, len) => bytes.get(..*len).unwrap_or(&[]),
            Self::Long(bytes) => bytes,
        }
    }
}

/// A path argument.
fn path_arg(call: &Call<'_>, addr: UserAddr) -> Result<PathArg, Errno> {
    let space = call.space;
    let mut bytes = [0; SHORT_PATH];
    // Not across the end of a page, which the string itself may not reach.
    let room = SHORT_PATH.min(PAGE_SIZE - addr.page_offset());
    let got = space.copy_in_some(bytes.get_mut(..room).unwrap_or_default(), addr);
    let end = nul_at(bytes.get(..got).unwrap_or_default());
    match end {
        Some(end) => Ok(PathArg::Short(bytes, end)),
        None => space.copy_path(addr).map(PathArg::Long),
    }
}

/// ENOENT for an empty path, which is looked at before the directory it would be relative to.
fn not_empty(path: PathArg) -> Result<PathArg, Errno> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    Ok(path)
}

/// Where a path begins that is relative to `dirfd`.
fn base(call: &Call<'_>, dirfd: i32, path: &[u8]) -> Result<Option<Path>, Errno> {
    if dirfd == AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    let file = call.files.get_any(dirfd)?;
    Ok(Some(file.path.clone()))
}

/// Does `work` as the caller, paths being relative to `base`.
pub(in crate::syscall) fn with_lookup<T>(
    call: &Call<'_>,
    base: Option<Path>,
    work: impl FnOnce(&Lookup<'_>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let (context, creds) = (call.fs, call.creds);
    work(&Lookup::new(context, identity(creds)).at(base))
}

/// Copies the path at `addr` and does `work` with it, relative to `dirfd`.
pub(super) fn with_path<T>(
    call: &Call<'_>,
    dirfd: i32,
    addr: UserAddr,
    work: impl FnOnce(&Lookup<'_>, &[u8]) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let path = not_empty(path_arg(call, addr)?)?;
    let base = base(call, dirfd, &path)?;
    with_lookup(call, base, |lookup| work(lookup, &path))
}

/// The file that `dirfd`, `addr` and `AT_*` flags mean: with `AT_EMPTY_PATH` and an empty path, the
/// one behind `dirfd` itself.
fn resolve_at(call: &Call<'_>, dirfd: i32, addr: UserAddr, flags: u32) -> Result<Path, Errno> {
    if flags & abi::AT_EMPTY_PATH != 0 && is_empty(call, addr)? {
        return behind(call, dirfd);
    }
    let path = not_empty(path_arg(call, addr)?)?;
    let follow = flags & abi::AT_SYMLINK_NOFOLLOW == 0;
    let base = base(call, dirfd, &path)?;
    with_lookup(call, base, |lookup| vfs::resolve(lookup, &path, follow))
}

/// The file that a path names, links followed.
pub(super) fn named(call: &Call<'_>, addr: UserAddr) -> Result<Path, Errno> {
    resolve_at(call, AT_FDCWD, addr, 0)
}

/// Whether a path argument is null or empty, without copying what it is otherwise.
fn is_empty(call: &Call<'_>, addr: UserAddr) -> Result<bool, Errno> {
    Ok(addr.is_null() || call.space.read_val::<u8>(addr)? == 0)
}

/// The path behind a descriptor, `O_PATH` ones too.
fn behind(call: &Call<'_>, fd: i32) -> Result<Path, Errno> {
    if fd == AT_FDCWD {
        return Ok(call.fs.cwd());
    }
    Ok(call.files.get_any(fd)?.path.clone())
}

/// EINVAL for flags that aren't among `known`.
fn known_flags(flags: u32, known: u32) -> Result<(), Errno> {
    if flags & !known == 0 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// Descriptors the caller may have.
pub(in crate::syscall) fn descriptor_limit(call: &Call<'_>) -> usize {
    usize_of(call.task.process().limit(abi::RLIMIT_NOFILE))
}

/// Puts a new open file behind the lowest free descriptor.
pub(in crate::syscall) fn install(
    call: &Call<'_>,
    file: Arc<File>,
    close_on_exec: bool,
) -> SysResult {
    let limit = descriptor_limit(call);
    let fd = call.files.install(file, close_on_exec, limit)?;
    fd_result(fd)
}

pub(in crate::syscall) fn fd_result(fd: i32) -> SysResult {
    Ok(u64::from(fd.cast_unsigned()))
}
