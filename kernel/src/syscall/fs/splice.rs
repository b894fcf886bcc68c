//! Moving bytes between descriptors: `sendfile`, `splice`, `tee`, `vmsplice`, `copy_file_range`.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::{u64_of, usize_of};

use super::io::{MAX_COUNT, written};
use super::vectored::vectors;
use super::{Call, SysResult, file, known_flags};
use crate::fs::File;
use crate::fs::anon::EVENTS;
use crate::fs::splice::{self, End};
use crate::fs::vfs::MAX_SIZE;
use crate::vm::{IoDst, IoSrc};

/// Flags of `splice` and its kin (`SPLICE_F_*`).
const SPLICE_KNOWN: u32 = 0xF;
const SPLICE_F_NONBLOCK: u32 = 2;

/// A position kept in the program's memory, as it is.
fn raw_offset(call: &Call<'_>, addr: UserAddr) -> Result<Option<u64>, Errno> {
    if addr.is_null() {
        return Ok(None);
    }
    call.space.read_val(addr).map(Some)
}

/// The same; EINVAL for a negative one.
fn read_offset(call: &Call<'_>, addr: UserAddr) -> Result<Option<u64>, Errno> {
    let offset = raw_offset(call, addr)?;
    if offset.is_some_and(|offset| i64::try_from(offset).is_err()) {
        return Err(Errno::EINVAL);
    }
    Ok(offset)
}

/// Whether bytes can be copied from one file to another, as `copy_file_range` and `FICLONE` ask.
pub(super) fn check_regular(from: &File, to: &File) -> Result<(), Errno> {
    for file in [from, to] {
        match file.inode.kind() {
            FileType::Regular if !file.is_event() => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    from.check_readable()?;
    to.check_writable()
}

fn write_offset(call: &Call<'_>, addr: UserAddr, offset: Option<u64>) -> Result<(), Errno> {
    match offset {
        Some(offset) => call.space.write_val(addr, &offset),
        None => Ok(()),
    }
}

pub(in crate::syscall) fn sendfile(
    call: &mut Call<'_>,
    to: i32,
    from: i32,
    offset: UserAddr,
    count: usize,
) -> SysResult {
    let mut at = read_offset(call, offset)?;
    let done = send(call, (to, from), at.as_mut(), count);
    write_offset(call, offset, at)?;
    done
}

fn send(call: &Call<'_>, (to, from): (i32, i32), at: Option<&mut u64>, count: usize) -> SysResult {
    let from = file(call, from)?;
    from.check_readable()?;
    if at.is_some() && from.is_stream() {
        return Err(Errno::ESPIPE);
    }
    let to = file(call, to)?;
    to.check_writable()?;
    if count == 0 {
        return Ok(0);
    }
    if from.is_stream() {
        return Err(if at.is_some() {
            Errno::ESPIPE
        } else {
            Errno::EINVAL
        });
    }
    if to.has(abi::O_APPEND)
        || from.inode.kind() == FileType::Directory
        || isize::try_from(count).is_err()
    {
        return Err(Errno::EINVAL);
    }
    let done = splice::copy(
        End::new(&from, at),
        End::new(&to, None),
        count.min(MAX_COUNT),
    );
    call.task.moved.read(done.map_or(0, u64_of));
    written(call, &to, done)
}

pub(in crate::syscall) fn copy_file_range(
    call: &mut Call<'_>,
    from: i32,
    from_offset: UserAddr,
    to: i32,
    to_offset: UserAddr,
    len: usize,
    flags: u32,
) -> SysResult {
    let (from, to) = (file(call, from)?, file(call, to)?);
    let mut from_at = raw_offset(call, from_offset)?;
    let mut to_at = raw_offset(call, to_offset)?;
    known_flags(flags, 0)?;
    check_regular(&from, &to)?;
    if !Arc::ptr_eq(from.inode.sb(), to.inode.sb()) {
        return Err(Errno::EXDEV);
    }
    if to.has(abi::O_APPEND) {
        return Err(Errno::EBADF);
    }
    let start = from_at.unwrap_or_else(|| *from.position());
    let target = to_at.unwrap_or_else(|| *to.position());
    let wraps = |at: u64| at.checked_add(u64_of(len)).is_none();
    if wraps(start) || wraps(target) {
        return Err(Errno::EOVERFLOW);
    }
    let left = from.inode.size().saturating_sub(start);
    let len = len.min(usize_of(left));
    if len > 0 && target >= MAX_SIZE {
        return Err(Errno::EFBIG);
    }
    let len = len.min(usize_of(MAX_SIZE.saturating_sub(target)));
    if i64::try_from(start).is_err() {
        return Err(Errno::EINVAL);
    }
    if len > 0
        && Arc::ptr_eq(&from.inode, &to.inode)
        && start < target + u64_of(len)
        && target < start.saturating_add(u64_of(len))
    {
        return Err(Errno::EINVAL);
    }
    let len = len.min(MAX_COUNT);
    let done = splice::copy(
        End::new(&from, from_at.as_mut()),
        End::new(&to, to_at.as_mut()),
        len,
    );
    let moved = done.map_or(0, u64_of);
    call.task.moved.read(moved);
    call.task.moved.written(moved);
    let done = done?;
    write_offset(call, from_offset, from_at)?;
    write_offset(call, to_offset, to_at)?;
    Ok(u64_of(done))
}

pub(in crate::syscall) fn splice(
    call: &mut Call<'_>,
    from: i32,
    from_offset: UserAddr,
    to: i32,
    to_offset: UserAddr,
    len: usize,
    flags: u32,
) -> SysResult {
    if len == 0 {
        return Ok(0);
    }
    known_flags(flags, SPLICE_KNOWN)?;
    let (from, to) = (file(call, from)?, file(call, to)?);
    let pipes = (from.ops.pipe().is_some(), to.ops.pipe().is_some());
    let has_offset = (!from_offset.is_null(), !to_offset.is_null());
    if pipes.0 && has_offset.0 || pipes.1 && has_offset.1 {
        return Err(Errno::ESPIPE);
    }
    let mut to_at = read_offset(call, to_offset)?;
    let mut from_at = read_offset(call, from_offset)?;
    from.check_readable()?;
    to.check_writable()?;
    // Of what isn't a pipe, streams have no positions, and directories and event descriptors nothing to give.
    let odd = |file: &File, has_offset: bool| has_offset && file.is_stream();
    if pipes == (false, false)
        || to.has(abi::O_APPEND)
        || odd(&from, has_offset.0)
        || odd(&to, has_offset.1)
        || from.inode.kind() == FileType::Directory
        || EVENTS.has(&from.inode)
        || EVENTS.has(&to.inode)
    {
        return Err(Errno::EINVAL);
    }
    let nonblocking = flags & SPLICE_F_NONBLOCK != 0;
    let done = splice::splice(
        End::new(&from, from_at.as_mut()),
        End::new(&to, to_at.as_mut()),
        len.min(MAX_COUNT),
        nonblocking,
    );
    write_offset(call, from_offset, from_at)?;
    write_offset(call, to_offset, to_at)?;
    written(call, &to, done)
}

pub(in crate::syscall) fn tee(
    call: &mut Call<'_>,
    from: i32,
    to: i32,
    len: usize,
    flags: u32,
) -> SysResult {
    known_flags(flags, SPLICE_KNOWN)?;
    if len == 0 {
        return Ok(0);
    }
    let (from, to) = (file(call, from)?, file(call, to)?);
    from.check_readable()?;
    to.check_writable()?;
    let done = splice::tee(&from, &to, len, flags & SPLICE_F_NONBLOCK != 0);
    written(call, &to, done)
}

pub(in crate::syscall) fn vmsplice(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    flags: u32,
) -> SysResult {
    known_flags(flags, SPLICE_KNOWN)?;
    let file = file(call, fd)?;
    if !file.writable() {
        file.check_readable()?;
    }
    let space = call.space;
    let vectors = vectors(space, iov, count)?;
    if vectors.iter().all(|vector| vector.len == 0) {
        return Ok(0);
    }
    if file.ops.pipe().is_none() {
        return Err(Errno::EBADF);
    }
    if file.writable() {
        let done = file.write(&mut IoSrc::user(space, &vectors));
        return written(call, &file, done);
    }
    file.read(&mut IoDst::user(space, &vectors)).map(u64_of)
}
