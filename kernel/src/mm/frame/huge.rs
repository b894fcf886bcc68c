//! Blocks of 512 frames that are mapped as one page: see `paging::huge` for who holds what.

use core::sync::atomic::Ordering;
use kiln_core::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use kiln_core::frames::Pfn;
use kiln_core::num::{u64_of, usize_of32};

use super::pool::{POOL, record};
use super::{FrameRef, address, pfn_of};
use crate::mm::copy;
use crate::mm::layout::physmap;

/// 2 MiB.
const ORDER: u8 = 9;
const FRAMES: u32 = 1 << ORDER;

/// A huge page that nobody maps yet, with whatever was in it.
pub(crate) struct HugeBlock(Pfn);

impl HugeBlock {
    /// One, if it can be had without anybody giving something up, and leaves enough for those who
    /// want a single page.
    pub(crate) fn alloc() -> Option<Self> {
        let mut pool = POOL.lock();
        let spare = pool.kept() + usize_of32(FRAMES) + pool.total / 32;
        if pool.free_frames() <= spare {
            return None;
        }
        let first = pool.alloc_separate(ORDER)?;
        drop(pool);
        for pfn in first..first + FRAMES {
            record(pfn).count.store(1, Ordering::Relaxed);
        }
        let mappings = &record(first).next;
        mappings.store(1, Ordering::Relaxed);
        record(first).prev.store(0, Ordering::Relaxed);
        Some(Self(first))
    }

    /// Fills it with zeroes.
    pub(crate) fn zero(&self) {
        let at = physmap::<u64>(address(self.0)).expose_provenance();
        // SAFETY: the block is this handle's alone; the physmap shows all memory.
        unsafe { copy::raw_zero(u64_of(at), usize_of32(FRAMES) << PAGE_SHIFT) };
    }

    /// Makes the page at `index`, below 512, what the frame at `from` is; or zeroes.
    pub(in crate::mm) fn set_page(&self, index: usize, from: Option<PhysAddr>) {
        debug_assert!(index < usize_of32(FRAMES), "{index} lies behind the block");
        let at = |addr| u64_of(physmap::<u64>(addr).expose_provenance());
        let to = at(address(self.0)) + u64_of(index << PAGE_SHIFT);
        // SAFETY: a page of the block, which is this handle's alone; the caller's frame is another.
        unsafe {
            match from {
                Some(from) => copy::raw_copy(to, at(from), PAGE_SIZE),
                None => copy::raw_zero(to, PAGE_SIZE),
            }
        }
    }

    /// Turns the handle into an address, for an entry to hold.
    pub(in crate::mm) fn into_raw(self) -> PhysAddr {
        let addr = address(self.0);
        core::mem::forget(self);
        addr
    }
}

impl Drop for HugeBlock {
    fn drop(&mut self) {
        // SAFETY: the handle's own.
        unsafe { huge_release(address(self.0)) };
    }
}

/// One mapping more of the block at `addr`, which is mapped.
pub(in crate::mm) fn huge_retain(addr: PhysAddr) {
    record(pfn_of(addr)).next.fetch_add(1, Ordering::Relaxed);
}

/// How many times the block at `addr` is mapped.
pub(in crate::mm) fn huge_mappings(addr: PhysAddr) -> u32 {
    record(pfn_of(addr)).next.load(Ordering::Relaxed)
}

/// Whether the mapping that the caller has is the only one of any of the block's frames.
pub(in crate::mm) fn huge_is_exclusive(addr: PhysAddr) -> bool {
    let first = record(pfn_of(addr));
    first.next.load(Ordering::Acquire) == 1 && first.prev.load(Ordering::Acquire) == 0
}

/// Turns one mapping of the block into one handle of each of its frames.
///
/// # Safety
/// The mapping is the caller's, and so are the handles then.
pub(in crate::mm) unsafe fn huge_to_frames(addr: PhysAddr) {
    let first = pfn_of(addr);
    let mappings = &record(first).next;
    if mappings.load(Ordering::Acquire) == 1 {
        // The block's own handles: more mappings can only come from the caller.
        return;
    }
    for pfn in first..first + FRAMES {
        record(pfn).count.fetch_add(1, Ordering::Relaxed);
    }
    // Other mappings aren't alone with the frames any more.
    record(first).prev.store(1, Ordering::Release);
    // SAFETY: the caller's mapping.
    unsafe { huge_release(addr) };
}

/// Ends one mapping of the block; with the last one its handles go.
///
/// # Safety
/// The mapping is the caller's, and no TLB knows it any more unless the frames stay.
pub(in crate::mm) unsafe fn huge_release(addr: PhysAddr) {
    let first = pfn_of(addr);
    if record(first).next.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    let frames = first..first + FRAMES;
    let alone = |pfn: Pfn| record(pfn).count.load(Ordering::Acquire) == 1;
    if frames.clone().all(alone) {
        POOL.lock().free_separate(first, ORDER);
    } else {
        // SAFETY: the handles that the block held.
        frames.for_each(|pfn| drop(unsafe { FrameRef::from_raw(address(pfn)) }));
    }
}
