//! Another program in the place of the caller's: execve(2), execveat(2).

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;

use super::{Call, SysResult};
use crate::process::exec::{self, Base, ExecCall};

pub(super) fn execve(
    call: &mut Call<'_>,
    path: UserAddr,
    argv: UserAddr,
    envp: UserAddr,
) -> SysResult {
    let path = call.space.copy_path(path)?;
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let exec_call = ExecCall {
        path,
        base: None,
        base_itself: false,
        follow: true,
        argv,
        envp,
    };
    exec::exec(call.task, call.regs, &exec_call)?;
    Ok(0)
}

pub(super) fn execveat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    argv: UserAddr,
    envp: UserAddr,
    flags: u32,
) -> SysResult {
    let path = call.space.copy_path(path)?;
    let base_itself = path.is_empty();
    if base_itself && flags & abi::AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    if flags & !(abi::AT_EMPTY_PATH | abi::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let base = match path.starts_with(b"/") || dirfd == abi::AT_FDCWD {
        true => None,
        false => Some(base_of(call, dirfd, &path)?),
    };
    let exec_call = ExecCall {
        path,
        base,
        base_itself,
        follow: flags & abi::AT_SYMLINK_NOFOLLOW == 0,
        argv,
        envp,
    };
    exec::exec(call.task, call.regs, &exec_call)?;
    Ok(0)
}

/// Where a path begins that is relative to a descriptor.
fn base_of(call: &Call<'_>, dirfd: i32, path: &[u8]) -> Result<Base, Errno> {
    let files = call.files;
    let mut shown = alloc::format!("/dev/fd/{dirfd}").into_bytes();
    shown
        .try_reserve(1 + path.len())
        .map_err(|_| Errno::ENOMEM)?;
    if !path.is_empty() {
        shown.push(b'/');
        shown.extend_from_slice(path);
    }
    Ok(Base {
        path: files.get_any(dirfd)?.path.clone(),
        shown,
        closes: files.is_close_on_exec(dirfd)?,
    })
}
