//! Locks that spin, named by what they do about interrupts.
//!
//! - [`SpinLock`]: for data that no interrupt handler touches. Interrupts stay as they are.
//! - [`IrqLock`]: for data that interrupt handlers touch too. Interrupts are off while it is held.
//!
//! Neither is held across a wait, a user copy, a memory charge or a shootdown. Locks that sleep
//! are the scheduler's (`sched::Mutex`, `sched::RwLock`).

mod irq;
mod once;
mod raw;
mod rw;

pub(crate) use irq::IrqLock;
pub(crate) use once::Once;
pub(crate) use raw::RawSpinLock;
pub(crate) use rw::RawTryRwLock;

/// For data that no interrupt handler touches.
pub(crate) type SpinLock<T> = lock_api::Mutex<RawSpinLock, T>;
/// What holding a [`SpinLock`] looks like.
pub(crate) type SpinLockGuard<'a, T> = lock_api::MutexGuard<'a, RawSpinLock, T>;
