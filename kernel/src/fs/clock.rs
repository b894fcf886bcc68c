//! The time that inodes are stamped with.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::fs::attr::Timestamp;

use crate::arch;
use crate::vm::vdso;

/// Nanoseconds from the epoch to the boot.
static BOOT: AtomicU64 = AtomicU64::new(0);
/// What [`now`] last answered, in nanoseconds since the epoch.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Says what time it was at boot, in nanoseconds since the epoch.
pub(crate) fn set_boot_time(nanos: u64) {
    BOOT.store(nanos, Ordering::Relaxed);
    vdso::set_offsets(|offsets| offsets.wall_ns = nanos);
    super::timerfd::clock_was_set();
}

/// How far International Atomic Time is ahead of the time of day, in seconds (`ADJ_TAI`).
pub(crate) fn set_tai(seconds: i32) {
    vdso::set_offsets(|offsets| offsets.tai_s = seconds);
}

/// Nanoseconds from International Atomic Time's own epoch to the boot.
pub(crate) fn tai_boot_time() -> u64 {
    vdso::offsets().tai_ns()
}

/// `struct timezone`, which the kernel keeps and doesn't heed.
pub(crate) fn zone() -> u64 {
    vdso::offsets().zone_word()
}

/// Sets that: minutes west of Greenwich, and the kind of daylight saving.
pub(crate) fn set_zone(zone: [i32; 2]) {
    vdso::set_offsets(|offsets| offsets.zone = zone);
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
