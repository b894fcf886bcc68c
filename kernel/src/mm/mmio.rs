//! Registers of devices, mapped uncached into a window of their own.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use kiln_core::num::{u64_of, usize_of};

use super::frame::OutOfMemory;
use super::kernel;
use super::layout::{MMIO, MMIO_SIZE};

/// Where the next mapping goes. Registers stay mapped for good.
static NEXT: AtomicU64 = AtomicU64::new(MMIO);

/// Registers of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    base: NonNull<u8>,
}

// SAFETY: a pointer to registers; every access is volatile, and what they mean from which CPU is the
// driver's to know.
unsafe impl Send for Registers {}
// SAFETY: as above.
unsafe impl Sync for Registers {}

impl Registers {
    /// Maps the `len` bytes of registers at `addr`, which is not memory.
    pub(crate) fn map(addr: PhysAddr, len: usize) -> Result<Self, OutOfMemory> {
        let offset = addr.page_offset();
        let pages = (offset + len).div_ceil(PAGE_SIZE);
        let va = NEXT.fetch_add(u64_of(pages * PAGE_SIZE), Ordering::Relaxed);
        if va + u64_of(pages * PAGE_SIZE) > MMIO + MMIO_SIZE {
            return Err(OutOfMemory);
        }
        kernel::map_device(VirtAddr::new(va), addr.page_base(), pages)?;
        let base = core::ptr::with_exposed_provenance_mut(usize_of(va) + offset);
        Ok(Self {
            base: NonNull::new(base).ok_or(OutOfMemory)?,
        })
    }

    /// Where they are mapped.
    pub(crate) fn ptr(&self) -> NonNull<u8> {
        self.base
    }
}
