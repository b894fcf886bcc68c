//! The page of zeroes: the one frame that all pages of programs are which were read and never
//! written, so that what is only looked at takes no memory. It is made when the first of them comes.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::PhysAddr;

use super::{FrameRef, OutOfMemory, count, retain};

/// Handles beyond which it is left alone: the count of a frame has 32 bits.
const MOST: u32 = 1 << 31;

/// Where it lies; 0 before it is made. Its first handle is this one's, for ever.
static PAGE: AtomicU64 = AtomicU64::new(0);

/// A handle of it, for an entry that can't be written; where it has too many, another page of zeroes.
///
/// # Errors
/// [`OutOfMemory`] when it has to be made first, or another has.
pub(in crate::mm) fn zeroes() -> Result<FrameRef, OutOfMemory> {
    let mut raw = PAGE.load(Ordering::Acquire);
    if raw == 0 {
        let made = FrameRef::alloc_ordinary_zeroed()?;
        raw = made.addr().raw();
        match PAGE.compare_exchange(0, raw, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => core::mem::forget(made),
            Err(others) => raw = others,
        }
    }
    let addr = PhysAddr::new(raw);
    if count(addr) >= MOST {
        return FrameRef::alloc_ordinary_zeroed();
    }
    retain(addr);
    // SAFETY: the handle just counted.
    Ok(unsafe { FrameRef::from_raw(addr) })
}

/// Whether the frame at `addr` is the page of zeroes.
#[inline]
pub(crate) fn is_zeroes(addr: PhysAddr) -> bool {
    PAGE.load(Ordering::Relaxed) == addr.raw()
}
