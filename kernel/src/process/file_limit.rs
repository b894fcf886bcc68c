//! How large a program may make a file: `RLIMIT_FSIZE`, for the file room.

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
