//! The kernel's half of the address space. Each region has one PML4 entry, made at boot and shared
//! by all address spaces; the rest of the half stays empty.
//!
//! | from | what | PML4 |
//! | --- | --- | --- |
//! | `0xFFFF_8000_0000_0000` | physmap: all memory, no-execute, read-only over text and rodata | 256 |
//! | `0xFFFF_C000_0000_0000` | frame records, 16 bytes each, mapped by section when first needed | 384 |
//! | `0xFFFF_D000_0000_0000` | large blocks of the heap, page by page | 416 |
//! | `0xFFFF_E000_0000_0000` | device registers, uncached | 448 |
//! | `0xFFFF_FF80_0000_0000` | kernel stacks between guard pages | 511 |
//! | `0xFFFF_FFFF_8000_0000` | kernel image | 511 |

use kiln_core::addr::PhysAddr;

/// Start of the physmap.
pub(crate) const PHYSMAP: u64 = 0xFFFF_8000_0000_0000;
/// Memory above this physical address is left unused: the physmap has one PML4 entry.
pub(crate) const PHYSMAP_SIZE: u64 = 512 << 30;
/// Start of the frame records.
pub(crate) const RECORDS: u64 = 0xFFFF_C000_0000_0000;
/// Start of the heap's large blocks.
pub(crate) const VMALLOC: u64 = 0xFFFF_D000_0000_0000;
/// Bytes of that region.
pub(crate) const VMALLOC_SIZE: u64 = 512 << 30;
/// Start of the window for device registers.
pub(crate) const MMIO: u64 = 0xFFFF_E000_0000_0000;
/// Bytes of that window.
pub(crate) const MMIO_SIZE: u64 = 1 << 30;
/// Start of the kernel stacks.
pub(crate) const STACKS: u64 = 0xFFFF_FF80_0000_0000;
/// Bytes from one stack's slot to the next: a guard of 16 KiB, then the stack.
pub(crate) const STACK_SLOT: u64 = 32 << 10;
/// Bytes of a stack.
pub(crate) const STACK_SIZE: u64 = 16 << 10;
/// Slots in the region.
pub(crate) const STACK_SLOTS: u32 = 32768;
/// What the image's virtual addresses are above its physical ones.
pub(crate) const IMAGE: u64 = pvh::KERNEL_VMA;

/// An address in each region with a PML4 entry of its own (the stacks' is the image's too).
pub(crate) const REGIONS: [u64; 5] = [PHYSMAP, RECORDS, VMALLOC, MMIO, STACKS];

/// Where the physmap has `addr`.
pub(crate) fn physmap<T>(addr: PhysAddr) -> *mut T {
    core::ptr::with_exposed_provenance_mut(kiln_core::num::usize_of(PHYSMAP + addr.raw()))
}
