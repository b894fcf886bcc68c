//! The allocator behind [`frame`](super): frame records, the buddy allocator, fast lists.
//!
//! Memory is taken into use by sections of 4 MiB when what is in use runs out: only then are the
//! section's frame records made, out of the section itself. Records are an array in virtual memory,
//! one for each frame number, mapped where there are any.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use kiln_core::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use kiln_core::frames::{Buddy, Pfn, Record, Records, SECTION_FRAMES, State, begins_with_block};
use kiln_core::num::{low32, u64_of, usize_of, usize_of32};

use super::{address, pfn_of};
use crate::mm::boot::FreeRanges;
use crate::mm::layout::{RECORDS, physmap};
use crate::mm::{copy, kernel};
use crate::sync::SpinLock;

const PAGE: u64 = PAGE_SIZE as u64;
/// Frames kept aside in the fast list.
const HOT: usize = 64;
/// Order of the blocks that refill it.
const REFILL_ORDER: u8 = 4;

/// What is remembered of a frame, in virtual memory at [`RECORDS`].
#[repr(C)]
pub(super) struct FrameRecord {
    /// Handles of it.
    pub(super) count: AtomicU32,
    /// [`State`], encoded.
    state: AtomicU32,
    pub(super) prev: AtomicU32,
    pub(super) next: AtomicU32,
}

const _: () = assert!(
    size_of::<FrameRecord>() == 16,
    "the layout promises 16 bytes a frame"
);

/// The record of `pfn`, whose section is in use.
pub(super) fn record<'a>(pfn: Pfn) -> &'a FrameRecord {
    let at = RECORDS + u64::from(pfn) * u64_of(size_of::<FrameRecord>());
    // SAFETY: numbers of frames come from the allocator and from `FrameRef`s, so their section's
    // records are mapped, for good. All zeroes is a record, and its fields are atomics.
    unsafe { &*core::ptr::with_exposed_provenance(usize_of(at)) }
}

/// The records as the buddy allocator sees them.
struct Table;

impl Records for Table {
    fn get(&self, pfn: Pfn) -> Record {
        let record = record(pfn);
        let word = record.state.load(Ordering::Relaxed);
        let order = kiln_core::num::low8(u64::from(word));
        let state = match word >> 8 {
            1 => State::Free(order),
            2 => State::Used(order),
            _ => State::Other,
        };
        let (prev, next) = (
            record.prev.load(Ordering::Relaxed),
            record.next.load(Ordering::Relaxed),
        );
        Record { state, prev, next }
    }

    fn set(&self, pfn: Pfn, value: Record) {
        let record = record(pfn);
        let word = match value.state {
            State::Other => 0,
            State::Free(order) => 0x100 | u32::from(order),
            State::Used(order) => 0x200 | u32::from(order),
        };
        record.state.store(word, Ordering::Relaxed);
        record.prev.store(value.prev, Ordering::Relaxed);
        record.next.store(value.next, Ordering::Relaxed);
    }
}

/// A short stack of free frames.
pub(super) struct Stack {
    frames: [Pfn; HOT],
    len: usize,
}

impl Stack {
    const fn new() -> Self {
        Self {
            frames: [0; HOT],
            len: 0,
        }
    }

    pub(super) fn pop(&mut self) -> Option<Pfn> {
        let last = self.len.checked_sub(1)?;
        self.len = last;
        self.frames.get(last).copied()
    }

    /// Whether there was room.
    pub(super) fn push(&mut self, pfn: Pfn) -> bool {
        let Some(slot) = self.frames.get_mut(self.len) else {
            return false;
        };
        *slot = pfn;
        self.len += 1;
        true
    }
}

/// All free memory.
pub(super) struct Pool {
    /// Single frames, to be had and given back in a few instructions.
    pub(super) hot: Stack,
    /// The same, of frames known to be all zeroes: page tables come back that way.
    pub(super) zeroed: Stack,
    /// How many more of those were wanted than there were.
    missed: usize,
    pub(super) buddy: Buddy,
    /// What isn't in use yet.
    pub(super) fresh: FreeRanges,
    /// All frames there ever were.
    pub(super) total: usize,
    /// The fewest that were ever free when a block was taken.
    pub(super) least_free: usize,
}

/// Set when fewer frames are free than are kept for the kernel; cleared by who finds more.
pub(super) static SHORT: AtomicBool = AtomicBool::new(false);

/// How many are kept for it, if that was set.
pub(super) static KEPT: AtomicUsize = AtomicUsize::new(0);

pub(super) static POOL: SpinLock<Pool> = SpinLock::new(Pool {
    hot: Stack::new(),
    zeroed: Stack::new(),
    missed: 0,
    buddy: Buddy::new(),
    fresh: FreeRanges::new(),
    total: 0,
    least_free: usize::MAX,
});

impl Pool {
    pub(super) fn alloc_block(&mut self, order: u8) -> Option<Pfn> {
        loop {
            if let Some(pfn) = self.buddy.alloc(&Table, order) {
                self.least_free = self.least_free.min(self.free_frames());
                return Some(pfn);
            }
            self.take_section()?;
        }
    }

    pub(super) fn alloc_one(&mut self) -> Option<Pfn> {
        if self.hot.len == 0 {
            self.refill();
        }
        self.hot.pop().or_else(|| self.zeroed.pop())
    }

    /// As [`alloc_one`](Self::alloc_one), but not one of those kept for the kernel. What is left is
    /// only looked at when the fast list is refilled.
    pub(super) fn alloc_ordinary(&mut self) -> Option<Pfn> {
        if self.hot.len == 0 && self.free_frames() <= self.kept() {
            SHORT.store(true, Ordering::Relaxed);
            return None;
        }
        self.alloc_one()
    }

    /// Frames that the kernel's own objects may use and programs' pages may not, so that it can go on
    /// when those have taken the rest (Linux: `min_free_kbytes`).
    pub(super) fn kept(&self) -> usize {
        match KEPT.load(Ordering::Relaxed) {
            0 => (self.total / 128).clamp(24, 2048),
            // With too few it couldn't go on, and without the rest no program could.
            wanted => wanted.min(self.total / 2).max(24),
        }
    }

    fn refill(&mut self) -> Option<()> {
        if self.free_frames() <= self.kept() {
            SHORT.store(true, Ordering::Relaxed);
        }
        let (order, pfn) = match self.alloc_block(REFILL_ORDER) {
            Some(pfn) => (REFILL_ORDER, pfn),
            None => (0, self.buddy.alloc(&Table, 0)?),
        };
        self.buddy.split(&Table, pfn, order).ok()?;
        // Backwards, so that they go out in rising order.
        for frame in (pfn..pfn + (1 << order)).rev() {
            self.hot.push(frame);
        }
        Some(())
    }

    /// Gives a single frame back. A double free is found when the frame leaves the fast list.
    pub(super) fn free_one(&mut self, pfn: Pfn) {
        if self.hot.len == HOT {
            self.spill();
        }
        self.hot.push(pfn);
    }

    /// Makes room in the fast list: the half that lay there longest goes back to the buddy allocator, in whole blocks
    /// where it can. Memory that was touched in order and is given up in order is made of such.
    #[inline(never)]
    fn spill(&mut self) {
        let frames = self.hot.frames;
        let mut done = 0;
        while done < HOT / 2
            && let Some(rest) = frames.get(done..)
            && let Some(first) = rest.first()
        {
            if begins_with_block(rest, REFILL_ORDER) {
                self.free_separate(*first, REFILL_ORDER);
                done += 1 << REFILL_ORDER;
            } else {
                self.free_block(*first, 0);
                done += 1;
            }
        }
        self.hot.frames.copy_within(done.., 0);
        self.hot.len -= done;
    }

    /// A frame from the stock of zeroed ones.
    pub(super) fn take_zeroed(&mut self) -> Option<Pfn> {
        let found = self.zeroed.pop();
        if found.is_none() {
            self.missed = (self.missed + 1).min(HOT);
        }
        found
    }

    /// A frame to be zeroed for the stock, as long as it lacks some and memory isn't short.
    pub(super) fn take_to_zero(&mut self) -> Option<Pfn> {
        if self.missed == 0 || self.zeroed.len == HOT || self.free_frames() <= 2 * self.kept() {
            return None;
        }
        self.missed -= 1;
        self.alloc_one()
    }

    /// Makes a block in use into as many single frames.
    pub(super) fn split_block(&mut self, pfn: Pfn, order: u8) {
        let split = self.buddy.split(&Table, pfn, order);
        debug_assert!(split.is_ok(), "{split:?}");
    }

    /// A block whose frames can be given back one by one.
    pub(super) fn alloc_separate(&mut self, order: u8) -> Option<Pfn> {
        let pfn = self.alloc_block(order)?;
        self.split_block(pfn, order);
        Some(pfn)
    }

    /// Gives such a block back as a whole.
    pub(super) fn free_separate(&mut self, pfn: Pfn, order: u8) {
        let freed = self.buddy.free_split(&Table, pfn, order);
        debug_assert!(freed.is_ok(), "{freed:?}");
    }

    pub(super) fn free_block(&mut self, pfn: Pfn, order: u8) {
        let freed = self.buddy.free(&Table, pfn, order);
        // The block is lost rather than handed out twice.
        debug_assert!(freed.is_ok(), "{freed:?}");
    }

    /// Takes the next section into use; `None` when there is no more.
    fn take_section(&mut self) -> Option<()> {
        let (mut start, end) = self.fresh.take_section(u64::from(SECTION_FRAMES) * PAGE)?;
        let mut take = || {
            // A frame from elsewhere leaves the section whole.
            let addr = match self.buddy.alloc(&Table, 0) {
                Some(pfn) => address(pfn).raw(),
                None if start + PAGE <= end => {
                    start += PAGE;
                    start - PAGE
                }
                None => return None,
            };
            zero_page(PhysAddr::new(addr));
            Some(addr)
        };
        let made = make_records(pfn_of(PhysAddr::new(end - PAGE)), &mut take);
        // A range too small for its own records is left unused.
        if made.is_some() {
            self.buddy
                .insert(&Table, low32(start >> PAGE_SHIFT), low32(end >> PAGE_SHIFT));
        }
        Some(())
    }

    pub(super) fn free_frames(&self) -> usize {
        let fresh = usize_of(self.fresh.total() >> PAGE_SHIFT);
        self.hot.len + self.zeroed.len + usize_of32(self.buddy.free_frames()) + fresh
    }
}

/// Maps the records of the section of `pfn` where they aren't mapped yet.
pub(super) fn make_records(pfn: Pfn, take: &mut dyn FnMut() -> Option<u64>) -> Option<()> {
    let per_page = PAGE / u64_of(size_of::<FrameRecord>());
    let pages = u64::from(SECTION_FRAMES) / per_page;
    let first = RECORDS + u64::from(pfn / SECTION_FRAMES) * pages * PAGE;
    for va in (0..pages).map(|page| first + page * PAGE) {
        if !kernel::is_mapped(va) {
            let page = take()?;
            kernel::map_records(va, PhysAddr::new(page), take)?;
        }
    }
    Some(())
}

pub(super) fn zero_page(addr: PhysAddr) {
    let at = physmap::<u64>(addr).expose_provenance();
    // SAFETY: called for frames that nobody else uses yet; the physmap shows all memory.
    unsafe { copy::raw_zero(u64_of(at), PAGE_SIZE) };
}
