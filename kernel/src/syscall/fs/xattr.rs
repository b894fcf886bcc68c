//! Extended attributes: `setxattr`, `getxattr`, `listxattr`, `removexattr`, each by path, by link
//! and by descriptor.

use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::xattr::{NAME_MAX, SIZE_MAX, SetMode};
use kiln_core::num::u64_of;

use super::{AT_FDCWD, Call, SysResult, file, resolve_at};
use crate::fs::memory::try_zeros;
use crate::fs::{Path, identity, vfs};

fn name_arg(call: &Call<'_>, addr: UserAddr) -> Result<Vec<u8>, Errno> {
    let name = call.space.copy_str(addr, NAME_MAX);
    match name {
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        other => other,
    }
}

fn followed(call: &Call<'_>, path: UserAddr) -> Result<Path, Errno> {
    resolve_at(call, AT_FDCWD, path, 0)
}

fn itself(call: &Call<'_>, path: UserAddr) -> Result<Path, Errno> {
    resolve_at(call, AT_FDCWD, path, abi::AT_SYMLINK_NOFOLLOW)
}

fn open_file(call: &Call<'_>, fd: i32) -> Result<Path, Errno> {
    Ok(file(call, fd)?.path.clone())
}

fn set(
    call: &Call<'_>,
    find: impl FnOnce() -> Result<Path, Errno>,
    (name, value, size, flags): (UserAddr, UserAddr, usize, u32),
) -> SysResult {
    const BOTH: u32 = abi::XATTR_CREATE | abi::XATTR_REPLACE;
    let mode = match flags {
        0 => SetMode::Any,
        abi::XATTR_CREATE | BOTH => SetMode::Create,
        abi::XATTR_REPLACE => SetMode::Replace,
        _ => return Err(Errno::EINVAL),
    };
    let name = name_arg(call, name)?;
    if size > SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let mut bytes = try_zeros(size)?;
    call.space.copy_in(&mut bytes, value)?;
    let (creds, path) = (call.creds, find()?);
    if flags == BOTH {
        // What must be new must be there, too: either way it's an error.
        vfs::get_xattr(&identity(creds), &path, &name)?;
    }
    vfs::set_xattr(&identity(creds), &path, &name, &bytes, mode).map(|()| 0)
}

/// Copies what was found to the program's buffer; of a size of 0, tells the length.
fn give(call: &Call<'_>, bytes: &[u8], to: UserAddr, size: usize) -> SysResult {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        call.space.copy_out(to, bytes)?;
    }
    Ok(u64_of(bytes.len()))
}

fn get(
    call: &Call<'_>,
    find: impl FnOnce() -> Result<Path, Errno>,
    (name, to, size): (UserAddr, UserAddr, usize),
) -> SysResult {
    let name = name_arg(call, name)?;
    let creds = call.creds;
    let value = vfs::get_xattr(&identity(creds), &find()?, &name)?;
    give(call, &value, to, size)
}

fn list(
    call: &Call<'_>,
    find: impl FnOnce() -> Result<Path, Errno>,
    (to, size): (UserAddr, usize),
) -> SysResult {
    let creds = call.creds;
    let names = vfs::list_xattr(&identity(creds), &find()?)?;
    give(call, &names, to, size)
}

fn remove(
    call: &Call<'_>,
    find: impl FnOnce() -> Result<Path, Errno>,
    name: UserAddr,
) -> SysResult {
    let name = name_arg(call, name)?;
    let creds = call.creds;
    vfs::remove_xattr(&identity(creds), &find()?, &name).map(|()| 0)
}

/// The three forms of each call: by path, by the link itself, by descriptor.
macro_rules! forms {
    ($work:ident($($arg:ident: $type:ty),*) as $args:expr, $by_path:ident, $by_link:ident, $by_fd:ident) => {
        pub(in crate::syscall) fn $by_path(
            call: &mut Call<'_>, path: UserAddr, $($arg: $type),*
        ) -> SysResult {
            $work(call, || followed(call, path), $args)
        }
        pub(in crate::syscall) fn $by_link(
            call: &mut Call<'_>, path: UserAddr, $($arg: $type),*
        ) -> SysResult {
            $work(call, || itself(call, path), $args)
        }
        pub(in crate::syscall) fn $by_fd(
            call: &mut Call<'_>, fd: i32, $($arg: $type),*
        ) -> SysResult {
            $work(call, || open_file(call, fd), $args)
        }
    };
}

forms!(set(name: UserAddr, value: UserAddr, size: usize, flags: u32) as (name, value, size, flags),
    setxattr, lsetxattr, fsetxattr);
forms!(get(name: UserAddr, to: UserAddr, size: usize) as (name, to, size),
    getxattr, lgetxattr, fgetxattr);
forms!(list(to: UserAddr, size: usize) as (to, size), listxattr, llistxattr, flistxattr);
forms!(remove(name: UserAddr) as name, removexattr, lremovexattr, fremovexattr);
