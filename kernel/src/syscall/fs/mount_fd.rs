//! Mounts by descriptor: `fsopen`, `fsconfig`, `fsmount`, `fspick`, `open_tree`, `move_mount`,
//! `mount_setattr`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::num::low32;

use super::{
    Call, SysResult, behind, file, install, is_empty, known_flags, resolve_at, with_lookup,
};
use crate::fs::memory::try_arc;
use crate::fs::vfs::{self, FsConfig, TreeFile};
use crate::fs::{File, FileOps, MountFlags, Path, anon, superblock};

/// Longest key or string of an option, its NUL left out (`fsconfig` of Linux's fs/fsopen.c).
const STRING_MAX: usize = 255;

/// Commands of `fsconfig` (`FSCONFIG_*`, linux/mount.h).
const SET_FLAG: u32 = 0;
const SET_STRING: u32 = 1;
const SET_BINARY: u32 = 2;
const SET_PATH: u32 = 3;
const SET_PATH_EMPTY: u32 = 4;
const SET_FD: u32 = 5;
const CREATE: u32 = 6;
const RECONFIGURE: u32 = 7;

/// The configuration behind a descriptor.
fn with_config<T>(
    file: &Arc<File>,
    work: impl FnOnce(&FsConfig) -> Result<T, Errno>,
) -> Result<T, Errno> {
    work(file.ops_as().ok_or(Errno::EINVAL)?)
}

fn install_config(call: &Call<'_>, config: FsConfig, cloexec: bool) -> SysResult {
    let file = anon::event_file(b"[fscontext]", try_arc(config)?, 0)?;
    install(call, file, cloexec)
}

/// A string of an option: EINVAL when it is too long.
fn string(call: &Call<'_>, addr: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
    let text = call.space.copy_str(addr, max);
    text.map_err(|error| match error {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        other => other,
    })
}

pub(in crate::syscall) fn fsopen(call: &mut Call<'_>, name: UserAddr, flags: u32) -> SysResult {
    with_lookup(call, None, vfs::may_mount)?;
    known_flags(flags, abi::FSOPEN_CLOEXEC)?;
    let kind = superblock::find_type(&string(call, name, PAGE_SIZE - 1)?)?;
    let cloexec = flags & abi::FSOPEN_CLOEXEC != 0;
    install_config(call, FsConfig::new(kind, None), cloexec)
}

pub(in crate::syscall) fn fspick(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    flags: u32,
) -> SysResult {
    with_lookup(call, None, vfs::may_mount)?;
    let known = abi::FSPICK_CLOEXEC
        | abi::FSPICK_SYMLINK_NOFOLLOW
        | abi::FSPICK_NO_AUTOMOUNT
        | abi::FSPICK_EMPTY_PATH;
    known_flags(flags, known)?;
    let mut walk = 0;
    if flags & abi::FSPICK_SYMLINK_NOFOLLOW != 0 {
        walk |= abi::AT_SYMLINK_NOFOLLOW;
    }
    if flags & abi::FSPICK_EMPTY_PATH != 0 {
        walk |= abi::AT_EMPTY_PATH;
    }
    let path = resolve_at(call, dirfd, path, walk)?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    let kind = superblock::find_type(path.mount.sb().kind().as_bytes())?;
    let cloexec = flags & abi::FSPICK_CLOEXEC != 0;
    install_config(call, FsConfig::new(kind, Some(path)), cloexec)
}

/// Which arguments a command of `fsconfig` takes.
fn check_command(command: u32, key: UserAddr, value: UserAddr, aux: i32) -> Result<(), Errno> {
    let (key, value, aux) = (!key.is_null(), !value.is_null(), aux != 0);
    let fits = match command {
        SET_FLAG => key && !value && !aux,
        SET_STRING => key && value && !aux,
        SET_BINARY => key && value && aux,
        SET_PATH | SET_PATH_EMPTY => key && value,
        SET_FD => key && !value,
        CREATE | RECONFIGURE => !key && !value && !aux,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    fits.then_some(()).ok_or(Errno::EINVAL)
}

pub(in crate::syscall) fn fsconfig(
    call: &mut Call<'_>,
    fd: i32,
    command: u32,
    key: UserAddr,
    value: UserAddr,
    aux: i32,
) -> SysResult {
    if fd < 0 {
        return Err(Errno::EINVAL);
    }
    check_command(command, key, value, aux)?;
    let file = file(call, fd)?;
    with_config(&file, |config| {
        if key.is_null() {
            return with_lookup(call, None, |lookup| {
                if command == CREATE {
                    config.create(lookup)
                } else {
                    config.reconfigure(lookup)
                }
            });
        }
        let key = string(call, key, STRING_MAX)?;
        match command {
            SET_FLAG => config.set(&key, None),
            SET_STRING => config.set(&key, Some(&string(call, value, STRING_MAX)?)),
            // No type here has an option of another kind.
            _ => Err(Errno::EINVAL),
        }
    })
    .map(|()| 0)
}

/// `MOUNT_ATTR_*` as a mount's flags: those set, and those cleared.
fn attributes(set: u64, clear: u64) -> Result<(MountFlags, MountFlags), Errno> {
    const PLAIN: [(u32, MountFlags); 6] = [
        (abi::MOUNT_ATTR_RDONLY, MountFlags::READ_ONLY),
        (abi::MOUNT_ATTR_NOSUID, MountFlags::NO_SUID),
        (abi::MOUNT_ATTR_NODEV, MountFlags::NO_DEV),
        (abi::MOUNT_ATTR_NOEXEC, MountFlags::NO_EXEC),
        (abi::MOUNT_ATTR_NODIRATIME, MountFlags::NO_DIR_ATIME),
        (abi::MOUNT_ATTR_NOSYMFOLLOW, MountFlags::NO_SYMFOLLOW),
    ];
    let known = PLAIN
        .iter()
        .fold(abi::MOUNT_ATTR__ATIME, |all, (bit, _)| all | bit);
    if (set | clear) & !u64::from(known) != 0 {
        return Err(Errno::EINVAL);
    }
    let (set, clear) = (low32(set), low32(clear));
    let mut flags = (MountFlags::empty(), MountFlags::empty());
    for (bit, flag) in PLAIN {
        flags.0.set(flag, set & bit != 0);
        flags.1.set(flag, clear & bit != 0);
    }
    Ok(flags)
}

/// How access times move by `MOUNT_ATTR__ATIME`'s bits.
fn atime(bits: u32) -> Result<MountFlags, Errno> {
    match bits & abi::MOUNT_ATTR__ATIME {
        abi::MOUNT_ATTR_RELATIME => Ok(MountFlags::RELATIME),
        abi::MOUNT_ATTR_NOATIME => Ok(MountFlags::NO_ATIME),
        abi::MOUNT_ATTR_STRICTATIME => Ok(MountFlags::empty()),
        _ => Err(Errno::EINVAL),
    }
}

/// A descriptor of a mount that hangs nowhere.
fn install_tree(call: &Call<'_>, path: Path, cloexec: bool) -> SysResult {
    let context = call.fs;
    let ops: Arc<dyn FileOps> = try_arc(TreeFile::new(context.namespace()))?;
    install(call, File::new(path, ops, path_only())?, cloexec)
}

const fn path_only() -> OpenFlags {
    OpenFlags {
        raw: abi::O_PATH,
        mode: 0,
    }
}

pub(in crate::syscall) fn fsmount(
    call: &mut Call<'_>,
    fd: i32,
    flags: u32,
    attrs: u32,
) -> SysResult {
    with_lookup(call, None, vfs::may_mount)?;
    known_flags(flags, abi::FSMOUNT_CLOEXEC)?;
    let (wanted, _) = attributes(u64::from(attrs), 0)?;
    let wanted = wanted | atime(attrs)?;
    let file = file(call, fd)?;
    let context = call.fs;
    let path = with_config(&file, |config| config.mount(context.namespace(), wanted))?;
    install_tree(call, path, flags & abi::FSMOUNT_CLOEXEC != 0)
}

pub(in crate::syscall) fn open_tree(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    flags: u32,
) -> SysResult {
    let walk = abi::AT_EMPTY_PATH | abi::AT_NO_AUTOMOUNT | abi::AT_SYMLINK_NOFOLLOW;
    let own = abi::AT_RECURSIVE | abi::OPEN_TREE_CLONE | abi::OPEN_TREE_CLOEXEC;
    known_flags(flags, walk | own)?;
    let clone = flags & abi::OPEN_TREE_CLONE != 0;
    let recursive = flags & abi::AT_RECURSIVE != 0;
    if recursive && !clone {
        return Err(Errno::EINVAL);
    }
    if clone {
        with_lookup(call, None, vfs::may_mount)?;
    }
    // Unlike calls that tell of files, this one wants an empty path spelled out.
    if path.is_null() {
        return Err(Errno::EFAULT);
    }
    let path = resolve_at(call, dirfd, path, flags & walk)?;
    let cloexec = flags & abi::OPEN_TREE_CLOEXEC != 0;
    if !clone {
        let ops = crate::fs::file::path_ops();
        return install(call, File::new(path, ops, path_only())?, cloexec);
    }
    let context = call.fs;
    let namespace = context.namespace();
    let guard = namespace.change();
    vfs::check_bindable(namespace, &path)?;
    let copy = vfs::copy_tree(namespace, &path, recursive)?;
    drop(guard);
    install_tree(call, Path::root_of(&copy), cloexec)
}

/// A path of `move_mount`, by its own flags.
fn end_of_move(
    call: &Call<'_>,
    (dirfd, addr): (i32, UserAddr),
    follows: bool,
    may_be_empty: bool,
) -> Result<Path, Errno> {
    if may_be_empty && is_empty(call, addr)? {
        return behind(call, dirfd);
    }
    let flags = if follows { 0 } else { abi::AT_SYMLINK_NOFOLLOW };
    resolve_at(call, dirfd, addr, flags)
}

pub(in crate::syscall) fn move_mount(
    call: &mut Call<'_>,
    from_dir: i32,
    from: UserAddr,
    to_dir: i32,
    to: UserAddr,
    flags: u32,
) -> SysResult {
    with_lookup(call, None, vfs::may_mount)?;
    let known = abi::MOVE_MOUNT_F_SYMLINKS
        | abi::MOVE_MOUNT_F_AUTOMOUNTS
        | abi::MOVE_MOUNT_F_EMPTY_PATH
        | abi::MOVE_MOUNT_T_SYMLINKS
        | abi::MOVE_MOUNT_T_AUTOMOUNTS
        | abi::MOVE_MOUNT_T_EMPTY_PATH;
    known_flags(flags, known)?;
    let has = |flag: u32| flags & flag != 0;
    let from = end_of_move(
        call,
        (from_dir, from),
        has(abi::MOVE_MOUNT_F_SYMLINKS),
        has(abi::MOVE_MOUNT_F_EMPTY_PATH),
    )?;
    let to = end_of_move(
        call,
        (to_dir, to),
        has(abi::MOVE_MOUNT_T_SYMLINKS),
        has(abi::MOVE_MOUNT_T_EMPTY_PATH),
    )?;
    let context = call.fs;
    let to = context.namespace().descend(to);
    vfs::move_path(context.namespace(), &from, to).map(|()| 0)
}

/// Bytes of `struct mount_attr` (linux/mount.h).
const MOUNT_ATTR_SIZE: usize = 32;

pub(in crate::syscall) fn mount_setattr(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    flags: u32,
    attr: UserAddr,
    size: usize,
) -> SysResult {
    let walk = abi::AT_EMPTY_PATH | abi::AT_NO_AUTOMOUNT | abi::AT_SYMLINK_NOFOLLOW;
    known_flags(flags, walk | abi::AT_RECURSIVE)?;
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < MOUNT_ATTR_SIZE {
        return Err(Errno::EINVAL);
    }
    with_lookup(call, None, vfs::may_mount)?;
    let [set, clear, propagation, _] = call.space.read_sized::<4>(attr, size)?;
    if set == 0 && clear == 0 && propagation == 0 {
        return Ok(0);
    }
    let (more, less) = attributes(set, clear)?;
    let times = new_atime(low32(set), low32(clear))?;
    let path = resolve_at(call, dirfd, path, flags & walk)?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    let recursive = flags & abi::AT_RECURSIVE != 0;
    let context = call.fs;
    let mounts = if recursive {
        context.namespace().tree(&path.mount)?
    } else {
        let mut one = Vec::new();
        crate::fs::memory::try_push(&mut one, Arc::clone(&path.mount))?;
        one
    };
    for mount in &mounts {
        let mut wanted = (mount.flags() - less) | more;
        if let Some(times) = times {
            wanted = (wanted - (MountFlags::RELATIME | MountFlags::NO_ATIME)) | times;
        }
        mount.set_flags(wanted)?;
    }
    if propagation != 0 {
        let kind = u32::try_from(propagation).map_err(|_| Errno::EINVAL)?;
        with_lookup(call, None, |lookup| {
            vfs::set_propagation(lookup, &path, kind, recursive)
        })?;
    }
    Ok(0)
}

/// How access times are to move: only if all of the old way is cleared.
fn new_atime(set: u32, clear: u32) -> Result<Option<MountFlags>, Errno> {
    let mask = abi::MOUNT_ATTR__ATIME;
    match clear & mask {
        0 if set & mask == 0 => Ok(None),
        cleared if cleared == mask => atime(set).map(Some),
        _ => Err(Errno::EINVAL),
    }
}
