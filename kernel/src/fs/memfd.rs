//! Memory files: regular files in no directory, with seals (memfd_create(2), fcntl(2)).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::Identity;

use super::anon::MEMORY;
use super::clock;
use super::file::File;
use super::inode::{Inode, InodeOps};
use super::memory::{append, try_arc};
use super::regular;
use crate::vm::Mapping;

/// `F_SEAL_*` (linux/fcntl.h).
const F_SEAL_SEAL: u32 = 1;
const F_SEAL_SHRINK: u32 = 2;
const F_SEAL_GROW: u32 = 4;
const F_SEAL_WRITE: u32 = 8;
const F_SEAL_ALL: u32 = 0x3F;
/// What keeps everybody, or everybody from now on, from writing (`F_SEAL_WRITE`, `F_SEAL_FUTURE_WRITE`).
pub(crate) const WRITE_SEALS: u32 = F_SEAL_WRITE | 0x10;

/// What a memory file keeps.
struct MemFile {
    seals: AtomicU32,
}

impl InodeOps for MemFile {}

/// Makes a memory file; `flags` are `MFD_*`.
pub(crate) fn create(who: &Identity<'_>, name: &[u8], flags: u32) -> Result<Arc<File>, Errno> {
    let seals = if flags & (abi::MFD_ALLOW_SEALING | abi::MFD_NOEXEC_SEAL) == 0 {
        F_SEAL_SEAL
    } else {
        0
    };
    let mode = if flags & abi::MFD_NOEXEC_SEAL == 0 {
        0o777
    } else {
        0o666
    };
    let mut attr = Attr::new(FileType::Regular, mode, who.uid, who.gid, clock::now());
    attr.nlink = 0;
    let ops = try_arc(MemFile {
        seals: AtomicU32::new(seals),
    })?;
    let inode = MEMORY.inode(attr, Some(Mapping::new(None, 0)?), ops)?;
    let mut shown = alloc::vec::Vec::new();
    append(&mut shown, b"/memfd:")?;
    append(&mut shown, name)?;
    // It never had a name in a directory.
    append(&mut shown, b" (deleted)")?;
    let path = MEMORY.path(inode, &shown)?;
    let raw = abi::O_RDWR | abi::O_LARGEFILE;
    let file = File::new(path, regular::ops(), OpenFlags { raw, mode: 0 })?;
    file.begin_writing()?;
    Ok(file)
}

#[inline]
fn of(inode: &Inode) -> Result<&MemFile, Errno> {
    inode.ops_as().ok_or(Errno::EINVAL)
}

/// The seals of a memory file; EINVAL for any other.
#[inline]
fn own_seals(inode: &Inode) -> Result<u32, Errno> {
    Ok(of(inode)?.seals.load(Ordering::Relaxed))
}

/// What `F_GET_SEALS` tells.
pub(crate) fn seals(file: &File) -> Result<u32, Errno> {
    if let Ok(seals) = own_seals(&file.inode) {
        return Ok(seals);
    }
    // Files of tmpfs can't be sealed, which is told as a seal on them.
    let named = file.inode.kind() == FileType::Regular && file.inode.sb().kind() == "tmpfs";
    named.then_some(F_SEAL_SEAL).ok_or(Errno::EINVAL)
}

/// Adds seals.
pub(crate) fn add_seals(file: &File, more: u32) -> Result<(), Errno> {
    if !file.writable() {
        return Err(Errno::EPERM);
    }
    if more & !F_SEAL_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    if seals(file)? & F_SEAL_SEAL != 0 {
        return Err(Errno::EPERM);
    }
    let memory = of(&file.inode)?;
    let _guard = file.inode.lock.lock();
    if memory.seals.load(Ordering::Relaxed) & F_SEAL_SEAL != 0 {
        return Err(Errno::EPERM);
    }
    let mapped = file
        .inode
        .mapping()
        .is_some_and(|mapping| mapping.is_written_through());
    if more & F_SEAL_WRITE != 0 && mapped {
        return Err(Errno::EBUSY);
    }
    memory.seals.fetch_or(more, Ordering::Relaxed);
    Ok(())
}

/// EPERM when seals forbid the file that size.
pub(crate) fn check_resize(inode: &Inode, size: u64) -> Result<(), Errno> {
    let seals = own_seals(inode).unwrap_or(0);
    let now = inode.size();
    let forbidden =
        size < now && seals & F_SEAL_SHRINK != 0 || size > now && seals & F_SEAL_GROW != 0;
    if forbidden {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// EPERM when seals forbid writing up to `end`.
pub(crate) fn check_write(file: &File, end: u64) -> Result<(), Errno> {
    let Ok(seals) = own_seals(&file.inode) else {
        return Ok(());
    };
    let grows = end > file.inode.size();
    if seals & WRITE_SEALS != 0 || grows && seals & F_SEAL_GROW != 0 {
        return Err(Errno::EPERM);
    }
    Ok(())
}
