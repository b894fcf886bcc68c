//! The kernel heap: `talc` over blocks of frames, which it takes as it grows and keeps.
//!
//! A reserve of blocks is set aside for growth when the frame allocator has none left, so that what
//! was [charged](super::kmem) can be allocated without fail.

use core::alloc::Layout;
use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::addr::{PAGE_SHIFT, PAGE_SIZE, PhysAddr};
use kiln_core::frames::MAX_ORDER;
use kiln_core::num::{low8, u64_of};
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use super::frame::{self, OutOfMemory};
use super::layout::physmap;
use crate::sync::{RawSpinLock, SpinLock};

/// The heap grows by this if it can: 64 KiB.
const GROWTH_ORDER: u8 = 4;
/// Bytes of the reserve.
const RESERVE: usize = 128 << 10;
/// Blocks of the reserve at most: all of them single frames.
const BLOCKS: usize = RESERVE / PAGE_SIZE;

/// Where the heap gets memory from.
#[derive(Debug)]
pub(crate) struct Frames;

// SAFETY: takes frames from the frame allocator and the reserve, which neither allocate from the
// heap nor log.
unsafe impl Source for Frames {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let needed = order_for(layout).ok_or(())?;
        let (block, order) = grow(needed).map_err(|OutOfMemory| ())?;
        // SAFETY: the block is ours for good, mapped and writable in the physmap.
        unsafe { talc.claim(physmap(block), bytes_of(order)) };
        Ok(())
    }
}

#[global_allocator]
static HEAP: talc::TalcLock<RawSpinLock, Frames> = talc::TalcLock::new(Frames);

const fn bytes_of(order: u8) -> usize {
    PAGE_SIZE << order
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

/// A block of the order wanted, or of the one needed, or of the reserve.
fn grow(needed: u8) -> Result<(PhysAddr, u8), OutOfMemory> {
    for order in (needed..=GROWTH_ORDER.max(needed)).rev() {
        if let Ok(block) = frame::alloc_block(order) {
            return Ok((block, order));
        }
    }
    SPARE.lock().take(needed).ok_or(OutOfMemory)
}

/// Blocks set aside.
struct Spare {
    blocks: [(PhysAddr, u8); BLOCKS],
    len: usize,
    bytes: usize,
}

static SPARE: SpinLock<Spare> = SpinLock::new(Spare {
    blocks: [(PhysAddr::new(0), 0); BLOCKS],
    len: 0,
    bytes: 0,
});
/// Whether nothing has been taken from it since it was filled.
static FULL: AtomicBool = AtomicBool::new(false);

impl Spare {
    fn take(&mut self, needed: u8) -> Option<(PhysAddr, u8)> {
        let blocks = self.blocks.get(..self.len)?;
        let index = blocks.iter().rposition(|(_, order)| *order >= needed)?;
        FULL.store(false, Ordering::Relaxed);
        let taken = *blocks.get(index)?;
        self.len -= 1;
        self.blocks.swap(index, self.len);
        self.bytes -= bytes_of(taken.1);
        Some(taken)
    }

    fn fill(&mut self) -> Result<(), OutOfMemory> {
        while self.bytes < RESERVE {
            let found = (0..=GROWTH_ORDER)
                .rev()
                .find_map(|order| Some((frame::alloc_block(order).ok()?, order)));
            let slot = self.blocks.get_mut(self.len);
            let (Some(block), Some(slot)) = (found, slot) else {
                return Err(OutOfMemory);
            };
            *slot = block;
            self.len += 1;
            self.bytes += bytes_of(block.1);
        }
        FULL.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Makes sure that the reserve is whole.
pub(super) fn fill_reserve() -> Result<(), OutOfMemory> {
    if FULL.load(Ordering::Relaxed) {
        Ok(())
    } else {
        SPARE.lock().fill()
    }
}
