//! Moving bytes between descriptors: `sendfile`, `splice`, `tee`, `vmsplice`, `copy_file_range`.

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::u64_of;

use super::io::{MAX_COUNT, vectors, written};
use super::{Call, SysResult, file, known_flags};
use crate::fs::splice::{self, End};
use crate::vm::{IoDst, IoSrc};

/// Flags of `splice` and its kin (`SPLICE_F_*`).
const SPLICE_KNOWN: u32 = 0xF;
const SPLICE_F_NONBLOCK: u32 = 2;

/// A position kept in the program's memory.
fn read_offset(call: &Call<'_>, addr: UserAddr) -> Result<Option<u64>, Errno> {
    if addr.is_null() {
        return Ok(None);
    }
    let offset: u64 = call.task.space()?.read_val(addr)?;
    if i64::try_from(offset).is_err() {
        return Err(Errno::EINVAL);
    }
    Ok(Some(offset))
}

fn write_offset(call: &Call<'_>, addr: UserAddr, offset: Option<u64>) -> Result<(), Errno> {
    match offset {
        Some(offset) => call.task.space()?.write_val(addr, &offset),
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
    if at.is_some() && from.ops.is_stream() {
        return Err(Errno::ESPIPE);
    }
    let to = file(call, to)?;
    to.check_writable()?;
    if count == 0 {
        return Ok(0);
    }
    if from.ops.is_stream() {
        return Err(if at.is_some() {
            Errno::ESPIPE
        } else {
            Errno::EINVAL
        });
    }
    if to.has(abi::O_APPEND) || from.inode.kind() == FileType::Directory {
        return Err(Errno::EINVAL);
    }
    let done = splice::copy(
        End::new(&from, at),
        End::new(&to, None),
        count.min(MAX_COUNT),
    );
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
    let mut from_at = read_offset(call, from_offset)?;
    let mut to_at = read_offset(call, to_offset)?;
    known_flags(flags, 0)?;
    for file in [&from, &to] {
        match file.inode.kind() {
            FileType::Regular if !file.is_event() => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    from.check_readable()?;
    to.check_writable()?;
    if to.has(abi::O_APPEND) {
        return Err(Errno::EBADF);
    }
    let len = len.min(MAX_COUNT);
    if alloc::sync::Arc::ptr_eq(&from.inode, &to.inode) {
        let start = from_at.unwrap_or_else(|| *from.position());
        let left = from.inode.size().saturating_sub(start);
        let len = len.min(kiln_core::num::usize_of(left));
        let target = to_at.unwrap_or_else(|| *to.position());
        if len > 0
            && start < target.saturating_add(u64_of(len))
            && target < start.saturating_add(u64_of(len))
        {
            return Err(Errno::EINVAL);
        }
    }
    let done = splice::copy(
        End::new(&from, from_at.as_mut()),
        End::new(&to, to_at.as_mut()),
        len,
    )?;
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
    if pipes == (false, false) || to.has(abi::O_APPEND) {
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
    let space = call.task.space()?;
    let vectors = vectors(&space, iov, count)?;
    if vectors.iter().all(|vector| vector.len == 0) {
        return Ok(0);
    }
    if file.ops.pipe().is_none() {
        return Err(Errno::EBADF);
    }
    if file.writable() {
        let done = file.write(&mut IoSrc::user(&space, &vectors));
        return written(call, &file, done);
    }
    file.read(&mut IoDst::user(&space, &vectors)).map(u64_of)
}
