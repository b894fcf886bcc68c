//! The page tables of the kernel's half: pages entered and taken out one by one after boot.
//!
//! The root made at boot is the model: address spaces copy its upper half, and since its PML4
//! entries never change, what is entered here appears in all of them.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PhysAddr, VirtAddr};
use kiln_core::callsite;
use kiln_core::num::{u64_of, usize_of};

use super::frame::{self, FrameRef, OutOfMemory};
use super::layout::PHYSMAP;
use super::table::{self, ADDRESS, Bits, Mapping};
use crate::sync::SpinLock;

/// The root's physical address.
static ROOT: AtomicU64 = AtomicU64::new(0);
/// Held while tables are added. Before the frame allocator's lock, which is taken within.
static CHANGING: SpinLock<()> = SpinLock::new(());

/// Remembers the root that `boot` has made and loaded.
pub(super) fn init(root: u64) {
    ROOT.store(root, Ordering::Relaxed);
}

/// The root's physical address.
pub(crate) fn root() -> u64 {
    ROOT.load(Ordering::Relaxed)
}

/// Maps `frame` at `va`, writable and never executable; the mapping owns the frame.
pub(super) fn map_frame(va: VirtAddr, frame: FrameRef) -> Result<(), OutOfMemory> {
    let bits = Bits::PRESENT | Bits::WRITABLE | Bits::NO_EXECUTE | Bits::GLOBAL;
    let mapping = Mapping {
        va: va.raw(),
        pa: frame.addr(),
        count: 1,
        level: 1,
        bits,
    };
    map(mapping)?;
    core::mem::forget(frame);
    Ok(())
}

/// Maps device registers: uncached, writable, never executable.
pub(super) fn map_device(va: VirtAddr, pa: PhysAddr, count: usize) -> Result<(), OutOfMemory> {
    let bits = Bits::PRESENT
        | Bits::WRITABLE
        | Bits::NO_EXECUTE
        | Bits::GLOBAL
        | Bits::NO_CACHE
        | Bits::WRITE_THROUGH;
    map(Mapping {
        va: va.raw(),
        pa,
        count,
        level: 1,
        bits,
    })
}

// One copy for all callers: most of them are met once, at boot, where code that is new costs most.
#[inline(never)]
fn map(mapping: Mapping) -> Result<(), OutOfMemory> {
    let _changing = CHANGING.lock();
    let mut tables = || frame::alloc_table().ok();
    // SAFETY: the kernel's tables are never freed and the physmap shows them; the callers map
    // addresses that are theirs and not in use.
    unsafe { table::map(PHYSMAP, root(), mapping, &mut tables) }.ok_or(OutOfMemory)
}

/// Maps a page of frame records. Only the frame allocator does that, under its own lock, with
/// tables from memory that isn't its yet.
pub(super) fn map_records(va: u64, pa: PhysAddr, tables: table::TableSource<'_>) -> Option<()> {
    let bits = Bits::PRESENT | Bits::WRITABLE | Bits::NO_EXECUTE | Bits::GLOBAL;
    let mapping = Mapping {
        va,
        pa,
        count: 1,
        level: 1,
        bits,
    };
    // SAFETY: as in `map`; below the records' PML4 entry nobody else changes tables.
    unsafe { table::map(PHYSMAP, root(), mapping, tables) }
}

/// Takes the page at `va` out and returns the frame that [`map_frame`] gave it. TLBs still know it: see
/// [`forget_kernel`](super::paging::shootdown::forget_kernel).
pub(super) fn unmap_frame(va: VirtAddr) -> Option<FrameRef> {
    // SAFETY: as in `map`.
    let (entry, _) = unsafe { table::find(PHYSMAP, root(), va.raw()) }?;
    let old = entry.swap(0, Ordering::AcqRel);
    // SAFETY: `map_frame` put the reference there, and it is taken out once.
    Some(unsafe { FrameRef::from_raw(PhysAddr::new(old & ADDRESS)) })
}

/// Makes this CPU forget the page at `va`.
pub(super) fn forget_here(va: VirtAddr) {
    x86_64::instructions::tlb::flush(x86_64::VirtAddr::new_truncate(va.raw()));
}

/// Makes this CPU forget every address, the kernel's own too.
pub(super) fn flush_all() {
    use x86_64::registers::control::{Cr4, Cr4Flags};
    let flags = Cr4::read();
    // Changing PGE drops global entries too (Intel SDM volume 3, 4.10.4.1).
    // SAFETY: the same flags afterwards, and without global pages everything is where it was.
    unsafe {
        Cr4::write(flags ^ Cr4Flags::PAGE_GLOBAL);
        Cr4::write(flags);
    }
}

/// Makes the tables down to the one with the entry for `va`.
pub(super) fn make_table(va: VirtAddr) -> Result<(), OutOfMemory> {
    let _changing = CHANGING.lock();
    let mut tables = || frame::alloc_table().ok();
    // SAFETY: as in `map`.
    let made = unsafe { table::make(PHYSMAP, root(), va.raw(), 1, &mut tables) };
    made.map(|_| ()).ok_or(OutOfMemory)
}

/// The entry for `va`, whose table is there.
fn leaf<'a>(va: u64) -> Option<&'a AtomicU64> {
    // SAFETY: as in `map`; no table is made, since it is there.
    let table = unsafe { table::make(PHYSMAP, root(), va, 1, &mut || None) };
    table.map(|table| table.entry(va, 1))
}

/// Notes a number of 31 bits in the entry of a page that isn't mapped but has its table.
pub(super) fn put_link(va: u64, link: u32) {
    if let Some(entry) = leaf(va) {
        entry.store(u64::from(link) << 1, Ordering::Relaxed);
    }
}

/// Takes the number out again that [`put_link`] noted.
pub(super) fn take_link(va: u64) -> u32 {
    let entry = leaf(va).map_or(0, |entry| entry.swap(0, Ordering::Relaxed));
    kiln_core::num::low32(entry >> 1)
}

/// Whether a page is mapped at `va`.
pub(crate) fn is_mapped(va: u64) -> bool {
    // SAFETY: as in `map`.
    unsafe { table::find(PHYSMAP, root(), va) }.is_some()
}

/// The words of the page at `va`, if one is mapped there. Whoever owns it may write them meanwhile.
pub(super) fn page_words<'a>(va: u64) -> Option<&'a [AtomicU64; 512]> {
    if !is_mapped(va) {
        return None;
    }
    let page = core::ptr::with_exposed_provenance(usize_of(va & !0xFFF));
    // SAFETY: mapped just now, and the callers look at stacks that aren't unmapped meanwhile.
    Some(unsafe { &*page })
}

/// The word at `va`, for backtraces: `None` unless it lies in a mapped page of a kernel stack or of
/// the image.
pub(crate) fn stack_word(va: u64) -> Option<u64> {
    use super::layout::{IMAGE, STACK_SLOT, STACK_SLOTS, STACKS};
    let stacks = STACKS..STACKS + STACK_SLOT * u64::from(STACK_SLOTS);
    let image = IMAGE..IMAGE + u64_of(super::boot::image_len());
    if !va.is_multiple_of(8) || !(stacks.contains(&va) || image.contains(&va)) || !is_mapped(va) {
        return None;
    }
    let word = core::ptr::with_exposed_provenance::<u64>(usize_of(va));
    // SAFETY: mapped and aligned. It may belong to anyone, so it is read once, as a volatile word.
    Some(unsafe { word.read_volatile() })
}

/// The last bytes of code before `address`, for backtraces: `None` outside the kernel's code.
pub(crate) fn code_before(address: u64) -> Option<[u8; callsite::LONGEST]> {
    let text = super::boot::text();
    let start = address.checked_sub(u64_of(callsite::LONGEST))?;
    if start < text.start || address >= text.end {
        return None;
    }
    let bytes = core::ptr::with_exposed_provenance::<[u8; callsite::LONGEST]>(usize_of(start));
    // SAFETY: within the segment of code, which is mapped to be read and never changes.
    Some(unsafe { bytes.read() })
}
