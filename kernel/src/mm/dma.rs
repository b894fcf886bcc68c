//! Memory that devices reach: contiguous, zeroed, at a known physical address.

use core::ptr::NonNull;
use kiln_core::addr::{PAGE_SHIFT, PhysAddr};
use kiln_core::num::u64_of;

use super::copy;
use super::frame::{self, OutOfMemory};
use super::layout::physmap;

/// A block of `1 << order` contiguous frames, given back when dropped.
#[derive(Debug)]
pub(crate) struct Contiguous {
    addr: PhysAddr,
    order: u8,
}

impl Contiguous {
    /// A zeroed block of `1 << order` frames, aligned to its size.
    pub(crate) fn alloc(order: u8) -> Result<Self, OutOfMemory> {
        let block = Self {
            addr: frame::alloc_block(order)?,
            order,
        };
        // SAFETY: the block is ours alone.
        unsafe {
            copy::raw_zero(
                u64_of(block.ptr().as_ptr().expose_provenance()),
                block.len(),
            )
        };
        Ok(block)
    }

    /// Where devices find it.
    pub(crate) fn addr(&self) -> PhysAddr {
        self.addr
    }

    /// Where the kernel finds it. Devices may change what is there at any moment.
    pub(crate) fn ptr(&self) -> NonNull<u8> {
        let pointer = physmap(self.addr);
        NonNull::new(pointer).unwrap_or(NonNull::dangling())
    }

    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        1 << (u32::from(self.order) + PAGE_SHIFT)
    }
}

impl Drop for Contiguous {
    fn drop(&mut self) {
        // SAFETY: allocated with this order, and no pointer to it outlives it.
        unsafe { frame::free_block(self.addr, self.order) };
    }
}
