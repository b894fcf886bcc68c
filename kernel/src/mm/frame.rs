//! Physical frames: an allocator of blocks, and [`FrameRef`], a counted handle of one frame.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
pub(crate) use kiln_core::frames::OutOfMemory;
use kiln_core::frames::Pfn;
use kiln_core::num::{low32, u64_of, usize_of};

use super::boot::FreeRanges;
use super::copy;
use super::layout::physmap;
use crate::sync::Once;

mod huge;
mod pool;
mod zeroes;

pub(crate) use huge::HugeBlock;
pub(super) use huge::{
    huge_is_exclusive, huge_mappings, huge_release, huge_retain, huge_to_frames,
};
use pool::{KEPT, POOL, SHORT, make_records, record, zero_page};
pub(crate) use zeroes::is_zeroes;
pub(super) use zeroes::zeroes;

/// Most separate ranges of free memory.
pub(crate) const MAX_RANGES: usize = 40;
const PAGE: u64 = PAGE_SIZE as u64;

fn pfn_of(addr: PhysAddr) -> Pfn {
    low32(addr.raw() >> PAGE_SHIFT)
}

/// Adds memory that was in use until now: the boot's own.
pub(super) fn add(start: u64, end: u64) {
    let mut pool = POOL.lock();
    // Too many ranges: then it stays unused.
    if pool.fresh.add(start, end).is_ok() {
        pool.total += usize_of((end - start) >> PAGE_SHIFT);
    }
}

/// Modules' memory below this has been given back.
static RELEASED: AtomicU64 = AtomicU64::new(0);

/// Gives back the whole pages of the module that `until` lies in or ends, up to `until`: they have
/// been read and nobody will ask for them any more. A page that somebody still has stays, and what
/// is behind it.
pub(crate) fn release_module(until: PhysAddr) {
    let modules = MODULES
        .get()
        .map(|modules| modules.as_slice())
        .unwrap_or_default();
    let last = until.raw().saturating_sub(1);
    let Some(module) = modules
        .iter()
        .find(|module| (module.start..module.end).contains(&last))
    else {
        return;
    };
    let done = RELEASED.load(Ordering::Relaxed);
    let mut page = module.start.next_multiple_of(PAGE).max(done);
    while page + PAGE <= until.raw().min(module.end) {
        let Some(frame) = FrameRef::boot_module(PhysAddr::new(page)) else {
            return;
        };
        if frame.count() != 2 {
            return;
        }
        let pfn = frame.0;
        RELEASED.store(page + PAGE, Ordering::Relaxed);
        drop(frame);
        record(pfn).count.store(0, Ordering::Relaxed);
        add(page, page + PAGE);
        page += PAGE;
    }
}

/// Takes over what `boot` found free, and where the modules are.
pub(super) fn init(free: FreeRanges, modules: Modules) {
    MODULES.call_once(|| modules);
    let mut pool = POOL.lock();
    pool.total = usize_of(free.total() >> PAGE_SHIFT);
    pool.fresh = free;
}

/// The memory that the loader filled.
type Modules = pvh::List<pvh::PhysRange, { pvh::MAX_MODULES }>;
static MODULES: Once<Modules> = Once::new();

/// Whether `addr` lies in a page of a module.
fn in_module(addr: PhysAddr) -> bool {
    let modules = MODULES
        .get()
        .map(|modules| modules.as_slice())
        .unwrap_or_default();
    let page = addr.page_base().raw();
    if page < RELEASED.load(Ordering::Relaxed) {
        return false;
    }
    modules
        .iter()
        .any(|module| module.start < page + PAGE && page < module.end)
}

/// How much memory there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryStats {
    /// Frames the kernel was given, without its image and the modules.
    pub(crate) total: usize,
    /// Frames not in use.
    pub(crate) free: usize,
    /// The most that were in use at any time.
    pub(crate) peak: usize,
}

/// How much memory there is.
pub(crate) fn stats() -> MemoryStats {
    let pool = POOL.lock();
    MemoryStats {
        total: pool.total,
        free: pool.free_frames(),
        peak: pool.total.saturating_sub(pool.least_free),
    }
}

/// Frames that only the kernel's own objects may have.
pub(crate) fn kept() -> usize {
    POOL.lock().kept()
}

/// Sets their number; 0 for the usual one.
pub(crate) fn keep(frames: usize) {
    KEPT.store(frames, Ordering::Relaxed);
}

/// Whether so little is free that only the kernel's own objects may have it.
#[inline]
pub(crate) fn is_short() -> bool {
    SHORT.load(Ordering::Relaxed) && looks_short()
}

#[cold]
fn looks_short() -> bool {
    let pool = POOL.lock();
    let short = pool.free_frames() <= pool.kept();
    SHORT.store(short, Ordering::Relaxed);
    short
}

/// Adds one frame to the stock of zeroed ones, if it has been found wanting; whether that was so. For
/// CPUs that have nothing else to do: it ends when the stock is what was last asked of it.
pub(crate) fn zero_one() -> bool {
    let Some(pfn) = POOL.lock().take_to_zero() else {
        return false;
    };
    zero_page(address(pfn));
    let mut pool = POOL.lock();
    if !pool.zeroed.push(pfn) {
        pool.free_one(pfn);
    }
    true
}

/// A zeroed frame for a page table of the kernel, never given back.
pub(super) fn alloc_table() -> Result<u64, OutOfMemory> {
    let frame = FrameRef::alloc_zeroed()?;
    let addr = frame.addr().raw();
    core::mem::forget(frame);
    Ok(addr)
}

/// A block of `1 << order` contiguous frames, uncounted and uninitialised.
pub(super) fn alloc_block(order: u8) -> Result<PhysAddr, OutOfMemory> {
    let pfn = POOL.lock().alloc_block(order).ok_or(OutOfMemory)?;
    Ok(PhysAddr::new(u64::from(pfn) << PAGE_SHIFT))
}

/// The same, unless only what is kept for the kernel is left.
pub(super) fn alloc_ordinary_block(order: u8) -> Result<PhysAddr, OutOfMemory> {
    let mut pool = POOL.lock();
    if pool.free_frames() <= pool.kept() + (1 << order) {
        return Err(OutOfMemory);
    }
    pool.alloc_block(order).map(address).ok_or(OutOfMemory)
}

/// Makes a block in use into as many single frames, each with one handle.
pub(super) fn split_block(addr: PhysAddr, order: u8) {
    let first = pfn_of(addr);
    POOL.lock().split_block(first, order);
    for pfn in first..first + (1 << order) {
        record(pfn).count.store(1, Ordering::Relaxed);
    }
}

/// Gives a block back.
///
/// # Safety
/// It is from [`alloc_block`] with this order, and nobody uses it any more.
pub(super) unsafe fn free_block(addr: PhysAddr, order: u8) {
    POOL.lock().free_block(pfn_of(addr), order);
}

/// One handle of a frame. Cloning counts one more; the frame is free when the last is dropped.
///
/// A frame may be mapped in a program, which changes it at any moment: so there are copies in and
/// out, and never a `&[u8]`.
#[derive(PartialEq, Eq)]
pub(crate) struct FrameRef(Pfn);

impl FrameRef {
    /// A frame with whatever was in it.
    pub(crate) fn alloc() -> Result<Self, OutOfMemory> {
        let pfn = POOL.lock().alloc_one().ok_or(OutOfMemory)?;
        record(pfn).count.store(1, Ordering::Relaxed);
        Ok(Self(pfn))
    }

    /// A frame with whatever was in it, unless only those are left that are kept for the kernel: for
    /// pages of programs and files, page tables and whatever else there can be much of.
    pub(crate) fn alloc_ordinary() -> Result<Self, OutOfMemory> {
        let pfn = POOL.lock().alloc_ordinary().ok_or(OutOfMemory)?;
        record(pfn).count.store(1, Ordering::Relaxed);
        Ok(Self(pfn))
    }

    /// As [`alloc_ordinary`](Self::alloc_ordinary), a frame of zeroes.
    pub(crate) fn alloc_ordinary_zeroed() -> Result<Self, OutOfMemory> {
        if SHORT.load(Ordering::Relaxed) && looks_short() {
            return Err(OutOfMemory);
        }
        let mut pool = POOL.lock();
        let stock = pool.take_zeroed();
        let found = stock.or_else(|| pool.alloc_ordinary()).ok_or(OutOfMemory)?;
        drop(pool);
        Ok(Self::zeroed(found, stock.is_some()))
    }

    /// A frame of zeroes.
    pub(crate) fn alloc_zeroed() -> Result<Self, OutOfMemory> {
        let mut pool = POOL.lock();
        let stock = pool.take_zeroed();
        let found = stock.or_else(|| pool.alloc_one()).ok_or(OutOfMemory)?;
        drop(pool);
        Ok(Self::zeroed(found, stock.is_some()))
    }

    /// The first handle of a frame, which is cleared unless it `is_zero`.
    fn zeroed(pfn: Pfn, is_zero: bool) -> Self {
        record(pfn).count.store(1, Ordering::Relaxed);
        if !is_zero {
            zero_page(address(pfn));
        }
        Self(pfn)
    }

    /// The frame at `addr` if it belongs to a boot module. Such frames are used where they lie and
    /// are never free, whatever is dropped, until [`release_module`] gives them back.
    pub(crate) fn boot_module(addr: PhysAddr) -> Option<Self> {
        let pfn = pfn_of(addr);
        if !in_module(addr) {
            return None;
        }
        let mut pool = POOL.lock();
        let mut take = || {
            let pfn = pool.alloc_one()?;
            let addr = PhysAddr::new(u64::from(pfn) << PAGE_SHIFT);
            zero_page(addr);
            Some(addr.raw())
        };
        make_records(pfn, &mut take)?;
        let count = &record(pfn).count;
        // The first handle is this module's own, and stays.
        if count.load(Ordering::Relaxed) == 0 {
            count.store(1, Ordering::Relaxed);
        }
        count.fetch_add(1, Ordering::Relaxed);
        Some(Self(pfn))
    }

    /// Where the physmap has `len` bytes from `offset`, cut to the frame. Asking for more is a
    /// mistake of the caller's.
    pub(super) fn span(&self, offset: usize, len: usize) -> (u64, usize) {
        debug_assert!(
            offset <= PAGE_SIZE && len <= PAGE_SIZE - offset,
            "{offset} + {len}"
        );
        let offset = offset.min(PAGE_SIZE);
        let base = physmap::<u8>(self.addr()).expose_provenance();
        (u64_of(base + offset), len.min(PAGE_SIZE - offset))
    }

    /// Fills `into` from `offset` in the frame.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        let (at, len) = self.span(offset, into.len());
        // SAFETY: within the frame and within the slice, which don't overlap.
        unsafe { copy::raw_copy(u64_of(into.as_mut_ptr().expose_provenance()), at, len) };
    }

    /// Copies `from` to `offset` in the frame.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        let (at, len) = self.span(offset, from.len());
        // SAFETY: within the frame and within the slice, which don't overlap.
        unsafe { copy::raw_copy(at, u64_of(from.as_ptr().expose_provenance()), len) };
    }

    /// The aligned word at `offset` in the frame.
    pub(crate) fn word(&self, offset: usize) -> u64 {
        let (at, _) = self.span(offset & !7, 8);
        let word = core::ptr::with_exposed_provenance::<u64>(usize_of(at));
        // SAFETY: within the frame, and aligned; a program may change it meanwhile, so it is volatile.
        unsafe { word.read_volatile() }
    }

    /// Writes the aligned word at `offset` in the frame, whole, after what was written before.
    pub(crate) fn set_word(&self, offset: usize, value: u64) {
        let (at, _) = self.span(offset & !7, 8);
        let word = core::ptr::with_exposed_provenance_mut::<u64>(usize_of(at));
        // Stores stay in order on x86; the compiler must leave them so.
        core::sync::atomic::fence(Ordering::Release);
        // SAFETY: as in `word`.
        unsafe { word.write_volatile(value) };
    }

    /// Clears `len` bytes from `offset` in the frame.
    pub(crate) fn zero(&self, offset: usize, len: usize) {
        let (at, len) = self.span(offset, len);
        // SAFETY: within the frame.
        unsafe { copy::raw_zero(at, len) };
    }

    /// Makes this frame's bytes those of `other`.
    pub(crate) fn copy_from(&self, other: &Self) {
        let ((to, len), (from, _)) = (self.span(0, PAGE_SIZE), other.span(0, PAGE_SIZE));
        // SAFETY: two frames, or twice the same one, which the copy leaves as it is.
        unsafe { copy::raw_copy(to, from, len) };
    }

    /// Its physical address.
    pub(crate) fn addr(&self) -> PhysAddr {
        PhysAddr::new(u64::from(self.0) << PAGE_SHIFT)
    }

    /// How many handles there are, mappings included; 1 means that this is the only one.
    pub(crate) fn count(&self) -> u32 {
        record(self.0).count.load(Ordering::Acquire)
    }

    /// Gives up the last handle of a frame that is all zeroes.
    ///
    /// # Safety
    /// It is, and nobody else has a handle.
    pub(super) unsafe fn free_zeroed(self) {
        let mut pool = POOL.lock();
        if pool.zeroed.push(self.0) {
            core::mem::forget(self);
        }
        drop(pool);
    }

    /// Turns the handle into an address, for a page-table entry to hold.
    pub(super) fn into_raw(self) -> PhysAddr {
        let addr = self.addr();
        core::mem::forget(self);
        addr
    }

    /// The handle that [`into_raw`](Self::into_raw) turned into `addr`.
    ///
    /// # Safety
    /// Each `into_raw` (or forgotten handle) is undone at most once.
    pub(super) unsafe fn from_raw(addr: PhysAddr) -> Self {
        Self(pfn_of(addr))
    }
}

impl Clone for FrameRef {
    fn clone(&self) -> Self {
        // 2^32 handles can't be: each takes 8 bytes of page table or more.
        record(self.0).count.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for FrameRef {
    #[inline]
    fn drop(&mut self) {
        if record(self.0).count.fetch_sub(1, Ordering::AcqRel) == 1 {
            free_last(self.0);
        }
    }
}

/// Gives back a frame that nobody has a handle of.
#[inline(never)]
fn free_last(pfn: Pfn) {
    POOL.lock().free_one(pfn);
}

impl core::fmt::Debug for FrameRef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FrameRef({:#x})", self.addr().raw())
    }
}

/// What is remembered of a page table, in its frame's record: a frame in use has no neighbours in a
/// free list, so their place is free for this.
pub(super) struct TableRecord<'a> {
    /// Entries in use.
    pub(super) population: &'a AtomicU32,
    /// A bit for each 16 entries, set if any of them is, or was, in use.
    pub(super) groups: &'a AtomicU32,
}

/// What is remembered of the page table at `addr`.
pub(super) fn table_record<'a>(addr: PhysAddr) -> TableRecord<'a> {
    let record = record(pfn_of(addr));
    TableRecord {
        population: &record.next,
        groups: &record.prev,
    }
}

/// The parts of a frame's record that a slab uses: it has one handle, which nobody counts, and is in
/// no free list.
pub(super) struct SlabRecord<'a> {
    pub(super) state: &'a AtomicU32,
    pub(super) prev: &'a AtomicU32,
    pub(super) next: &'a AtomicU32,
}

/// The record of the slab in frame `pfn`. Set `state` to 1 before the handle is used again.
pub(super) fn slab_record<'a>(pfn: Pfn) -> SlabRecord<'a> {
    let record = record(pfn);
    SlabRecord {
        state: &record.count,
        prev: &record.prev,
        next: &record.next,
    }
}

/// One handle more of the frame at `addr`, which somebody holds one of.
pub(super) fn retain(addr: PhysAddr) {
    record(pfn_of(addr)).count.fetch_add(1, Ordering::Relaxed);
}

/// How many handles there are of the frame at `addr`, which somebody holds one of.
pub(super) fn count(addr: PhysAddr) -> u32 {
    record(pfn_of(addr)).count.load(Ordering::Acquire)
}

/// Gives up a handle of the frame at `addr`, unless it is the last one; whether it wasn't.
pub(super) fn release_unless_last(addr: PhysAddr) -> bool {
    let count = &record(pfn_of(addr)).count;
    if count.load(Ordering::Acquire) == 1 {
        return false;
    }
    if count.fetch_sub(1, Ordering::AcqRel) == 1 {
        // The others went meanwhile, and nobody else is left to count.
        count.store(1, Ordering::Relaxed);
        return false;
    }
    true
}

/// The number of the frame at `addr`.
pub(super) fn number(addr: PhysAddr) -> Pfn {
    pfn_of(addr)
}

/// The address of the frame with this number.
pub(super) fn address(pfn: Pfn) -> PhysAddr {
    PhysAddr::new(u64::from(pfn) << PAGE_SHIFT)
}
