//! How large a program may make a file: `RLIMIT_FSIZE`, which the process room knows.

use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::errno::Errno;

use crate::sync::Once;

/// Answers how many bytes the running program may write from a position on; EFBIG, with the signal
/// sent, when none.
pub(crate) type Room = fn(u64) -> Result<u64, Errno>;

static ROOM: Once<Room> = Once::new();
/// Some program has ever had a limit.
static LIMITED: AtomicBool = AtomicBool::new(false);

/// Says who knows the limits.
pub(crate) fn set_room(room: Room) {
    ROOM.call_once(|| room);
}

/// A program gets a limit: from now on they are looked at.
pub(crate) fn begin_limiting() {
    LIMITED.store(true, Ordering::Relaxed);
}

/// How many bytes the running program may write from `pos` on.
pub(super) fn room(pos: u64) -> Result<u64, Errno> {
    if !LIMITED.load(Ordering::Relaxed) {
        return Ok(u64::MAX);
    }
    ROOM.get().map_or(Ok(u64::MAX), |room| room(pos))
}
