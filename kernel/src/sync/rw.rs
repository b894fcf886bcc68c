//! The lock under the scheduler's `RwLock`: many readers or one writer, only ever tried.
#![allow(unsafe_code, reason = "lock_api's RawRwLock is an unsafe trait")]

use core::sync::atomic::{AtomicU32, Ordering};
use lock_api::{GuardSend, RawRwLock};

use crate::arch::ipi;

/// Readers, or [`WRITER`]. An attempt that fails leaves no trace, so it can't make another one fail.
pub(crate) struct RawTryRwLock(AtomicU32);

const WRITER: u32 = u32::MAX;

// SAFETY: there are readers, or one writer, or neither: every change is one exchange from the state
// that allows it. Acquire and Release order what is done under the lock.
unsafe impl RawRwLock for RawTryRwLock {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "the trait's way to make a lock"
    )]
    const INIT: Self = Self(AtomicU32::new(0));
    type GuardMarker = GuardSend;

    fn lock_shared(&self) {
        while !self.try_lock_shared() {
            ipi::relax();
        }
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        let mut readers = self.0.load(Ordering::Relaxed);
        while readers < WRITER - 1 {
            match self.0.compare_exchange_weak(
                readers,
                readers + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => readers = now,
            }
        }
        false
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    fn lock_exclusive(&self) {
        while !self.try_lock_exclusive() {
            ipi::relax();
        }
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.0
            .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        self.0.store(0, Ordering::Release);
    }
}
