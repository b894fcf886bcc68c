//! `ioctl`: what every open file understands, and what files of file systems do; the rest is for the file's
//! own kind ([`crate::fs::FileOps::ioctl`]).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{
    APPEND_ONLY, DAX, FileType, IMMUTABLE, NO_ATIME, NO_DUMP, PROJECT_INHERIT, SYNCHRONOUS,
};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::num::{low32, usize_of};
use linux_raw_sys::ioctl;

use super::{Call, SysResult, file, owner};
use crate::fs::inode::Extent;
use crate::fs::tty::pty;
use crate::fs::{File, Ioctl, fasync, identity, vfs};
use crate::vm::AddressSpace;

/// Requests that the bindings lack (linux/fs.h). Those about flags are said to be of a long; they are of an int.
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_GETVERSION: u32 = 0x8008_7601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
/// The same before there was one for all file systems (linux/ext4.h).
const EXT4_IOC_GETVERSION: u32 = 0x8008_6603;
const FS_IOC_FSGETXATTR: u32 = 0x801C_581F;
const FS_IOC_FSSETXATTR: u32 = 0x401C_5820;
const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940D;
const FIDEDUPERANGE: u32 = 0xC018_9436;
const FS_IOC_FIEMAP: u32 = 0xC020_660B;
const FIFREEZE: u32 = 0xC004_5877;
const FITHAW: u32 = 0xC004_5878;

pub(in crate::syscall) fn ioctl(call: &mut Call<'_>, fd: i32, command: u32, arg: u64) -> SysResult {
    let file = file(call, fd)?;
    let space = call.space;
    let number = || -> Result<bool, Errno> {
        let value: u32 = space.read_val(UserAddr::new(arg))?;
        Ok(value != 0)
    };
    match command {
        ioctl::FIOCLEX | ioctl::FIONCLEX => {
            let on = command == ioctl::FIOCLEX;
            call.files.set_close_on_exec(fd, on)?;
            Ok(0)
        }
        ioctl::FIONBIO => {
            file.set_flag(abi::O_NONBLOCK, number()?);
            Ok(0)
        }
        ioctl::FIOASYNC => {
            fasync::set_async(&file, fd, number()?)?;
            Ok(0)
        }
        ioctl::FIGETBSZ => {
            space.write_val(UserAddr::new(arg), &file.inode.sb().block_size())?;
            Ok(0)
        }
        FS_IOC_FIEMAP => super::fiemap::fiemap(call, &file, UserAddr::new(arg)),
        FICLONE | FICLONERANGE | FIDEDUPERANGE => no_shared_blocks(call, &file, command, arg),
        FIFREEZE | FITHAW => {
            if !call.creds.has(abi::CAP_SYS_ADMIN) {
                return Err(Errno::EPERM);
            }
            // No file system here can be frozen, so none is.
            Err(if command == FITHAW {
                Errno::EINVAL
            } else {
                Errno::EOPNOTSUPP
            })
        }
        ioctl::TIOCGPTPEER if pty::is_master(&file) => {
            let flags = OpenFlags::new(low32(arg), 0)?;
            let peer =
                super::with_lookup(call, None, |lookup| pty::open_peer(lookup, &file, flags))?;
            super::install(call, peer, flags.has(abi::O_CLOEXEC))
        }
        owner::FIOSETOWN..=owner::SIOCGPGRP if file.inode.kind() == FileType::Socket => {
            owner::of_socket(call, &file, command, UserAddr::new(arg))
        }
        _ if !file.is_event() => of_inode(call, &file, space, command, arg),
        _ => of_kind(call, &file, space, command, arg),
    }
}

/// What the file's own kind does.
fn of_kind(
    call: &Call<'_>,
    file: &Arc<File>,
    space: &Arc<AddressSpace>,
    command: u32,
    arg: u64,
) -> SysResult {
    file.ops.ioctl(file, &request(call, space, command, arg))
}

fn request<'a>(
    call: &'a Call<'_>,
    space: &'a Arc<AddressSpace>,
    command: u32,
    arg: u64,
) -> Ioctl<'a> {
    Ioctl {
        command,
        arg,
        space,
        privileged: call.creds.has(abi::CAP_SYS_ADMIN),
        files: call.files,
    }
}

/// What goes by the inode rather than the open file.
fn of_inode(
    call: &Call<'_>,
    file: &Arc<File>,
    space: &Arc<AddressSpace>,
    command: u32,
    arg: u64,
) -> SysResult {
    let at = UserAddr::new(arg);
    let kind = file.inode.kind();
    match command {
        ioctl::FIBMAP if kind == FileType::Regular => find_block(call, file, at),
        ioctl::FIOQSIZE if matches!(kind, FileType::Regular | FileType::Directory) => {
            let blocks = vfs::stat(&file.path, |stat| stat.attr.blocks)?;
            space.write_val(at, &(blocks << 9))?;
            Ok(0)
        }
        ioctl::FIONREAD if file.inode.mapping().is_some() => {
            let left = file.inode.size().saturating_sub(*file.position());
            let left = u32::try_from(usize_of(left)).unwrap_or(u32::MAX >> 1);
            space.write_val(at, &left)?;
            Ok(0)
        }
        FS_IOC_GETFLAGS | FS_IOC_SETFLAGS | FS_IOC_FSGETXATTR | FS_IOC_FSSETXATTR => {
            of_flags(call, file, command, at)
        }
        FS_IOC_GETVERSION | EXT4_IOC_GETVERSION if file.inode.sb().dev().major != 0 => {
            let generation = file.inode.sb().ops().generation(file.inode.ino())?;
            space.write_val(at, &generation)?;
            Ok(0)
        }
        _ => {
            let done = file
                .inode
                .ops()
                .ioctl(file, &request(call, space, command, arg));
            match done {
                Err(Errno::ENOTTY) => of_kind(call, file, space, command, arg),
                done => done,
            }
        }
    }
}

/// The flags of chattr(1), by themselves and as part of `struct fsxattr`.
fn of_flags(call: &Call<'_>, file: &File, command: u32, at: UserAddr) -> SysResult {
    // What can't have any says so before the program's memory is looked at.
    let old = vfs::flags(&file.path)?;
    match command {
        FS_IOC_GETFLAGS => call.space.write_val(at, &old)?,
        FS_IOC_SETFLAGS => {
            let flags: u32 = call.space.read_val(at)?;
            set_flags(call, file, flags)?;
        }
        FS_IOC_FSGETXATTR => {
            let mut told = [0u32; FSXATTR_WORDS];
            told[0] = translate(old, false);
            call.space.write_val(at, &told)?;
        }
        _ => {
            let [flags, _, _, project, ..]: [u32; FSXATTR_WORDS] = call.space.read_val(at)?;
            set_flags(call, file, xflags(file.inode.kind(), old, flags)?)?;
            // There are no projects: all are of the first.
            if project != 0 {
                return Err(Errno::EOPNOTSUPP);
            }
        }
    }
    Ok(0)
}

/// `FIBMAP`
fn find_block(call: &Call<'_>, file: &Arc<File>, at: UserAddr) -> SysResult {
    if !call.creds.has(abi::CAP_SYS_RAWIO) {
        return Err(Errno::EPERM);
    }
    let block: u32 = call.space.read_val(at)?;
    if block > i32::MAX.cast_unsigned() {
        return Err(Errno::EINVAL);
    }
    let found = place_of(file, block.into());
    call.space.write_val(at, &found.unwrap_or(0))?;
    found.map(|_| 0)
}

/// The block of the device in which a block of the file lies, 0 for none.
fn place_of(file: &Arc<File>, block: u64) -> Result<u32, Errno> {
    let size = u64::from(file.inode.sb().block_size());
    if let Some(mapping) = file.inode.mapping() {
        mapping.sync_all()?;
    }
    let extent = file.inode.ops().extent(&file.inode, block * size, size);
    let extent = extent.map_err(|error| match error {
        Errno::EOPNOTSUPP => Errno::EINVAL,
        error => error,
    })?;
    let place = match extent.physical {
        Some(place) if extent.flags & Extent::UNWRITTEN == 0 => place / size,
        _ => 0,
    };
    u32::try_from(place).map_err(|_| Errno::ERANGE)
}

fn set_flags(call: &Call<'_>, file: &File, flags: u32) -> SysResult {
    let creds = call.creds;
    vfs::set_flags(&identity(creds), &file.path, flags).map(|()| 0)
}

/// Words of `struct fsxattr` (linux/fs.h).
const FSXATTR_WORDS: usize = 7;

/// The flags that chattr(1) changes beside `FS_XFLAG_*`, which say the same in `struct fsxattr`.
const XFLAGS: [(u32, u32); 7] = [
    (IMMUTABLE, 0x08),
    (APPEND_ONLY, 0x10),
    (SYNCHRONOUS, 0x20),
    (NO_ATIME, 0x40),
    (NO_DUMP, 0x80),
    (PROJECT_INHERIT, 0x200),
    (DAX, 0x8000),
];
const FS_XFLAG_EXTSIZE: u32 = 0x800;
const FS_XFLAG_EXTSZINHERIT: u32 = 0x1000;
/// All there are, `FS_XFLAG_HASATTR` too.
const FS_XFLAGS: u32 = 0x8001_FFFB;

/// Flags of one kind as the other.
fn translate(flags: u32, back: bool) -> u32 {
    XFLAGS.iter().fold(0, |all, &(own, other)| {
        let (from, to) = if back { (other, own) } else { (own, other) };
        if flags & from == 0 { all } else { all | to }
    })
}

/// What `FS_XFLAG_*` make of a file's flags.
fn xflags(kind: FileType, old: u32, flags: u32) -> Result<u32, Errno> {
    if flags & !FS_XFLAGS != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    // Files alone have sizes of extents, and directories hand them on; here they are without effect.
    let other = match kind {
        FileType::Directory => FS_XFLAG_EXTSIZE,
        _ => FS_XFLAG_EXTSZINHERIT,
    };
    if flags & other != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(old & !translate(u32::MAX, true) | translate(flags, true))
}

/// `FICLONE` and its kin: no file system here lets files have blocks in common.
fn no_shared_blocks(call: &Call<'_>, file: &Arc<File>, command: u32, arg: u64) -> SysResult {
    let mut source = arg;
    if command != FICLONE {
        let [first, ..]: [u64; 3] = call.space.read_val(UserAddr::new(arg))?;
        source = first;
    }
    if command != FIDEDUPERANGE {
        let source = super::file(call, kiln_core::num::int_arg(source))?;
        if !Arc::ptr_eq(source.inode.sb(), file.inode.sb()) {
            return Err(Errno::EXDEV);
        }
        super::splice::check_regular(&source, file)?;
    }
    Err(match file.inode.kind() {
        FileType::Directory => Errno::EISDIR,
        FileType::Regular if file.is_event() => Errno::EINVAL,
        FileType::Regular => Errno::EOPNOTSUPP,
        _ => Errno::EINVAL,
    })
}
