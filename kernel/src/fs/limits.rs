//! What writing may do, which the process room knows of the running program: how large it may make a file
//! (`RLIMIT_FSIZE`), and whether the file keeps its set-id bits (`CAP_FSETID`).

use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::errno::Errno;

use crate::sync::Once;

/// Answers how many bytes the running program may write from a position on; EFBIG, with the signal
/// sent, when none.
pub(crate) type Room = fn(u64) -> Result<u64, Errno>;

/// Answers whether the running program has `CAP_FSETID`.
pub(crate) type KeepsSetId = fn() -> bool;

static ROOM: Once<Room> = Once::new();
static KEEPS_SET_ID: Once<KeepsSetId> = Once::new();
/// Some program has ever had a limit.
static LIMITED: AtomicBool = AtomicBool::new(false);

/// Says who knows the limits.
pub(crate) fn set_hooks(room: Room, keeps_set_id: KeepsSetId) {
    ROOM.call_once(|| room);
    KEEPS_SET_ID.call_once(|| keeps_set_id);
}

/// A program gets a limit: from now on they are looked at.
pub(crate) fn begin_limiting() {
    LIMITED.store(true, Ordering::Relaxed);
}

/// How many bytes the running program may write from `pos` on.
#[inline]
pub(super) fn room(pos: u64) -> Result<u64, Errno> {
    if !LIMITED.load(Ordering::Relaxed) {
        return Ok(u64::MAX);
    }
    ROOM.get().map_or(Ok(u64::MAX), |room| room(pos))
}

/// Whether files keep their set-id bits when the running program writes to them.
pub(super) fn keeps_set_id() -> bool {
    KEEPS_SET_ID.get().is_none_or(|keeps| keeps())
}
