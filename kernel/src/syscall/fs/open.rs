//! Opening and closing: `open`, `openat`, `openat2`, `creat`, `close`, `pipe`, `memfd_create`.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::flags::OpenFlags;

use super::{AT_FDCWD, Call, SysResult, base, descriptor_limit, install, not_empty, path_arg};
use crate::fs::context::Restrictions;
use crate::fs::{Lookup, identity, memfd, pipe, vfs};

fn open_at(
    call: &Call<'_>,
    dirfd: i32,
    addr: UserAddr,
    flags: OpenFlags,
    restrictions: Restrictions,
) -> SysResult {
    let path = not_empty(path_arg(call, addr)?)?;
    // Where the directory is the root, absolute paths begin there too.
    let from: &[u8] = if restrictions.in_root { b"" } else { &path };
    let base = base(call, dirfd, from)?;
    let (context, creds) = (call.fs, call.creds);
    let mut lookup = Lookup::new(context, identity(creds)).at(base);
    lookup.restrictions = restrictions;
    let file = vfs::open(&lookup, &path, flags)?;
    install(call, file, flags.has(abi::O_CLOEXEC))
}

pub(in crate::syscall) fn open(
    call: &mut Call<'_>,
    path: UserAddr,
    flags: u32,
    mode: u32,
) -> SysResult {
    openat(call, AT_FDCWD, path, flags, mode)
}

pub(in crate::syscall) fn creat(call: &mut Call<'_>, path: UserAddr, mode: u32) -> SysResult {
    let flags = abi::O_CREAT | abi::O_WRONLY | abi::O_TRUNC;
    openat(call, AT_FDCWD, path, flags, mode)
}

pub(in crate::syscall) fn openat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    flags: u32,
    mode: u32,
) -> SysResult {
    let flags = OpenFlags::new(flags, mode)?;
    open_at(call, dirfd, path, flags, Restrictions::default())
}

/// Bytes of `struct open_how` (linux/openat2.h).
const OPEN_HOW_SIZE: usize = 24;

pub(in crate::syscall) fn openat2(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    how: UserAddr,
    size: usize,
) -> SysResult {
    if size < OPEN_HOW_SIZE {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve] = call.space.read_sized::<3>(how, size)?;
    let known = abi::RESOLVE_NO_XDEV
        | abi::RESOLVE_NO_MAGICLINKS
        | abi::RESOLVE_NO_SYMLINKS
        | abi::RESOLVE_BENEATH
        | abi::RESOLVE_IN_ROOT
        | abi::RESOLVE_CACHED;
    let has = |flag: u32| resolve & u64::from(flag) != 0;
    if resolve & !u64::from(known) != 0 || (has(abi::RESOLVE_BENEATH) && has(abi::RESOLVE_IN_ROOT))
    {
        return Err(Errno::EINVAL);
    }
    if has(abi::RESOLVE_CACHED) {
        return Err(Errno::EAGAIN);
    }
    let restrictions = Restrictions {
        no_mounts: has(abi::RESOLVE_NO_XDEV),
        no_magic_links: has(abi::RESOLVE_NO_MAGICLINKS),
        no_links: has(abi::RESOLVE_NO_SYMLINKS),
        beneath: has(abi::RESOLVE_BENEATH),
        in_root: has(abi::RESOLVE_IN_ROOT),
    };
    open_at(
        call,
        dirfd,
        path,
        OpenFlags::strict(flags, mode)?,
        restrictions,
    )
}

pub(in crate::syscall) fn close(call: &mut Call<'_>, fd: i32) -> SysResult {
    call.files.close(fd).map(|()| 0)
}

pub(in crate::syscall) fn pipe(call: &mut Call<'_>, fds: UserAddr) -> SysResult {
    pipe2(call, fds, 0)
}

pub(in crate::syscall) fn pipe2(call: &mut Call<'_>, fds: UserAddr, flags: u32) -> SysResult {
    super::known_flags(flags, abi::O_CLOEXEC | abi::O_DIRECT | abi::O_NONBLOCK)?;
    let creds = call.creds;
    let (reader, writer) = pipe::create(&identity(creds), flags)?;
    let (files, limit) = (call.files, descriptor_limit(call));
    let cloexec = flags & abi::O_CLOEXEC != 0;
    let first = files.install(reader, cloexec, limit)?;
    let second = files.install(writer, cloexec, limit).inspect_err(|_| {
        let _ = files.close(first);
    })?;
    let pair = [first.cast_unsigned(), second.cast_unsigned()];
    let told = call.space.write_val(fds, &pair);
    if told.is_err() {
        let _ = files.close(second);
        let _ = files.close(first);
    }
    told.map(|()| 0)
}

pub(in crate::syscall) fn memfd_create(
    call: &mut Call<'_>,
    name: UserAddr,
    flags: u32,
) -> SysResult {
    let known = abi::MFD_CLOEXEC | abi::MFD_ALLOW_SEALING | abi::MFD_NOEXEC_SEAL | abi::MFD_EXEC;
    // Pages' sizes may stand with MFD_HUGETLB; there are no huge pages.
    let huge = flags & abi::MFD_HUGETLB != 0;
    let sizes = if huge {
        0x3F << 26 | abi::MFD_HUGETLB
    } else {
        0
    };
    super::known_flags(flags, known | sizes)?;
    let exec_flags = abi::MFD_NOEXEC_SEAL | abi::MFD_EXEC;
    if flags & exec_flags == exec_flags {
        return Err(Errno::EINVAL);
    }
    let name = call.space.copy_str(name, 249);
    let name = name.map_err(|error| match error {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        other => other,
    })?;
    if huge {
        return Err(Errno::ENOSYS);
    }
    let creds = call.creds;
    let file = memfd::create(&identity(creds), &name, flags)?;
    install(call, file, flags & abi::MFD_CLOEXEC != 0)
}
