//! Charging: the promise, made before an object is allocated infallibly, that memory is there.
//!
//! `Arc::new`, `Box::new` and `BTreeMap` abort the kernel when the heap can't grow. So whoever makes
//! an object that a program can multiply charges it first and lets the program have ENOMEM.

use super::frame::OutOfMemory;

/// Proof of a charge.
#[derive(Debug)]
#[must_use]
pub(crate) struct Charge(());

/// Makes sure that allocations of `bytes` in total, made next, will succeed.
pub(crate) fn charge(bytes: usize) -> Result<Charge, OutOfMemory> {
    // The heap has this much in one piece, or takes it from the frames now, and keeps it.
    let mut probe = alloc::vec::Vec::<u8>::new();
    probe.try_reserve_exact(bytes).map_err(|_| OutOfMemory)?;
    Ok(Charge(()))
}
