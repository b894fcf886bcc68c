//! Mounting, moving the root, and bringing everything to disk.

use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::low32;

use super::{Call, SysResult, file, known_flags, named, with_lookup};
use crate::fs::memory::try_zeros;
use crate::fs::{MountFlags, vfs};
use crate::process::table;

/// A string argument that may be left out.
fn optional(call: &Call<'_>, addr: UserAddr) -> Result<alloc::vec::Vec<u8>, Errno> {
    if addr.is_null() {
        return Ok(alloc::vec::Vec::new());
    }
    call.space.copy_path(addr)
}

/// The mount's options: up to a page, which may end in the middle of memory.
fn options(call: &Call<'_>, addr: UserAddr) -> Result<alloc::vec::Vec<u8>, Errno> {
    if addr.is_null() {
        return Ok(alloc::vec::Vec::new());
    }
    let mut data = try_zeros(PAGE_SIZE)?;
    let got = call.space.copy_in_some(&mut data, addr);
    if got == 0 {
        return Err(Errno::EFAULT);
    }
    let end = data.iter().take(got).position(|byte| *byte == 0);
    data.truncate(end.unwrap_or(got));
    Ok(data)
}

/// Flags of a mount as `mount` has them, and whether they say how access times move.
fn mount_flags(flags: u32) -> (MountFlags, bool) {
    const ATIME: u32 =
        abi::MS_NOATIME | abi::MS_NODIRATIME | abi::MS_RELATIME | abi::MS_STRICTATIME;
    let mut wanted = MountFlags::from_bits_truncate(flags) | MountFlags::RELATIME;
    if wanted.contains(MountFlags::NO_ATIME) {
        wanted -= MountFlags::RELATIME;
    }
    if flags & abi::MS_STRICTATIME != 0 {
        wanted -= MountFlags::RELATIME | MountFlags::NO_ATIME;
    }
    (wanted, flags & ATIME != 0)
}

pub(in crate::syscall) fn mount(
    call: &mut Call<'_>,
    source: UserAddr,
    target: UserAddr,
    kind: UserAddr,
    flags: u64,
    data: UserAddr,
) -> SysResult {
    /// The top half of old programs' flags: it says nothing any more (`MS_MGC_VAL`).
    const MAGIC: u32 = 0xC0ED_0000;
    const MAGIC_MASK: u32 = 0xFFFF_0000;
    /// The kernel's own mounts (`SB_NOUSER`).
    const NO_USER: u32 = 1 << 31;
    const PROPAGATION: u32 = abi::MS_SHARED | abi::MS_PRIVATE | abi::MS_SLAVE | abi::MS_UNBINDABLE;
    let has_kind = !kind.is_null();
    let kind = optional(call, kind)?;
    let source = optional(call, source)?;
    let data = options(call, data)?;
    let target = call.space.copy_path(target)?;
    let mut flags = low32(flags);
    if flags & MAGIC_MASK == MAGIC {
        flags &= !MAGIC_MASK;
    }
    let (wanted, atime) = mount_flags(flags);
    with_lookup(call, None, |lookup| {
        if flags & NO_USER != 0 {
            vfs::resolve(lookup, &target, true)?;
            return Err(Errno::EINVAL);
        }
        let bind = flags & abi::MS_BIND != 0;
        if flags & abi::MS_REMOUNT != 0 {
            vfs::remount(lookup, &target, wanted, (bind, atime), &data)
        } else if bind {
            vfs::bind(lookup, &source, &target, flags & abi::MS_REC != 0)
        } else if flags & PROPAGATION != 0 {
            vfs::change_propagation(lookup, &target, flags)
        } else if flags & abi::MS_MOVE != 0 {
            vfs::move_mount(lookup, &source, &target)
        } else if has_kind {
            vfs::mount(lookup, &source, &target, &kind, wanted, &data)
        } else {
            vfs::resolve(lookup, &target, true)?;
            vfs::may_mount(lookup).and(Err(Errno::EINVAL))
        }
    })
    .map(|()| 0)
}

pub(in crate::syscall) fn umount2(call: &mut Call<'_>, target: UserAddr, flags: u32) -> SysResult {
    const KNOWN: u32 = 0xF;
    known_flags(flags, KNOWN)?;
    let target = call.space.copy_path(target)?;
    with_lookup(call, None, |lookup| vfs::unmount(lookup, &target, flags)).map(|()| 0)
}

pub(in crate::syscall) fn sync(call: &mut Call<'_>) -> SysResult {
    // It reports nothing; what fails is told by fsync, and at the end of the job.
    let _ = (call, vfs::sync_all());
    Ok(0)
}

pub(in crate::syscall) fn syncfs(call: &mut Call<'_>, fd: i32) -> SysResult {
    let file = file(call, fd)?;
    let written = crate::vm::writeback::sync_everything();
    let synced = file.inode.sb().ops().sync();
    written.and(synced).map(|()| 0)
}

pub(in crate::syscall) fn pivot_root(
    call: &mut Call<'_>,
    new: UserAddr,
    old: UserAddr,
) -> SysResult {
    with_lookup(call, None, vfs::may_mount)?;
    let directory = |addr| {
        let path = named(call, addr)?;
        match path.inode()?.kind() {
            FileType::Directory => Ok(path),
            _ => Err(Errno::ENOTDIR),
        }
    };
    let (new, old) = (directory(new)?, directory(old)?);
    let (from, to) = with_lookup(call, None, |lookup| vfs::pivot_root(lookup, &new, &old))?;
    for process in table::select(|_, _| true)? {
        for task in process.tasks()? {
            if let Ok(context) = task.fs() {
                context.replace(&from, &to);
            }
        }
    }
    Ok(0)
}
