//! The time that inodes are stamped with.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::fs::attr::Timestamp;

use crate::arch;

/// Nanoseconds from the epoch to the boot.
static BOOT: AtomicU64 = AtomicU64::new(0);
/// What [`now`] last answered, in nanoseconds since the epoch.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Says what time it was at boot, in nanoseconds since the epoch.
pub(crate) fn set_boot_time(nanos: u64) {
    BOOT.store(nanos, Ordering::Relaxed);
    super::timerfd::clock_was_set();
}

/// Nanoseconds from the epoch to the boot.
pub(crate) fn boot_time() -> u64 {
    BOOT.load(Ordering::Relaxed)
}

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let nanos = boot_time().wrapping_add(arch::time::now_ns());
    LAST.store(nanos, Ordering::Relaxed);
    Timestamp::from_nanos(nanos)
}

/// The time of day when somebody last asked [`now`]: good enough to tell days apart, and free.
pub(crate) fn lately() -> Timestamp {
    Timestamp::from_nanos(LAST.load(Ordering::Relaxed))
}
