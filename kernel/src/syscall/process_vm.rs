//! `process_vm_readv` and `process_vm_writev`: another process's memory (`mm/process_vm_access.c`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;

use super::fs::vectored::vectors;
use super::{Call, SysResult};
use crate::fs::memory::try_zeros;
use crate::process::{proc, table};
use crate::vm::{AddressSpace, IoDst, IoSrc, IoVec};

/// The other process's memory and its pieces; `pid` is any thread's number.
fn remote(
    call: &Call<'_>,
    pid: i32,
    iov: UserAddr,
    count: u64,
) -> Result<(Arc<AddressSpace>, Vec<IoVec>), Errno> {
    let pieces = vectors(call.space, iov, count)?;
    let number = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let other = table::task(number).ok_or(Errno::ESRCH)?;
    if !proc::may_inspect(call.task, &other) {
        return Err(Errno::EPERM);
    }
    Ok((other.space()?, pieces))
}

/// Goes through the pieces, a page at a time and `room` bytes at most: `move_part(at, len)` answers
/// what it moved.
fn for_parts(
    pieces: &[IoVec],
    mut room: usize,
    mut move_part: impl FnMut(UserAddr, usize) -> usize,
) -> SysResult {
    let mut done = 0;
    for piece in pieces {
        let (mut at, mut left) = (piece.base, piece.len);
        while left > 0 && room > 0 {
            let len = left.min(PAGE_SIZE - at.page_offset()).min(room);
            let moved = move_part(at, len);
            done += moved;
            if moved < len {
                return if done > 0 {
                    Ok(u64_of(done))
                } else {
                    Err(Errno::EFAULT)
                };
            }
            left -= len;
            room -= len;
            at = at.checked_add(u64_of(len)).ok_or(Errno::EFAULT)?;
        }
    }
    Ok(u64_of(done))
}

/// The caller's own buffers; there are no flags.
fn local_vectors(
    space: &Arc<AddressSpace>,
    iov: UserAddr,
    count: u64,
    flags: u64,
) -> Result<Vec<IoVec>, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    vectors(space, iov, count)
}

/// What a call is about: the caller's memory and the other's, and a page to carry bytes in.
struct Both<'a> {
    space: &'a Arc<AddressSpace>,
    own: Vec<IoVec>,
    remote: Arc<AddressSpace>,
    pieces: Vec<IoVec>,
    buffer: Vec<u8>,
}

/// Looks at the arguments in Linux's order; `None` when there is nothing to do.
fn both<'a>(
    call: &Call<'a>,
    pid: i32,
    (local, local_count): (UserAddr, u64),
    (other, other_count): (UserAddr, u64),
    flags: u64,
) -> Result<Option<Both<'a>>, Errno> {
    let space = call.space;
    let own = local_vectors(space, local, local_count, flags)?;
    if own.iter().all(|vector| vector.len == 0) {
        return Ok(None);
    }
    let (remote, pieces) = remote(call, pid, other, other_count)?;
    Ok(Some(Both {
        space,
        own,
        remote,
        pieces,
        buffer: try_zeros(PAGE_SIZE)?,
    }))
}

pub(super) fn process_vm_readv(
    call: &mut Call<'_>,
    pid: i32,
    local: UserAddr,
    local_count: u64,
    other: UserAddr,
    other_count: u64,
    flags: u64,
) -> SysResult {
    let both = both(call, pid, (local, local_count), (other, other_count), flags)?;
    let Some(mut both) = both else { return Ok(0) };
    let mut dst = IoDst::user(both.space, &both.own);
    let room = dst.remaining();
    for_parts(&both.pieces, room, |at, len| {
        let part = both.buffer.get_mut(..len).unwrap_or_default();
        let read = both.remote.peek(part, at);
        dst.put(part.get(..read).unwrap_or_default()).unwrap_or(0)
    })
}

pub(super) fn process_vm_writev(
    call: &mut Call<'_>,
    pid: i32,
    local: UserAddr,
    local_count: u64,
    other: UserAddr,
    other_count: u64,
    flags: u64,
) -> SysResult {
    let both = both(call, pid, (local, local_count), (other, other_count), flags)?;
    let Some(mut both) = both else { return Ok(0) };
    let mut src = IoSrc::user(both.space, &both.own);
    let room = src.remaining();
    for_parts(&both.pieces, room, |at, len| {
        let part = both.buffer.get_mut(..len).unwrap_or_default();
        let taken = src.take(part).unwrap_or(0);
        both.remote.poke(at, part.get(..taken).unwrap_or_default())
    })
}
