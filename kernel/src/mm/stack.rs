//! Kernel stacks: 16 KiB each, in 4 KiB pages, between pages that are never present.
//!
//! All live in one region, one to a slot of 32 KiB whose lower half is the guard, so a fault
//! address tells which stack overflowed, and a stack pointer tells the stack's end. The last word
//! of a stack is its owner's: on IST stacks the address of the per-CPU block.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SIZE, VirtAddr};
use kiln_core::num::{low32, u64_of, usize_of, usize_of32};

use super::frame::{FrameRef, OutOfMemory};
use super::layout::{STACK_SIZE, STACK_SLOT, STACK_SLOTS, STACKS};
use super::paging::shootdown;
use super::{kernel, kmem};
use crate::arch::StackTop;

const PAGE: u64 = PAGE_SIZE as u64;

/// A bit for each slot in use.
static USED: [AtomicU64; STACK_SLOTS as usize / 64] =
    [const { AtomicU64::new(0) }; STACK_SLOTS as usize / 64];
/// Where to look for a free slot first.
static HINT: AtomicU32 = AtomicU32::new(0);

/// A kernel stack; unmapped and given back when dropped.
#[derive(Debug)]
pub(crate) struct KernelStack {
    slot: u32,
}

impl KernelStack {
    /// Maps a new stack, filled with zeroes. May wait for memory.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        let stack = Self {
            slot: take_slot().ok_or(OutOfMemory)?,
        };
        kmem::patiently(|| kernel::make_table(VirtAddr::new(stack.bottom())))?;
        for page in 0..STACK_SIZE / PAGE {
            // One by one: who gave the first back when there is no other would find it free, and try
            // for ever.
            let frame = kmem::patiently(FrameRef::alloc_ordinary_zeroed)?;
            kernel::map_frame(VirtAddr::new(stack.bottom() + page * PAGE), frame)?;
        }
        Ok(stack)
    }

    /// Its lowest address.
    pub(crate) fn bottom(&self) -> u64 {
        Bounds::of(self.slot).bottom
    }

    /// Where the stack pointer starts: below the owner's word, aligned to 16.
    pub(crate) fn top(&self) -> u64 {
        Bounds::of(self.slot).end - 16
    }

    /// Takes its pages out of the tables, and notes how deep it went.
    fn unmap(&self) -> [Option<FrameRef>; (STACK_SIZE / PAGE) as usize] {
        HIGH_WATER.fetch_max(
            depth(self.slot, HIGH_WATER.load(Ordering::Relaxed)),
            Ordering::Relaxed,
        );
        core::array::from_fn(|page| {
            kernel::unmap_frame(VirtAddr::new(self.bottom() + u64_of(page) * PAGE))
        })
    }

    /// Gives its place away: no TLB knows the pages any more.
    fn free_slot(&self) {
        let (word, bit) = (self.slot / 64, self.slot % 64);
        if let Some(word) = USED.get(usize_of32(word)) {
            word.fetch_and(!(1 << bit), Ordering::Release);
        }
        HINT.fetch_min(self.slot, Ordering::Relaxed);
    }

    /// Keeps it mapped for good.
    pub(crate) fn leak(self) -> StackTop {
        let top = self.top();
        core::mem::forget(self);
        // SAFETY: mapped, never to be dropped, and nobody has used it.
        unsafe { StackTop::new(top) }
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        let pages = self.unmap();
        shootdown::forget_kernel(self.bottom(), self.bottom() + STACK_SIZE);
        // Only now: until then another CPU's TLB may have led there.
        drop(pages);
        self.free_slot();
    }
}

/// Drops all of them, with one request to the other CPUs.
pub(crate) fn release<const N: usize>(stacks: [Option<KernelStack>; N]) {
    if stacks.iter().all(Option::is_none) {
        return;
    }
    let pages = stacks
        .each_ref()
        .map(|stack| stack.as_ref().map(KernelStack::unmap));
    shootdown::forget_all_of_kernel();
    // As above.
    drop(pages);
    for stack in stacks.into_iter().flatten() {
        stack.free_slot();
        core::mem::forget(stack);
    }
}

/// The deepest use of a stack that has been dropped, in bytes.
static HIGH_WATER: AtomicU64 = AtomicU64::new(0);

/// How much of any stack has ever been used, in bytes (to the next 64).
pub(crate) fn high_water() -> u64 {
    let live = (0..STACK_SLOTS).filter(|slot| is_used(*slot));
    let dropped = HIGH_WATER.load(Ordering::Relaxed);
    live.fold(dropped, |deepest, slot| depth(slot, deepest).max(deepest))
}

/// How many pages stacks take.
pub(crate) fn pages() -> usize {
    let used = USED
        .iter()
        .map(|word| word.load(Ordering::Relaxed).count_ones());
    usize_of32(used.sum::<u32>()) * usize_of(STACK_SIZE / PAGE)
}

fn is_used(slot: u32) -> bool {
    let word = USED.get(usize_of32(slot / 64));
    word.is_some_and(|word| word.load(Ordering::Acquire) >> (slot % 64) & 1 != 0)
}

/// How much of a stack has ever been used, if more than `known`; else 0. Stacks start as zeroes, so
/// the lowest word that isn't zero tells; one in eight is looked at.
fn depth(slot: u32, known: u64) -> u64 {
    let bounds = Bounds::of(slot);
    for page in (bounds.bottom..bounds.end).step_by(PAGE_SIZE) {
        let Some(words) = kernel::page_words(page) else {
            continue;
        };
        let used = words
            .iter()
            .step_by(8)
            .position(|word| word.load(Ordering::Relaxed) != 0);
        if let Some(index) = used {
            let depth = bounds.end - page - u64_of(index) * 64;
            return if depth > known { depth } else { 0 };
        }
        if bounds.end - page - PAGE <= known {
            break;
        }
    }
    0
}

/// Where a slot's stack is. The guards are below `bottom` and, being the next slot's, above `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Start of the guard below.
    pub(crate) guard: u64,
    /// The stack's lowest address.
    pub(crate) bottom: u64,
    /// One past its highest.
    pub(crate) end: u64,
}

impl Bounds {
    /// Of the stack in `slot`.
    pub(crate) const fn of(slot: u32) -> Self {
        let guard = STACKS + slot as u64 * STACK_SLOT;
        Self {
            guard,
            bottom: guard + (STACK_SLOT - STACK_SIZE),
            end: guard + STACK_SLOT,
        }
    }
}

/// Claims the first free slot.
fn take_slot() -> Option<u32> {
    let first = usize_of32(HINT.load(Ordering::Relaxed) / 64);
    for (index, word) in USED.iter().enumerate().skip(first) {
        let mut value = word.load(Ordering::Relaxed);
        while value != u64::MAX {
            let bit = value.trailing_ones();
            match word.compare_exchange_weak(
                value,
                value | 1 << bit,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    let slot = low32(u64_of(index)) * 64 + bit;
                    HINT.store(slot + 1, Ordering::Relaxed);
                    return Some(slot);
                }
                Err(now) => value = now,
            }
        }
    }
    None
}

/// Where an address lies in the stack region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In the stack of this slot.
    Stack(u32),
    /// In the guard below the stack of this slot.
    Guard(u32),
}

/// Where `va` lies in the stack region; `None` outside it.
pub(crate) fn locate(va: u64) -> Option<Place> {
    let offset = va.checked_sub(STACKS)?;
    let slot = low32(offset / STACK_SLOT);
    if offset / STACK_SLOT >= u64::from(STACK_SLOTS) {
        None
    } else if offset % STACK_SLOT < STACK_SLOT - STACK_SIZE {
        Some(Place::Guard(slot))
    } else {
        Some(Place::Stack(slot))
    }
}
