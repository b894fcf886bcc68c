//! Another program in the place of the caller's: execve(2), execveat(2).

use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;

use super::{Call, SysResult};
use crate::process::exec::{self, ExecCall};

pub(super) fn execve(
    call: &mut Call<'_>,
    path: UserAddr,
    argv: UserAddr,
    envp: UserAddr,
) -> SysResult {
    let path = call.task.space()?.copy_path(path)?;
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
    let mut path = call.task.space()?.copy_path(path)?;
    let base_itself = path.is_empty();
    if base_itself && flags & abi::AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    if flags & !(abi::AT_EMPTY_PATH | abi::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut base = None;
    if !path.starts_with(b"/") && dirfd != abi::AT_FDCWD {
        base = Some(call.task.files()?.get_any(dirfd)?.path.clone());
        let tail = if base_itself {
            alloc::format!("/dev/fd/{dirfd}")
        } else {
            alloc::format!("/dev/fd/{dirfd}/")
        };
        let mut shown = tail.into_bytes();
        shown.try_reserve(path.len()).map_err(|_| Errno::ENOMEM)?;
        if base_itself {
            path = shown;
        } else {
            // The name relative to the directory is looked up; the whole is what scripts get.
            return exec_at(call, path, base, flags, argv, envp);
        }
    }
    let follow = flags & abi::AT_SYMLINK_NOFOLLOW == 0;
    let exec_call = ExecCall {
        path,
        base,
        base_itself,
        follow,
        argv,
        envp,
    };
    exec::exec(call.task, call.regs, &exec_call)?;
    Ok(0)
}

fn exec_at(
    call: &mut Call<'_>,
    path: Vec<u8>,
    base: Option<crate::fs::Path>,
    flags: u32,
    argv: UserAddr,
    envp: UserAddr,
) -> SysResult {
    let follow = flags & abi::AT_SYMLINK_NOFOLLOW == 0;
    let exec_call = ExecCall {
        path,
        base,
        base_itself: false,
        follow,
        argv,
        envp,
    };
    exec::exec(call.task, call.regs, &exec_call)?;
    Ok(0)
}
