//! Bookkeeping of physical memory: [`Ranges`] at boot, the buddy allocator [`Buddy`] after it.
//!
//! Neither touches memory. `Ranges` lives in itself; the buddy allocator keeps a [`Record`] for
//! each frame in whatever implements [`Records`]: a table in virtual memory in the kernel, a vector
//! in the tests. The kernel's `mm::frame` moves sections of memory from the former to the latter
//! when they are first needed, so that boot costs the same with 16 MiB and with 8 GiB.

mod buddy;
mod ranges;

use crate::errno::Errno;

/// There is no free memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

impl From<OutOfMemory> for Errno {
    fn from(_: OutOfMemory) -> Self {
        Self::ENOMEM
    }
}

pub use buddy::{BadFree, Buddy, Record, Records, State};
pub use ranges::{Ranges, TooManyRanges};

/// The number of a frame: its physical address divided by the page size. 32 bits reach 16 TiB.
pub type Pfn = u32;

/// The largest block is `1 << MAX_ORDER` frames: 4 MiB.
pub const MAX_ORDER: u8 = 10;
/// Frames in a section, the unit in which memory is taken into use: one block of the largest order.
pub const SECTION_FRAMES: u32 = 1 << MAX_ORDER;

/// Whether `frames` begins with the frames of one block of `order`, in rising order.
#[must_use]
pub fn begins_with_block(frames: &[Pfn], order: u8) -> bool {
    let Some((block, first)) = frames.get(..1 << order).zip(frames.first()) else {
        return false;
    };
    first.trailing_zeros() >= u32::from(order) && (*first..).zip(block).all(|(a, b)| a == *b)
}

#[cfg(test)]
mod tests;
