//! What a program's writing may do, for the file room: how large it may make a file (`RLIMIT_FSIZE`), and
//! whether that keeps its set-id bits.

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::Signal;

use super::signal;

/// How many bytes the running program may write to a file from `pos` on. Beyond its limit it gets
/// SIGXFSZ (setrlimit(2), `RLIMIT_FSIZE`).
///
/// # Errors
/// `EFBIG`.
pub(super) fn room(pos: u64) -> Result<u64, Errno> {
    let Some(task) = super::current() else {
        return Ok(u64::MAX);
    };
    let limit = task.process().limit(abi::RLIMIT_FSIZE);
    if pos < limit {
        return Ok(limit - pos);
    }
    signal::send_own(&task, Signal::XFSZ);
    Err(Errno::EFBIG)
}

/// Whether files keep their set-id bits when the running program writes to them: with `CAP_FSETID`, and the
/// kernel's own writing takes none.
pub(super) fn keeps_set_id() -> bool {
    super::current().is_none_or(|task| task.creds().has(abi::CAP_FSETID))
}
