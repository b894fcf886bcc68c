//! What one read or write asks for beyond its file's flags: `RWF_*` of `preadv2`, `pwritev2` ([`io`](super::io)) and
//! `io_submit` ([`aio`](super::aio)).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use crate::fs::File;
use crate::vm::IoDst;

const PAGE: u64 = u64_of(PAGE_SIZE);
/// Those that any file takes.
const HARMLESS: u32 = abi::RWF_HIPRI | abi::RWF_DSYNC | abi::RWF_SYNC | abi::RWF_APPEND;

/// EOPNOTSUPP for `RWF_*` flags that aren't known, and for not waiting where a file can't tell whether it would have
/// to: all but those on disks, which can when they are read.
pub(super) fn check(file: &File, flags: u32, write: bool) -> Result<(), Errno> {
    let on_disk = file.inode.mapping().is_some_and(|pages| pages.has_source());
    let no_wait = flags & abi::RWF_NOWAIT != 0 && (write || !on_disk);
    if flags & !(HARMLESS | abi::RWF_NOWAIT) != 0 || no_wait {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(())
}

/// Limits a read to what is in memory, for `RWF_NOWAIT`: EAGAIN when that is nothing.
pub(super) fn limit_to_ready(file: &File, pos: u64, dst: &mut IoDst<'_>) -> Result<(), Errno> {
    let Some(mapping) = file.inode.mapping() else {
        return Ok(());
    };
    let last = pos
        .saturating_add(u64_of(dst.remaining()))
        .min(mapping.size());
    let mut end = pos;
    while end < last && mapping.cached(end / PAGE).is_some() {
        end = (end / PAGE + 1) * PAGE;
    }
    if end == pos && pos < last {
        return Err(Errno::EAGAIN);
    }
    dst.limit(usize_of(end.min(last).saturating_sub(pos)));
    Ok(())
}

/// Brings what was written to its disk, if the flags ask for that; the call's answer.
pub(super) fn settle(
    file: &Arc<File>,
    flags: u32,
    done: Result<usize, Errno>,
) -> Result<usize, Errno> {
    if done.is_ok() && flags & (abi::RWF_DSYNC | abi::RWF_SYNC) != 0 {
        file.ops.sync(file, flags & abi::RWF_SYNC == 0)?;
    }
    done
}
