//! The kernel heap: small objects in [slabs](super::slab), middling ones by `talc` over blocks of
//! frames, which it takes as it grows and keeps, large ones [page by page](super::vmalloc).
//!
//! A reserve of frames is set aside for growth when the frame allocator has none left, so that what
//! was [charged](super::kmem) can be allocated without fail.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use kiln_core::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use kiln_core::frames::MAX_ORDER;
use kiln_core::num::{low8, u64_of, usize_of};
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use super::frame::{self, FrameRef, OutOfMemory};
use super::layout::physmap;
use super::slab::{self, Slabs, class_of};
use super::vmalloc;
use crate::sync::{RawSpinLock, SpinLock};

/// `talc`'s part grows by this if it can: 64 KiB.
const GROWTH_ORDER: u8 = 4;
/// Objects above this many bytes are mapped page by page, and smaller ones when `talc` finds no
/// block for them.
const MAPPED: usize = 8192;
/// Frames of the reserve: 128 KiB.
const RESERVE: usize = 32;

/// Frames that slabs and `talc` have.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// How many frames small and middling objects lie in (Linux: `Slab` in `/proc/meminfo`).
pub(crate) fn held_frames() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// The global allocator.
struct Heap {
    small: SpinLock<Slabs>,
    large: talc::TalcLock<RawSpinLock, Frames>,
}

#[global_allocator]
static HEAP: Heap = Heap {
    small: SpinLock::new(Slabs::new()),
    large: talc::TalcLock::new(Frames),
};

// SAFETY: all parts give out memory that nobody else has, as large and as aligned as the layout
// says; which part an object came from follows from its layout and address.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(class) => slab::take(class).unwrap_or_else(|| self.alloc_small(class)),
            // SAFETY: the layout is the caller's, of a size that isn't zero.
            None => unsafe { self.alloc_large(layout) },
        }
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        // SAFETY: allocated above with the same layout, as the caller promises.
        unsafe {
            match class_of(layout) {
                Some(class) if slab::keep(class, object) => {}
                Some(class) => self.free_small(class, object),
                None => self.free_large(object, layout),
            }
        }
    }

    unsafe fn realloc(&self, object: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
            return core::ptr::null_mut();
        };
        match (class_of(layout), class_of(wanted)) {
            (Some(old), Some(new)) if old == new => return object,
            (None, None) => {
                // SAFETY: allocated there, and the caller's promises.
                let same = unsafe { self.realloc_large(object, layout, size) };
                if !same.is_null() {
                    return same;
                }
            }
            _ => {}
        }
        // SAFETY: a new object, a copy of what fits both, the old one given back.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(object, layout.size().min(size));
                self.dealloc(object, layout);
            }
            moved
        }
    }
}

impl Heap {
    /// An object of the class's slabs; null when memory has run out.
    #[inline(never)]
    fn alloc_small(&self, class: usize) -> *mut u8 {
        let object = self.small.lock().alloc(class, grow_slabs);
        object.unwrap_or(core::ptr::null_mut())
    }

    /// # Safety
    /// As [`GlobalAlloc::dealloc`], for an object of the class.
    #[inline(never)]
    unsafe fn free_small(&self, class: usize, object: *mut u8) {
        // SAFETY: the caller's promise.
        let empty = unsafe { self.small.lock().free(class, object) };
        if let Some(frame) = empty {
            HELD.fetch_sub(1, Ordering::Relaxed);
            drop(frame);
        }
    }

    /// # Safety
    /// As [`GlobalAlloc::dealloc`], for an object of no class.
    #[inline(never)]
    unsafe fn free_large(&self, object: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; where it lies says which part it is of.
        unsafe {
            if is_mapped(object) {
                vmalloc::free(u64_of(object.expose_provenance()), layout.size());
            } else {
                self.large.dealloc(object, layout);
            }
        }
    }

    /// # Safety
    /// As [`GlobalAlloc::alloc`].
    #[inline(never)]
    unsafe fn alloc_large(&self, layout: Layout) -> *mut u8 {
        if layout.size() <= MAPPED {
            // SAFETY: the caller's promise.
            let object = unsafe { self.large.alloc(layout) };
            if !object.is_null() {
                return object;
            }
        }
        match vmalloc::alloc(layout.size(), layout.align()) {
            Ok(va) => core::ptr::with_exposed_provenance_mut(usize_of(va)),
            Err(OutOfMemory) => core::ptr::null_mut(),
        }
    }

    /// Null, and nothing has changed, when it must move to another part.
    ///
    /// # Safety
    /// As [`GlobalAlloc::realloc`]; neither the old nor the new size is a slab's.
    unsafe fn realloc_large(&self, object: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_mapped(object) {
            let va = u64_of(object.expose_provenance());
            // SAFETY: the caller's promise.
            let resized = unsafe { vmalloc::resize(va, layout.size(), size) };
            return if resized {
                object
            } else {
                core::ptr::null_mut()
            };
        }
        if size > MAPPED {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { self.large.realloc(object, layout, size) }
    }
}

/// Whether a large object is one that was mapped page by page.
fn is_mapped(object: *mut u8) -> bool {
    vmalloc::contains(u64_of(object.addr()))
}

fn grow_slabs() -> Result<FrameRef, OutOfMemory> {
    let frame = FrameRef::alloc().or_else(|OutOfMemory| SPARE.lock().take())?;
    HELD.fetch_add(1, Ordering::Relaxed);
    Ok(frame)
}

/// Where `talc` gets memory from.
#[derive(Debug)]
struct Frames;

// SAFETY: takes frames from the frame allocator and the reserve, which neither allocate from the
// heap nor log.
unsafe impl Source for Frames {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let needed = order_for(layout).ok_or(())?;
        let (block, order) = grow(needed).map_err(|OutOfMemory| ())?;
        // SAFETY: the block is ours for good, mapped and writable in the physmap.
        unsafe { talc.claim(physmap(block), PAGE_SIZE << order) };
        HELD.fetch_add(1 << order, Ordering::Relaxed);
        Ok(())
    }
}

/// The smallest block in which `layout` finds room beside the heap's own words.
fn order_for(layout: Layout) -> Option<u8> {
    let bytes = layout
        .size()
        .checked_add(layout.align())?
        .checked_add(256)?;
    let pages = bytes.div_ceil(PAGE_SIZE).checked_next_power_of_two()?;
    let order = low8(u64_of(pages).trailing_zeros().into());
    (order <= MAX_ORDER && bytes >> PAGE_SHIFT <= 1 << MAX_ORDER).then_some(order)
}

/// A block of the order wanted, or of the one needed, or a frame of the reserve.
fn grow(needed: u8) -> Result<(PhysAddr, u8), OutOfMemory> {
    for order in (needed..=GROWTH_ORDER.max(needed)).rev() {
        if let Ok(block) = frame::alloc_block(order) {
            return Ok((block, order));
        }
    }
    match needed {
        0 => SPARE.lock().take().map(|frame| (frame.into_raw(), 0)),
        _ => Err(OutOfMemory),
    }
}

/// Frames set aside.
struct Spare([Option<FrameRef>; RESERVE]);

static SPARE: SpinLock<Spare> = SpinLock::new(Spare([const { None }; RESERVE]));
/// Whether nothing has been taken from it since it was filled.
static FULL: AtomicBool = AtomicBool::new(false);

impl Spare {
    fn take(&mut self) -> Result<FrameRef, OutOfMemory> {
        FULL.store(false, Ordering::Relaxed);
        self.0.iter_mut().find_map(Option::take).ok_or(OutOfMemory)
    }

    fn fill(&mut self) -> Result<(), OutOfMemory> {
        for slot in self.0.iter_mut().filter(|slot| slot.is_none()) {
            *slot = Some(FrameRef::alloc()?);
        }
        FULL.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether the reserve is whole.
#[inline]
pub(super) fn reserve_is_whole() -> bool {
    FULL.load(Ordering::Relaxed)
}

/// Makes it whole.
pub(super) fn fill_reserve() -> Result<(), OutOfMemory> {
    if reserve_is_whole() {
        Ok(())
    } else {
        SPARE.lock().fill()
    }
}
