//! Memory that devices reach, and their registers: the one file of the drivers that needs
//! `unsafe`.
//!
//! [`DmaMemory`] is a block of the kernel's own, contiguous, never mapped in a program.
//! [`transport`] opens a virtio-mmio slot. Everything above them is safe code.
#![allow(
    unsafe_code,
    reason = "memory that a device changes behind Rust's back, and registers; each block says why it holds"
)]

use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::num::u64_of;
use kiln_core::virtqueue::RingMemory;
use virtio_drivers::transport::mmio::{MmioError, MmioTransport};

use crate::mm::OutOfMemory;
use crate::mm::dma::Contiguous;
use crate::mm::mmio::Registers;

/// Contiguous memory that a device may read and write at any moment: all accesses are volatile
/// copies, except through [`DmaMemory::bytes_mut`].
pub(crate) struct DmaMemory {
    block: Contiguous,
}

impl DmaMemory {
    /// `1 << order` zeroed pages.
    pub(crate) fn alloc(order: u8) -> Result<Self, OutOfMemory> {
        Ok(Self {
            block: Contiguous::alloc(order)?,
        })
    }

    /// At least `len` zeroed bytes.
    pub(crate) fn with_len(len: usize) -> Result<Self, OutOfMemory> {
        let pages = len.div_ceil(PAGE_SIZE).next_power_of_two();
        let order = u8::try_from(pages.trailing_zeros()).map_err(|_| OutOfMemory)?;
        Self::alloc(order)
    }

    /// Its address as devices see it.
    pub(crate) fn addr(&self) -> PhysAddr {
        self.block.addr()
    }

    /// The address of the byte at `offset`.
    pub(crate) fn addr_of(&self, offset: usize) -> PhysAddr {
        debug_assert!(offset < self.len());
        PhysAddr::new(self.addr().raw() + u64_of(offset))
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.block.len()
    }

    /// The contents while no device has the memory. The caller must have it back from the device:
    /// the queues it was pushed to have popped it, or it was never pushed.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the block is ours alone and initialised (zeroed at first); `&mut self` excludes
        // other users here, and the caller answers for the device.
        unsafe { core::slice::from_raw_parts_mut(self.block.ptr().as_ptr(), self.len()) }
    }

    /// Reads a byte.
    pub(super) fn read8(&self, offset: usize) -> u8 {
        self.load(offset)
    }

    /// Writes a byte.
    pub(super) fn write8(&self, offset: usize, value: u8) {
        self.store(offset, value);
    }

    /// Where a `T` at `offset` is. Offsets are the driver's own arithmetic; a wrong one ends in the
    /// block's first bytes rather than outside.
    fn at<T>(&self, offset: usize) -> *mut T {
        let fits = offset
            .checked_add(size_of::<T>())
            .is_some_and(|end| end <= self.len());
        let good = fits && offset.is_multiple_of(align_of::<T>());
        debug_assert!(good, "offset {offset} of {}", self.len());
        let offset = if good { offset } else { 0 };
        // SAFETY: within the block, as just checked.
        unsafe { self.block.ptr().as_ptr().add(offset).cast() }
    }

    fn load<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: `at` gives an aligned place in the block; all bit patterns are values of the
        // integers this is used with. Volatile, because the device writes too.
        unsafe { self.at::<T>(offset).read_volatile() }
    }

    fn store<T: Copy>(&self, offset: usize, value: T) {
        // SAFETY: as in `load`; the block is never borrowed while `&self` exists (`bytes_mut`).
        unsafe { self.at::<T>(offset).write_volatile(value) };
    }
}

impl RingMemory for DmaMemory {
    fn read16(&self, offset: usize) -> u16 {
        self.load(offset)
    }

    fn read32(&self, offset: usize) -> u32 {
        self.load(offset)
    }

    fn write16(&self, offset: usize, value: u16) {
        self.store(offset, value);
    }

    fn write64(&self, offset: usize, value: u64) {
        self.store(offset, value);
    }
}

/// The virtio-mmio device whose registers these are. One driver has them, for good.
pub(super) fn transport(
    registers: Registers,
    len: usize,
) -> Result<MmioTransport<'static>, MmioError> {
    // SAFETY: `Registers` maps `len` bytes or more, aligned to pages, for good; each device is
    // opened by one driver, so there is no other access to it.
    unsafe { MmioTransport::new(registers.ptr().cast(), len) }
}
