//! Locks that spin, named by what they do about interrupts.
//!
//! - [`SpinLock`]: for data that no interrupt handler touches. Interrupts stay as they are.
//! - [`IrqLock`]: for data that interrupt handlers touch too. Interrupts are off while it is held.
//!
//! Neither is held across a wait, a user copy, a memory charge or a shootdown. Locks that sleep
//! are the scheduler's (`sched::Mutex`, `sched::RwLock`).

mod irq;

pub(crate) use irq::IrqLock;
pub(crate) use spin::Once;

/// The raw spin lock under both.
pub(crate) type RawSpinLock = spin::mutex::Mutex<(), spin::relax::Spin>;
/// For data that no interrupt handler touches.
pub(crate) type SpinLock<T> = lock_api::Mutex<RawSpinLock, T>;
/// What holding a [`SpinLock`] looks like.
pub(crate) type SpinLockGuard<'a, T> = lock_api::MutexGuard<'a, RawSpinLock, T>;
