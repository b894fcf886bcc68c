//! [`Once`]: a value that is made once, by whoever needs it first.
//!
//! What is the same for all types stands in two functions that aren't generic: nearly every `Once` is met
//! once only, at boot, where code that is new costs most.
#![allow(
    unsafe_code,
    reason = "a value that is there for some and not yet for others"
)]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::arch::ipi;

/// There is no value.
const EMPTY: u8 = 0;
/// Somebody is making it.
const BUSY: u8 = 1;
/// It is there, for good.
const FULL: u8 = 2;

/// A value that is made once.
pub(crate) struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by one CPU alone, which holds `BUSY`, and only read after `FULL`; whoever
// makes it may be another thread than the one that drops it or reads it.
unsafe impl<T: Send + Sync> Sync for Once<T> {}
// SAFETY: it owns its value.
unsafe impl<T: Send> Send for Once<T> {}

/// Waits until the value is there or may be made by the caller; whether it may.
#[inline(never)]
fn begin(state: &AtomicU8) -> bool {
    loop {
        // Nearly always: without taking the line from the other CPUs.
        if state.load(Ordering::Acquire) == FULL {
            return false;
        }
        match state.compare_exchange(EMPTY, BUSY, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(_) => ipi::relax(),
        }
    }
}

impl<T> Once<T> {
    /// Without a value.
    pub(crate) const fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The value, if it is there.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) == FULL {
            // SAFETY: full, so it was written before and is never written again.
            Some(unsafe { self.full() })
        } else {
            None
        }
    }

    /// # Safety
    /// The state is `FULL`, and the caller has seen that with `Acquire`, or wrote the value itself.
    unsafe fn full(&self) -> &T {
        // SAFETY: the caller's promise.
        unsafe { (*self.value.get()).assume_init_ref() }
    }

    /// The value, made now if it isn't there. `make` isn't called again while it runs: it must not ask for
    /// the same value.
    pub(crate) fn call_once(&self, make: impl FnOnce() -> T) -> &T {
        if begin(&self.state) {
            self.fill(make());
        }
        // SAFETY: `begin` saw it full, or it was filled above.
        unsafe { self.full() }
    }

    /// The value, made now if it isn't there; when that fails the next caller tries again.
    pub(crate) fn try_call_once<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if begin(&self.state) {
            match make() {
                Ok(value) => self.fill(value),
                Err(error) => {
                    self.state.store(EMPTY, Ordering::Release);
                    return Err(error);
                }
            }
        }
        // SAFETY: as in `call_once`.
        Ok(unsafe { self.full() })
    }

    /// Puts the value in. The caller holds `BUSY`.
    fn fill(&self, value: T) {
        // SAFETY: nobody else writes while the state is `BUSY`, and nobody reads before it is `FULL`.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(FULL, Ordering::Release);
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: written, and nobody refers to it any more.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}
