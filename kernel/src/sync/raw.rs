//! The spin lock under all others.
#![allow(unsafe_code, reason = "lock_api's RawMutex is an unsafe trait")]

use core::hint::cold_path;
use core::sync::atomic::{AtomicBool, Ordering};
use lock_api::{GuardSend, RawMutex};

use crate::arch::{Aside, aside, ipi};

/// A spin lock. Whoever waits for it answers what other CPUs ask meanwhile
/// ([`ipi::relax`]), so that the holder may wait for their answers.
///
/// First come isn't first served: on a hypervisor the CPU whose turn it was might not be running.
pub(crate) struct RawSpinLock(AtomicBool);

// SAFETY: the exchange finds false for one at a time, until `unlock`; Acquire and
// Release order what is done under the lock.
unsafe impl RawMutex for RawSpinLock {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "the trait's way to make a lock"
    )]
    const INIT: Self = Self(AtomicBool::new(false));
    type GuardMarker = GuardSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            cold_path();
            aside(self);
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // Shorter than a comparison with it, and as dear; who finds it taken waits without writing.
        !self.0.swap(true, Ordering::Acquire)
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Aside for RawSpinLock {
    /// Takes it after another. Waits by reading only, which leaves the holder its cache line.
    extern "C" fn aside(&self) {
        loop {
            while self.0.load(Ordering::Relaxed) {
                ipi::relax();
            }
            if self.try_lock() {
                return;
            }
        }
    }
}
