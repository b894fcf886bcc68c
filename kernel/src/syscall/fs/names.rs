//! Names: directories made, listed and left; files named, renamed and removed; links; where the
//! process stands.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType, MODE_BITS};
use kiln_core::fs::dirent::{Layout, Writer};
use kiln_core::num::u64_of;
use kiln_core::path::PATH_MAX;

use super::{
    AT_FDCWD, Call, SysResult, base, file, known_flags, not_empty, path_arg, resolve_at,
    with_lookup, with_path,
};
use crate::fs::vfs::{self, Node};
use crate::fs::{Lookup, identity};

pub(in crate::syscall) fn mkdir(call: &mut Call<'_>, path: UserAddr, mode: u32) -> SysResult {
    mkdirat(call, AT_FDCWD, path, mode)
}

pub(in crate::syscall) fn mkdirat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    mode: u32,
) -> SysResult {
    // A directory's set-id bits can't be given here.
    let node = Node::new(FileType::Directory, mode & 0o1777);
    with_path(call, dirfd, path, |lookup, path| {
        vfs::create(lookup, path, &node)
    })
    .map(|_| 0)
}

pub(in crate::syscall) fn mknod(
    call: &mut Call<'_>,
    path: UserAddr,
    mode: u32,
    dev: u32,
) -> SysResult {
    mknodat(call, AT_FDCWD, path, mode, dev)
}

pub(in crate::syscall) fn mknodat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    mode: u32,
    dev: u32,
) -> SysResult {
    let kind = match mode & abi::S_IFMT {
        0 => FileType::Regular,
        abi::S_IFDIR => return Err(Errno::EPERM),
        abi::S_IFLNK => return Err(Errno::EINVAL),
        format => FileType::from_mode(format).ok_or(Errno::EINVAL)?,
    };
    let mut node = Node::new(kind, mode & MODE_BITS);
    if kind.is_device() {
        node.rdev = DeviceNumber::decode(dev);
    }
    with_path(call, dirfd, path, |lookup, path| {
        vfs::create(lookup, path, &node)
    })
    .map(|_| 0)
}

pub(in crate::syscall) fn rmdir(call: &mut Call<'_>, path: UserAddr) -> SysResult {
    unlinkat(call, AT_FDCWD, path, abi::AT_REMOVEDIR)
}

pub(in crate::syscall) fn unlink(call: &mut Call<'_>, path: UserAddr) -> SysResult {
    unlinkat(call, AT_FDCWD, path, 0)
}

pub(in crate::syscall) fn unlinkat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    flags: u32,
) -> SysResult {
    known_flags(flags, abi::AT_REMOVEDIR)?;
    with_path(call, dirfd, path, |lookup, path| {
        if flags & abi::AT_REMOVEDIR != 0 {
            vfs::rmdir(lookup, path)
        } else {
            vfs::unlink(lookup, path)
        }
    })
    .map(|()| 0)
}

pub(in crate::syscall) fn symlink(
    call: &mut Call<'_>,
    target: UserAddr,
    path: UserAddr,
) -> SysResult {
    symlinkat(call, target, AT_FDCWD, path)
}

pub(in crate::syscall) fn symlinkat(
    call: &mut Call<'_>,
    target: UserAddr,
    dirfd: i32,
    path: UserAddr,
) -> SysResult {
    let target = path_arg(call, target)?;
    with_path(call, dirfd, path, |lookup, path| {
        vfs::symlink(lookup, &target, path)
    })
    .map(|()| 0)
}

pub(in crate::syscall) fn link(call: &mut Call<'_>, old: UserAddr, new: UserAddr) -> SysResult {
    linkat(call, AT_FDCWD, old, AT_FDCWD, new, 0)
}

pub(in crate::syscall) fn linkat(
    call: &mut Call<'_>,
    old_dir: i32,
    old: UserAddr,
    new_dir: i32,
    new: UserAddr,
    flags: u32,
) -> SysResult {
    known_flags(flags, abi::AT_SYMLINK_FOLLOW | abi::AT_EMPTY_PATH)?;
    let creds = call.creds;
    if flags & abi::AT_EMPTY_PATH != 0
        && path_arg(call, old)?.is_empty()
        && !identity(creds).can(kiln_core::fs::perm::Capability::DacReadSearch)
    {
        return Err(Errno::ENOENT);
    }
    let follow = if flags & abi::AT_SYMLINK_FOLLOW == 0 {
        abi::AT_SYMLINK_NOFOLLOW
    } else {
        0
    };
    let found = resolve_at(call, old_dir, old, flags & abi::AT_EMPTY_PATH | follow)?;
    with_path(call, new_dir, new, |lookup, path| {
        vfs::link(lookup, &found, path)
    })
    .map(|()| 0)
}

pub(in crate::syscall) fn rename(call: &mut Call<'_>, old: UserAddr, new: UserAddr) -> SysResult {
    renameat2(call, AT_FDCWD, old, AT_FDCWD, new, 0)
}

pub(in crate::syscall) fn renameat(
    call: &mut Call<'_>,
    old_dir: i32,
    old: UserAddr,
    new_dir: i32,
    new: UserAddr,
) -> SysResult {
    renameat2(call, old_dir, old, new_dir, new, 0)
}

pub(in crate::syscall) fn renameat2(
    call: &mut Call<'_>,
    old_dir: i32,
    old: UserAddr,
    new_dir: i32,
    new: UserAddr,
    flags: u32,
) -> SysResult {
    const KNOWN: u32 = abi::RENAME_NOREPLACE | abi::RENAME_EXCHANGE | abi::RENAME_WHITEOUT;
    known_flags(flags, KNOWN)?;
    // Both names are read first, but the first one's directory is found before the second is judged.
    let (old, new) = (path_arg(call, old), path_arg(call, new));
    let old = not_empty(old?)?;
    let from = base(call, old_dir, &old)?;
    if let Some(from) = &from
        && from.inode()?.kind() != FileType::Directory
    {
        return Err(Errno::ENOTDIR);
    }
    let new = not_empty(new?)?;
    let to = base(call, new_dir, &new)?;
    let (context, creds) = (call.fs, call.creds);
    let from = Lookup::new(context, identity(creds)).at(from);
    let to = Lookup::new(context, identity(creds)).at(to);
    vfs::rename(&from, &old, &to, &new, flags).map(|()| 0)
}

pub(in crate::syscall) fn readlink(
    call: &mut Call<'_>,
    path: UserAddr,
    buf: UserAddr,
    size: usize,
) -> SysResult {
    readlinkat(call, AT_FDCWD, path, buf, size)
}

pub(in crate::syscall) fn readlinkat(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    buf: UserAddr,
    size: usize,
) -> SysResult {
    // The size is an int.
    let size = kiln_core::num::low32(u64_of(size));
    if size == 0 || i32::try_from(size).is_err() {
        return Err(Errno::EINVAL);
    }
    let size = kiln_core::num::usize_of32(size);
    // An empty path is the link behind the descriptor, if there is one.
    let path = path_arg(call, path)?;
    if path.is_empty() && dirfd == AT_FDCWD {
        return Err(Errno::ENOENT);
    }
    let base = base(call, dirfd, &path)?;
    let text = with_lookup(call, base, |lookup| vfs::readlink(lookup, &path))?;
    let shown = text.get(..size).unwrap_or(&text);
    call.space.copy_out(buf, shown)?;
    Ok(u64_of(shown.len()))
}

fn list(call: &Call<'_>, fd: i32, buf: UserAddr, size: u32, layout: Layout) -> SysResult {
    let file = file(call, fd)?;
    // Whatever the program offers, this much at a time is enough.
    let size = i32::try_from(size).map_or(0, i32::unsigned_abs);
    let room = kiln_core::num::usize_of32(size).min(32 * 1024);
    let mut writer = Writer::new(layout, room);
    let mut pos = file.position();
    let (mut next_pos, mut full) = (*pos, false);
    file.ops.readdir(&file, *pos, &mut |entry, next| {
        let fits = writer.push(entry, next);
        if fits {
            next_pos = next;
        } else {
            full = true;
        }
        fits
    })?;
    crate::fs::notify::file(&file, kiln_core::abi::IN_ACCESS);
    if full && writer.bytes().is_empty() {
        return Err(Errno::EINVAL);
    }
    call.space.copy_out(buf, writer.bytes())?;
    *pos = next_pos;
    Ok(u64_of(writer.bytes().len()))
}

pub(in crate::syscall) fn getdents(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    size: u32,
) -> SysResult {
    list(call, fd, buf, size, Layout::Old)
}

pub(in crate::syscall) fn getdents64(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    size: u32,
) -> SysResult {
    list(call, fd, buf, size, Layout::Wide)
}

pub(in crate::syscall) fn getcwd(call: &mut Call<'_>, buf: UserAddr, size: usize) -> SysResult {
    let mut name = with_lookup(call, None, vfs::getcwd)?;
    name.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    name.push(0);
    if name.len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if name.len() > size {
        return Err(Errno::ERANGE);
    }
    call.space.copy_out(buf, &name)?;
    Ok(u64_of(name.len()))
}

pub(in crate::syscall) fn chdir(call: &mut Call<'_>, path: UserAddr) -> SysResult {
    let found = with_path(call, AT_FDCWD, path, vfs::directory)?;
    call.fs.set_cwd(found);
    Ok(0)
}

pub(in crate::syscall) fn fchdir(call: &mut Call<'_>, fd: i32) -> SysResult {
    let path = call.files.get_any(fd)?.path.clone();
    with_lookup(call, None, |lookup| vfs::check_directory(lookup, &path))?;
    call.fs.set_cwd(path);
    Ok(0)
}

pub(in crate::syscall) fn chroot(call: &mut Call<'_>, path: UserAddr) -> SysResult {
    with_path(call, AT_FDCWD, path, vfs::chroot).map(|()| 0)
}

pub(in crate::syscall) fn umask(call: &mut Call<'_>, mask: u32) -> SysResult {
    Ok(u64::from(call.fs.set_umask(mask)))
}
