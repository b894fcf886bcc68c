//! The kernel heap: `talc` over blocks of frames, which it takes as it grows.

use core::alloc::Layout;
use kiln_core::addr::PAGE_SHIFT;
use kiln_core::frames::MAX_ORDER;
use kiln_core::num::low8;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use super::frame;
use super::layout::physmap;
use crate::sync::RawSpinLock;

/// The heap grows by this or more: 64 KiB.
const GROWTH_ORDER: u8 = 4;

/// Where the heap gets memory from.
#[derive(Debug)]
pub(crate) struct Frames;

// SAFETY: takes frames from the frame allocator, which doesn't allocate from the heap nor log.
unsafe impl Source for Frames {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // Room for the heap's own words round the allocation, and for its alignment.
        let bytes = layout
            .size()
            .checked_add(layout.align())
            .and_then(|sum| sum.checked_add(256));
        let pages = (bytes.ok_or(())?).div_ceil(1 << PAGE_SHIFT);
        let order = low8(u64::from(pages.next_power_of_two().ilog2())).max(GROWTH_ORDER);
        if order > MAX_ORDER {
            return Err(());
        }
        let block = frame::alloc_block(order).map_err(|_| ())?;
        // SAFETY: the block is ours for good, mapped and writable in the physmap.
        unsafe { talc.claim(physmap(block), 1 << (u32::from(order) + PAGE_SHIFT)) };
        Ok(())
    }
}

#[global_allocator]
static HEAP: talc::TalcLock<RawSpinLock, Frames> = talc::TalcLock::new(Frames);
