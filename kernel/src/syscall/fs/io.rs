//! Reading and writing: `read`, `write`, `pread64` and `pwrite64`, `lseek`, `fsync`, `readahead`. Those that take
//! many buffers at once are in [`vectored`](super::vectored).

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::u64_of;
use kiln_core::signal::Signal;

use super::{Call, SysResult, file};
use crate::fs::file::MapSource;
use crate::fs::vfs::{self, seek_contents};
use crate::fs::{File, epoll};
use crate::process::signal;
use crate::vm::{IoDst, IoSrc, Mapping};

const PAGE: u64 = u64_of(PAGE_SIZE);

/// Most bytes that one call moves (`MAX_RW_COUNT`).
pub(in crate::syscall) const MAX_COUNT: usize = 0x7FFF_F000;

/// What a read answers, counted.
#[inline]
pub(super) fn read_so_far(call: &Call<'_>, result: Result<usize, Errno>) -> SysResult {
    match result {
        Ok(count) => call.task.moved.read(u64_of(count)),
        Err(errno) if is_counted(errno) => call.task.moved.read(0),
        Err(_) => {}
    }
    result.map(u64_of)
}

/// Whether a call counts that ends so: not one that was refused before there was anything to move.
fn is_counted(errno: Errno) -> bool {
    !matches!(errno, Errno::EBADF | Errno::ESPIPE)
}

/// What a write answers, counted: a broken pipe also tells the caller by a signal.
#[inline]
pub(in crate::syscall) fn written(
    call: &Call<'_>,
    file: &File,
    result: Result<usize, Errno>,
) -> SysResult {
    match result {
        Ok(count) => call.task.moved.written(u64_of(count)),
        Err(errno) => unwritten(call, file, errno),
    }
    result.map(u64_of)
}

#[cold]
fn unwritten(call: &Call<'_>, file: &File, errno: Errno) {
    if errno == Errno::EPIPE && file.ops.signals_broken_pipe() {
        signal::send_own(call.task, Signal::PIPE);
    }
    if is_counted(errno) {
        call.task.moved.written(0);
    }
}

/// EFAULT for a buffer that no program can have.
fn buffer(addr: UserAddr, count: usize) -> Result<usize, Errno> {
    if !addr.range_is_user(count) {
        return Err(Errno::EFAULT);
    }
    Ok(count.min(MAX_COUNT))
}

/// As [`buffer`]; what can't be read or written at all says that first.
fn buffer_of(file: &Arc<File>, addr: UserAddr, count: usize) -> Result<usize, Errno> {
    buffer(addr, count).map_err(|error| {
        if epoll::of(file).is_ok() {
            Errno::EINVAL
        } else {
            error
        }
    })
}

pub(in crate::syscall) fn read(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    count: usize,
) -> SysResult {
    let file = file(call, fd)?;
    file.check_readable()?;
    let count = buffer_of(&file, buf, count)?;
    let space = call.space;
    let done = file.read(&mut IoDst::user_buf(space, buf, count));
    read_so_far(call, done)
}

pub(in crate::syscall) fn write(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    count: usize,
) -> SysResult {
    let file = file(call, fd)?;
    file.check_writable()?;
    let count = buffer_of(&file, buf, count)?;
    let space = call.space;
    let result = file.write(&mut IoSrc::user_buf(space, buf, count));
    written(call, &file, result)
}

/// A position argument; EINVAL for a negative one.
pub(super) fn position(offset: i64) -> Result<u64, Errno> {
    u64::try_from(offset).map_err(|_| Errno::EINVAL)
}

pub(in crate::syscall) fn pread64(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    count: usize,
    offset: i64,
) -> SysResult {
    let pos = position(offset)?;
    let file = file(call, fd)?;
    let count = buffer(buf, count)?;
    let space = call.space;
    let done = file.read_at(&mut IoDst::user_buf(space, buf, count), pos);
    read_so_far(call, done)
}

pub(in crate::syscall) fn pwrite64(
    call: &mut Call<'_>,
    fd: i32,
    buf: UserAddr,
    count: usize,
    offset: i64,
) -> SysResult {
    let pos = position(offset)?;
    let file = file(call, fd)?;
    let count = buffer(buf, count)?;
    let space = call.space;
    let result = file.write_at(&mut IoSrc::user_buf(space, buf, count), pos);
    written(call, &file, result)
}

pub(in crate::syscall) fn lseek(
    call: &mut Call<'_>,
    fd: i32,
    offset: i64,
    whence: u32,
) -> SysResult {
    let file = file(call, fd)?;
    if whence > abi::SEEK_HOLE {
        return Err(Errno::EINVAL);
    }
    if file.ops.ignores_seek() {
        return Ok(0);
    }
    if file.is_stream() {
        return Err(Errno::ESPIPE);
    }
    seek(&file, offset, whence)
}

fn seek(file: &File, offset: i64, whence: u32) -> SysResult {
    let mut pos = file.position();
    let Some(end) = file.ops.seek_end(file) else {
        *pos = 0;
        return Ok(0);
    };
    let is_disk = file.inode.kind() == FileType::BlockDevice;
    let base = match whence {
        abi::SEEK_SET => 0,
        abi::SEEK_CUR => *pos,
        abi::SEEK_END => end,
        _ if is_disk => return Err(Errno::EINVAL),
        _ => {
            let at = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            let data = whence == abi::SEEK_DATA;
            *pos = match file.ops.contents(file) {
                Some(mapping) => seek_contents(&mapping, at, data)?,
                None if at >= end => return Err(Errno::ENXIO),
                None if data => at,
                None => end,
            };
            return Ok(*pos);
        }
    };
    let moved = base.checked_add_signed(offset).ok_or(Errno::EINVAL)?;
    /// No file system's files end before (`s_maxbytes`): ext2's with blocks of 1 KiB are the shortest.
    const SHORTEST: u64 = 1 << 34;
    let contents = (moved > SHORTEST).then(|| file.ops.contents(file));
    let limit = match contents.flatten() {
        Some(mapping) => mapping.limit(),
        None => i64::MAX.cast_unsigned(),
    };
    if moved > limit || is_disk && moved > end {
        return Err(Errno::EINVAL);
    }
    *pos = moved;
    Ok(moved)
}

pub(in crate::syscall) fn fsync(call: &mut Call<'_>, fd: i32) -> SysResult {
    let file = file(call, fd)?;
    file.ops.sync(&file, false).map(|()| 0)
}

pub(in crate::syscall) fn fdatasync(call: &mut Call<'_>, fd: i32) -> SysResult {
    let file = file(call, fd)?;
    file.ops.sync(&file, true).map(|()| 0)
}

pub(in crate::syscall) fn sync_file_range(
    call: &mut Call<'_>,
    fd: i32,
    offset: i64,
    len: i64,
    flags: u32,
) -> SysResult {
    let file = file(call, fd)?;
    if flags & !7 != 0 || offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return Err(Errno::EINVAL);
    }
    let on_disk = matches!(
        file.inode.kind(),
        FileType::Regular | FileType::Directory | FileType::Symlink | FileType::BlockDevice
    );
    if !on_disk || file.is_event() {
        return Err(Errno::ESPIPE);
    }
    match file.inode.mapping() {
        Some(mapping) => mapping.sync_all().map(|()| 0),
        None => Ok(0),
    }
}

pub(in crate::syscall) fn readahead(
    call: &mut Call<'_>,
    fd: i32,
    offset: i64,
    count: i64,
) -> SysResult {
    let file = file(call, fd)?;
    file.check_readable()?;
    let count = u64::try_from(count).map_err(|_| Errno::EINVAL)?;
    file.inode.mapping().ok_or(Errno::EINVAL)?;
    if let (Some(contents), Ok(start)) = (file.ops.contents(&file), u64::try_from(offset)) {
        read_ahead(&contents, start, start.saturating_add(count));
    }
    Ok(0)
}

/// Reads what will be asked for.
fn read_ahead(contents: &Mapping, start: u64, end: u64) {
    let first = start / PAGE;
    let last = end.min(contents.size()).div_ceil(PAGE);
    contents.read_ahead(first, last.saturating_sub(first));
}

pub(in crate::syscall) fn fadvise64(
    call: &mut Call<'_>,
    fd: i32,
    offset: i64,
    len: i64,
    advice: u32,
) -> SysResult {
    let file = file(call, fd)?;
    if file.ops.pipe().is_some() {
        return Err(Errno::ESPIPE);
    }
    if len < 0 || advice > abi::POSIX_FADV_NOREUSE {
        return Err(Errno::EINVAL);
    }
    let Ok(MapSource::File(mapping)) = file.ops.mapping(&file) else {
        return Ok(0);
    };
    // A length of 0 means to the end, and so does one that reaches too far.
    let start = offset.cast_unsigned();
    let len = len.cast_unsigned();
    let end = start.checked_add(len).filter(|_| len > 0);
    let end = end.unwrap_or(u64::MAX);
    match advice {
        abi::POSIX_FADV_WILLNEED => read_ahead(&mapping, start, end),
        abi::POSIX_FADV_DONTNEED => {
            // Whole pages only: who wants the rest of one may be somebody else.
            let (first, last) = (start.div_ceil(PAGE), end / PAGE);
            if first < last {
                let _ = mapping.sync(first, last - first);
                mapping.invalidate(first, last - first);
            }
        }
        _ => {}
    }
    Ok(0)
}

pub(in crate::syscall) fn fallocate(
    call: &mut Call<'_>,
    fd: i32,
    mode: u32,
    offset: i64,
    len: i64,
) -> SysResult {
    let file = file(call, fd)?;
    if file.is_event() && offset >= 0 && len > 0 {
        return Err(Errno::ENODEV);
    }
    vfs::allocate(&file, mode, offset, len).map(|()| 0)
}
