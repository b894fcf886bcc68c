//! Kernel stacks: 16 KiB each, in 4 KiB pages, between pages that are never present.
//!
//! All live in one region, one to a slot of 32 KiB whose lower half is the guard, so a fault
//! address tells which stack overflowed, and a stack pointer tells the stack's end. The last word
//! of a stack is its owner's: on IST stacks the address of the per-CPU block.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SIZE, VirtAddr};
use kiln_core::num::{low32, u64_of, usize_of32};

use super::frame::{FrameRef, OutOfMemory};
use super::kernel;
use super::layout::{STACK_SIZE, STACK_SLOT, STACK_SLOTS, STACKS};
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
    /// Maps a new stack, filled with zeroes.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        let slot = take_slot().ok_or(OutOfMemory)?;
        let stack = Self { slot };
        for page in 0..STACK_SIZE / PAGE {
            kernel::map_frame(
                VirtAddr::new(stack.bottom() + page * PAGE),
                FrameRef::alloc_zeroed()?,
            )?;
        }
        Ok(stack)
    }

    /// Its lowest address.
    pub(crate) fn bottom(&self) -> u64 {
        self.end() - STACK_SIZE
    }

    /// Where the stack pointer starts: below the owner's word, aligned to 16.
    pub(crate) fn top(&self) -> u64 {
        self.end() - 16
    }

    fn end(&self) -> u64 {
        STACKS + (u64::from(self.slot) + 1) * STACK_SLOT
    }

    /// Number of its slot.
    pub(crate) fn slot(&self) -> u32 {
        self.slot
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
        for page in 0..STACK_SIZE / PAGE {
            drop(kernel::unmap_frame(VirtAddr::new(
                self.bottom() + page * PAGE,
            )));
        }
        let (word, bit) = (self.slot / 64, self.slot % 64);
        if let Some(word) = USED.get(usize_of32(word)) {
            word.fetch_and(!(1 << bit), Ordering::Release);
        }
        HINT.fetch_min(self.slot, Ordering::Relaxed);
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
