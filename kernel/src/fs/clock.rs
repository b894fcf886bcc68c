//! The time of day: where the boot lies on it, which setting the clock moves, the time zone, how far atomic time is ahead;
//! sleeping until it shows a time; and what inodes are stamped with.
//!
//! `arch::time` counts from the boot; [`vdso`] tells programs what is kept here.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::fs::attr::Timestamp;
use kiln_core::fs::stamp::Stamps;

use crate::arch;
use crate::sched::{Mode, WaitQueue, Wake};
use crate::sync::Once;
use crate::vm::vdso;

/// Nanoseconds from the epoch to the boot.
static BOOT: AtomicU64 = AtomicU64::new(0);
/// How often the clock was set, and who sleeps until it shows a time.
static SETS: AtomicU64 = AtomicU64::new(0);
static SLEEPERS: WaitQueue = WaitQueue::new();
static ON_SET: Once<fn()> = Once::new();
/// What inodes are stamped with.
static STAMPS: Stamps = Stamps::new();
/// What [`now`] last answered, in nanoseconds since the epoch.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Says what time it was at boot, in nanoseconds since the epoch.
pub(crate) fn set_boot_time(nanos: u64) {
    BOOT.store(nanos, Ordering::Relaxed);
    vdso::set_offsets(|offsets| offsets.wall_ns = nanos);
    was_set();
}

fn was_set() {
    STAMPS.reset();
    SETS.fetch_add(1, Ordering::Release);
    SLEEPERS.wake_all();
    super::timerfd::clock_was_set();
    if let Some(hook) = ON_SET.get() {
        hook();
    }
}

/// Says who else is told when the clock was set. The first caller stays.
pub(crate) fn on_set(hook: fn()) {
    ON_SET.call_once(|| hook);
}

/// Sleeps until a clock that can be set shows `ns`; `base` is where it begins before the boot. Setting
/// it counts at once.
pub(crate) fn sleep_until(mode: Mode, ns: u64, base: fn() -> u64) -> Result<(), Wake> {
    loop {
        let sets = SETS.load(Ordering::Acquire);
        let deadline = ns.saturating_sub(base()).min(u64::MAX / 2);
        let was_set = || (SETS.load(Ordering::Acquire) != sets).then_some(());
        match SLEEPERS.wait(mode, Some(deadline), was_set) {
            Ok(()) => {}
            Err(Wake::Timeout) => return Ok(()),
            Err(Wake::Signal) => return Err(Wake::Signal),
        }
    }
}

/// How far International Atomic Time is ahead of the time of day, in seconds (`ADJ_TAI`).
pub(crate) fn set_tai(seconds: i32) {
    if vdso::offsets().tai_s != seconds {
        vdso::set_offsets(|offsets| offsets.tai_s = seconds);
        was_set();
    }
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

/// The time of day, as inodes are stamped with it ([`Stamps`]).
pub(crate) fn now() -> Timestamp {
    let nanos = boot_time().wrapping_add(arch::time::now_ns());
    let stamp = STAMPS.stamp(nanos);
    LAST.store(stamp, Ordering::Relaxed);
    Timestamp::from_nanos(stamp)
}

/// Somebody is told of an inode's times.
pub(crate) fn told() {
    STAMPS.told();
}

/// The time of day when somebody last asked [`now`]: good enough to tell days apart, and free.
pub(crate) fn lately() -> Timestamp {
    Timestamp::from_nanos(LAST.load(Ordering::Relaxed))
}
