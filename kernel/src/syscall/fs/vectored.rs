//! Reading and writing with many buffers: `readv`, `preadv2` and their kin.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{low32, usize_of32};

use super::io::{MAX_COUNT, position, read_so_far, written};
use super::{Call, SysResult, file, rwf};
use crate::fs::{File, epoll};
use crate::vm::{AddressSpace, IoDst, IoSrc, IoVec};

/// Most buffers of one call (`UIO_MAXIOV`).
const MAX_VECTORS: usize = 1024;

/// The buffers of a vector call, together no more than [`MAX_COUNT`] bytes.
pub(in crate::syscall) fn vectors(
    space: &Arc<AddressSpace>,
    addr: UserAddr,
    count: u64,
) -> Result<Vec<IoVec>, Errno> {
    // The count is an unsigned int by the time Linux looks at it (`import_iovec`).
    let count = usize_of32(low32(count));
    if count > MAX_VECTORS {
        return Err(Errno::EINVAL);
    }
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    let mut room = MAX_COUNT;
    let mut at = addr;
    for _ in 0..count {
        let mut vector: IoVec = space.read_val(at)?;
        if i64::try_from(vector.len).is_err() {
            return Err(Errno::EINVAL);
        }
        if !vector.base.range_is_user(vector.len) {
            return Err(Errno::EFAULT);
        }
        vector.len = vector.len.min(room);
        room -= vector.len;
        list.push(vector);
        at = at.checked_add(16).ok_or(Errno::EFAULT)?;
    }
    Ok(list)
}

/// The vectors' file: with a position it must have one, which is asked before its mode.
fn vector_file(call: &Call<'_>, fd: i32, at: Option<u64>) -> Result<Arc<File>, Errno> {
    let file = file(call, fd)?;
    if at.is_some() && file.is_stream() && !file.is_path() {
        return Err(Errno::ESPIPE);
    }
    Ok(file)
}

/// What readv(2) and its kin check of an open file before they look at flags: the vectors, or `None` when there is
/// nothing to move.
fn vectors_for(
    space: &Arc<AddressSpace>,
    file: &File,
    iov: UserAddr,
    count: u64,
    (flags, write): (u32, bool),
) -> Result<Option<Vec<IoVec>>, Errno> {
    if epoll::of(file).is_ok() {
        return Err(Errno::EINVAL);
    }
    let vectors = vectors(space, iov, count)?;
    // Nothing to move is no reason to look at the file or the flags, once its mode is right.
    if vectors.iter().all(|vector| vector.len == 0) {
        return Ok(None);
    }
    rwf::check(file, flags, write)?;
    Ok(Some(vectors))
}

fn read_vectors(
    call: &Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    at: Option<u64>,
    flags: u32,
) -> SysResult {
    let file = vector_file(call, fd, at)?;
    file.check_readable()?;
    let space = call.space;
    let Some(vectors) = vectors_for(space, &file, iov, count, (flags, false))? else {
        return Ok(0);
    };
    let mut dst = IoDst::user(space, &vectors);
    if flags & abi::RWF_NOWAIT != 0 {
        let pos = at.unwrap_or_else(|| *file.position());
        rwf::limit_to_ready(&file, pos, &mut dst)?;
    }
    let done = match at {
        Some(pos) => file.read_at(&mut dst, pos),
        None => file.read(&mut dst),
    };
    read_so_far(call, done)
}

fn write_vectors(
    call: &Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    at: Option<u64>,
    flags: u32,
) -> SysResult {
    let file = vector_file(call, fd, at)?;
    file.check_writable()?;
    let space = call.space;
    let Some(vectors) = vectors_for(space, &file, iov, count, (flags, true))? else {
        return Ok(0);
    };
    let mut src = IoSrc::user(space, &vectors);
    src.appends = flags & abi::RWF_APPEND != 0;
    let done = match at {
        Some(pos) => file.write_at(&mut src, pos),
        None => file.write(&mut src),
    };
    written(call, &file, rwf::settle(&file, flags, done))
}

pub(in crate::syscall) fn readv(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
) -> SysResult {
    read_vectors(call, fd, iov, count, None, 0)
}

pub(in crate::syscall) fn writev(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
) -> SysResult {
    write_vectors(call, fd, iov, count, None, 0)
}

pub(in crate::syscall) fn preadv(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    offset: i64,
    _high: u64,
) -> SysResult {
    read_vectors(call, fd, iov, count, Some(position(offset)?), 0)
}

pub(in crate::syscall) fn pwritev(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    offset: i64,
    _high: u64,
) -> SysResult {
    write_vectors(call, fd, iov, count, Some(position(offset)?), 0)
}

fn position_or_current(offset: i64) -> Result<Option<u64>, Errno> {
    if offset == -1 {
        return Ok(None);
    }
    position(offset).map(Some)
}

pub(in crate::syscall) fn preadv2(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    offset: i64,
    _high: u64,
    flags: u32,
) -> SysResult {
    read_vectors(call, fd, iov, count, position_or_current(offset)?, flags)
}

pub(in crate::syscall) fn pwritev2(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    offset: i64,
    _high: u64,
    flags: u32,
) -> SysResult {
    write_vectors(call, fd, iov, count, position_or_current(offset)?, flags)
}
