//! File handles: `name_to_handle_at`, `open_by_handle_at`.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::num::{low32, usize_of32};

use super::{AT_FDCWD, Call, SysResult, behind, file, known_flags, resolve_at};
use crate::fs::handle::{self, Handle};
use crate::fs::{Lookup, identity, vfs};

/// Most bytes of a handle (`MAX_HANDLE_SZ`, linux/exportfs.h).
const MOST: u32 = 128;
/// Bytes of `struct file_handle` before the handle: its length, its kind.
const HEAD: u64 = 8;
/// Bytes of a handle here.
const SIZE: u32 = 12;
/// `FILEID_INO32_GEN` and `FILEID_INVALID` (linux/exportfs.h).
const KIND: u32 = 1;
const INVALID: u32 = 0xFF;

/// Flags of linux/fcntl.h: only to be compared; the whole number of the mount; with the directory it is in.
/// (Newer than the rest; Linux's order of errors since then is the one below.)
const FID: u32 = 0x200;
const UNIQUE_MOUNT: u32 = 1;
const CONNECTABLE: u32 = 2;
/// `FILEID_USER_FLAGS_MASK`, `FILEID_IS_CONNECTABLE` and `FILEID_IS_DIR` (linux/exportfs.h).
const MARKS: u32 = 0xFFFF_0000;
const IS_CONNECTABLE: u32 = 0x1_0000;
const IS_DIRECTORY: u32 = 0x2_0000;

pub(in crate::syscall) fn name_to_handle_at(
    call: &mut Call<'_>,
    dirfd: i32,
    path: UserAddr,
    at: UserAddr,
    mount: UserAddr,
    flags: u32,
) -> SysResult {
    const KNOWN: u32 =
        abi::AT_SYMLINK_FOLLOW | abi::AT_EMPTY_PATH | FID | UNIQUE_MOUNT | CONNECTABLE;
    known_flags(flags, KNOWN)?;
    if flags & CONNECTABLE != 0 && flags & (FID | abi::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut how = flags & abi::AT_EMPTY_PATH;
    if flags & abi::AT_SYMLINK_FOLLOW == 0 {
        how |= abi::AT_SYMLINK_NOFOLLOW;
    }
    let path = resolve_at(call, dirfd, path, how)?;
    let words = handle::of(&path)?;
    let space = call.space;
    let [room, _]: [u32; 2] = space.read_val(at)?;
    if room > MOST {
        return Err(Errno::EINVAL);
    }
    if flags & UNIQUE_MOUNT != 0 {
        space.write_val(mount, &path.mount.id())?;
    } else {
        space.write_val(mount, &low32(path.mount.id()))?;
    }
    if room < SIZE {
        space.write_val(at, &[SIZE, INVALID])?;
        return Err(Errno::EOVERFLOW);
    }
    let mut kind = KIND;
    if flags & CONNECTABLE != 0 {
        kind |= IS_CONNECTABLE;
        if path.inode()?.kind() == FileType::Directory {
            kind |= IS_DIRECTORY;
        }
    }
    space.write_val(at, &[SIZE, kind])?;
    let to = at.checked_add(HEAD).ok_or(Errno::EFAULT)?;
    space.write_val(to, &words)?;
    Ok(0)
}

pub(in crate::syscall) fn open_by_handle_at(
    call: &mut Call<'_>,
    mount: i32,
    at: UserAddr,
    flags: u32,
) -> SysResult {
    let space = call.space;
    let [len, kind]: [u32; 2] = space.read_val(at)?;
    let marks = kind & MARKS;
    if len == 0 || len > MOST || marks & !(IS_CONNECTABLE | IS_DIRECTORY) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = if mount == AT_FDCWD {
        behind(call, mount)?
    } else {
        file(call, mount)?.path.clone()
    };
    if !call.creds.has(abi::CAP_DAC_READ_SEARCH) {
        return Err(Errno::EPERM);
    }
    let from = at.checked_add(HEAD).ok_or(Errno::EFAULT)?;
    let mut bytes = [0; MOST as usize];
    let bytes = bytes.get_mut(..usize_of32(len)).unwrap_or_default();
    space.copy_in(bytes, from)?;
    if len < SIZE || kind & !MARKS != KIND {
        return Err(Errno::ESTALE);
    }
    let mut words: Handle = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let path = handle::find(&place, words)?;
    let flags = OpenFlags::new(flags, 0)?;
    if flags.has(abi::O_DIRECTORY) && path.inode()?.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let (context, creds) = (call.fs, call.creds);
    let file = vfs::open_path(&Lookup::new(context, identity(creds)), path, flags)?;
    super::install(call, file, flags.has(abi::O_CLOEXEC))
}
