//! [`Mutex`] and [`RwLock`]: locks whose waiters sleep, so that they may be held across a wait.
//!
//! Each is a spin lock that is only ever tried, and a queue for those who fail.
//! Waiting for one can't be interrupted.

use core::ops::{Deref, DerefMut};

use super::wait::{Mode, WaitQueue};
use crate::sync::{RawTryRwLock, SpinLock, SpinLockGuard};

/// A lock whose waiters sleep.
pub(crate) struct Mutex<T> {
    cell: SpinLock<T>,
    queue: WaitQueue,
}

/// What holding a [`Mutex`] looks like.
pub(crate) struct MutexGuard<'a, T> {
    // The order counts: the lock opens before the next one is woken.
    guard: SpinLockGuard<'a, T>,
    _wake: WakeOnDrop<'a>,
}

/// Wakes waiters when a guard goes.
struct WakeOnDrop<'a>(&'a WaitQueue);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        self.0.wake_one();
    }
}

/// Waits for what can't fail. Apart from the locking, which saves no registers then.
#[cold]
#[inline(never)]
fn forever<T>(queue: &WaitQueue, mut attempt: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Ok(value) = queue.wait(Mode::Uninterruptible, None, &mut attempt) {
            return value;
        }
    }
}

impl<T> Mutex<T> {
    /// An open lock.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            cell: SpinLock::new(value),
            queue: WaitQueue::new(),
        }
    }

    /// Takes the lock, sleeping until it is open.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = match self.cell.try_lock() {
            Some(guard) => guard,
            None => forever(&self.queue, || self.cell.try_lock()),
        };
        self.guarded(guard)
    }

    fn guarded<'a>(&'a self, guard: SpinLockGuard<'a, T>) -> MutexGuard<'a, T> {
        MutexGuard {
            guard,
            _wake: WakeOnDrop(&self.queue),
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A lock for many readers or one writer, whose waiters sleep. Waiting writers don't keep new
/// readers out.
pub(crate) struct RwLock<T> {
    cell: lock_api::RwLock<RawTryRwLock, T>,
    queue: WaitQueue,
}

/// What reading under a [`RwLock`] looks like.
pub(crate) struct RwLockReadGuard<'a, T> {
    guard: lock_api::RwLockReadGuard<'a, RawTryRwLock, T>,
    _wake: WakeAllOnDrop<'a>,
}

/// What writing under a [`RwLock`] looks like.
pub(crate) struct RwLockWriteGuard<'a, T> {
    guard: lock_api::RwLockWriteGuard<'a, RawTryRwLock, T>,
    _wake: WakeAllOnDrop<'a>,
}

/// Wakes all waiters when a guard goes: readers may all go on.
struct WakeAllOnDrop<'a>(&'a WaitQueue);

impl Drop for WakeAllOnDrop<'_> {
    fn drop(&mut self) {
        self.0.wake_all();
    }
}

impl<T> RwLock<T> {
    /// An open lock.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            cell: lock_api::RwLock::new(value),
            queue: WaitQueue::new(),
        }
    }

    /// Takes the lock for reading, sleeping while it is written under.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        let guard = match self.cell.try_read() {
            Some(guard) => guard,
            None => forever(&self.queue, || self.cell.try_read()),
        };
        RwLockReadGuard {
            guard,
            _wake: WakeAllOnDrop(&self.queue),
        }
    }

    /// Takes the lock for writing, sleeping while anybody holds it.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let guard = match self.cell.try_write() {
            Some(guard) => guard,
            None => forever(&self.queue, || self.cell.try_write()),
        };
        RwLockWriteGuard {
            guard,
            _wake: WakeAllOnDrop(&self.queue),
        }
    }

    /// Takes the lock for reading when nobody writes under it.
    pub(crate) fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let guard = self.cell.try_read()?;
        Some(RwLockReadGuard {
            guard,
            _wake: WakeAllOnDrop(&self.queue),
        })
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
