//! The lock that keeps interrupts off.
#![allow(unsafe_code, reason = "lock_api's RawMutex is an unsafe trait")]

use core::sync::atomic::{AtomicBool, Ordering};
use lock_api::{GuardNoSend, RawMutex};
use x86_64::instructions::interrupts;

use super::RawSpinLock;

/// For data that interrupt handlers touch too: interrupts are off while it is held, and get back to
/// what they were.
pub(crate) type IrqLock<T> = lock_api::Mutex<RawIrqLock, T>;

/// A spin lock and the interrupt flag to go back to.
pub(crate) struct RawIrqLock {
    lock: RawSpinLock,
    /// Whether interrupts were on when the holder took the lock; the holder's to read and write.
    were_on: AtomicBool,
}

// SAFETY: exclusion is the inner lock's. `were_on` is only touched by the holder, between taking
// and releasing it.
unsafe impl RawMutex for RawIrqLock {
    const INIT: Self = Self {
        lock: RawSpinLock::INIT,
        were_on: AtomicBool::new(false),
    };
    // A guard that moved to another CPU would switch interrupts on there.
    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        let were_on = interrupts::are_enabled();
        interrupts::disable();
        RawMutex::lock(&self.lock);
        self.were_on.store(were_on, Ordering::Relaxed);
    }

    fn try_lock(&self) -> bool {
        let were_on = interrupts::are_enabled();
        interrupts::disable();
        let taken = RawMutex::try_lock(&self.lock);
        if taken {
            self.were_on.store(were_on, Ordering::Relaxed);
        } else if were_on {
            interrupts::enable();
        }
        taken
    }

    unsafe fn unlock(&self) {
        let were_on = self.were_on.load(Ordering::Relaxed);
        // SAFETY: the caller holds the lock, as this function demands.
        unsafe { RawMutex::unlock(&self.lock) };
        if were_on {
            interrupts::enable();
        }
    }

    fn is_locked(&self) -> bool {
        RawMutex::is_locked(&self.lock)
    }
}
