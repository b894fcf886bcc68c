//! Objects whose number a program decides: charged before they are made, so that it gets ENOMEM
//! and the kernel's infallible allocators are never called without the memory being there.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;

use crate::mm::kmem;

/// The counters in front of what an `Arc` holds.
const ARC_HEADER: usize = 2 * size_of::<usize>();

/// An `Arc`, or ENOMEM.
pub(crate) fn try_arc<T>(value: T) -> Result<Arc<T>, Errno> {
    let _charge = kmem::charge(size_of::<T>() + ARC_HEADER).map_err(|_| Errno::ENOMEM)?;
    Ok(Arc::new(value))
}

/// A `Box`, or ENOMEM.
pub(crate) fn try_box<T>(value: T) -> Result<Box<T>, Errno> {
    let _charge = kmem::charge(size_of::<T>()).map_err(|_| Errno::ENOMEM)?;
    Ok(Box::new(value))
}

/// A copy of `bytes`, or ENOMEM.
pub(crate) fn try_copy(bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut copy = Vec::new();
    append(&mut copy, bytes)?;
    Ok(copy)
}

/// `len` zeros, or ENOMEM.
pub(crate) fn try_zeros(len: usize) -> Result<Vec<u8>, Errno> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    zeros.resize(len, 0);
    Ok(zeros)
}

/// Appends `bytes`, or ENOMEM.
pub(crate) fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Errno> {
    to.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
    to.extend_from_slice(bytes);
    Ok(())
}

/// Pushes `value`, or ENOMEM.
pub(crate) fn try_push<T>(to: &mut Vec<T>, value: T) -> Result<(), Errno> {
    to.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    to.push(value);
    Ok(())
}
