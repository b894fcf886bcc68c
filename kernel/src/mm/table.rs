//! Page tables: their entries, and walking and filling them for ranges.
//!
//! Entries are atomic words: other CPUs and the hardware (accessed and dirty bits) write them too.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::num::{u64_of, usize_of, usize_of32};
pub(crate) use x86_64::structures::paging::PageTableFlags as Bits;

/// The bits of an entry that hold an address.
pub(crate) const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
/// Entries in a table.
pub(crate) const ENTRIES: usize = 512;

/// One page table, of any level.
#[repr(C, align(4096))]
pub(crate) struct Table([AtomicU64; ENTRIES]);

impl Table {
    /// The entry for `va` at `level` (1: pages of 4 KiB, 2: of 2 MiB, 3: of 1 GiB, 4: PML4).
    pub(crate) fn entry(&self, va: u64, level: u32) -> &AtomicU64 {
        self.at(usize_of(va >> (12 + 9 * (level - 1))))
    }

    /// Sixteen entries: the group of that number, of which the low 5 bits count.
    pub(crate) fn group(&self, group: u32) -> &[AtomicU64; 16] {
        let (groups, _) = self.0.as_chunks();
        // SAFETY: 512 entries are 32 groups.
        unsafe { groups.get_unchecked(usize_of32(group % 32)) }
    }

    /// The entry at `index`, of which the low 9 bits count.
    pub(crate) fn at(&self, index: usize) -> &AtomicU64 {
        // SAFETY: the index is cut to the array's length.
        unsafe { self.0.get_unchecked(index % ENTRIES) }
    }
}

/// The table at `addr`, seen at `alias + addr`.
///
/// # Safety
/// `alias` maps `addr`, which is a page table that stays one as long as the reference lives.
pub(crate) unsafe fn at<'a>(alias: u64, addr: u64) -> &'a Table {
    // SAFETY: the caller's promise; entries are atomic, so sharing is fine.
    unsafe { &*core::ptr::with_exposed_provenance(usize_of(alias + (addr & ADDRESS))) }
}

/// A mapping of physically contiguous pages of one size.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    /// First virtual address.
    pub(crate) va: u64,
    /// First physical address.
    pub(crate) pa: PhysAddr,
    /// Pages.
    pub(crate) count: usize,
    /// 1: pages of 4 KiB, 2: of 2 MiB, 3: of 1 GiB.
    pub(crate) level: u32,
    /// Bits of the leaf entries.
    pub(crate) bits: Bits,
}

/// Where missing tables come from: the physical address of a zeroed frame.
pub(crate) type TableSource<'a> = &'a mut dyn FnMut() -> Option<u64>;

/// Enters `mapping` below `root`, whose tables are seen at `alias`; `None` when `tables` ran dry
/// (what was entered until then stays).
///
/// # Safety
/// As [`at`] for `root` and every table below it. The entries written were not present before, or
/// nobody relies on what they were.
pub(crate) unsafe fn map(
    alias: u64,
    root: u64,
    mapping: Mapping,
    tables: TableSource<'_>,
) -> Option<()> {
    let size = u64_of(PAGE_SIZE) << (9 * (mapping.level - 1));
    let large = if mapping.level > 1 {
        Bits::HUGE_PAGE
    } else {
        Bits::empty()
    };
    let mut left = mapping.count;
    let (mut va, mut leaf) = (mapping.va, mapping.pa.raw() | (mapping.bits | large).bits());
    while left > 0 {
        // SAFETY: the caller's promise.
        let table = unsafe { make(alias, root, va, mapping.level, tables) }?;
        let first = usize_of(va >> (12 + 9 * (mapping.level - 1))) % ENTRIES;
        for index in first..ENTRIES.min(first + left) {
            table.at(index).store(leaf, Ordering::Relaxed);
            leaf += size;
            va += size;
            left -= 1;
        }
    }
    Some(())
}

/// The table of `level` that holds the entry for `va`, made if it isn't there.
///
/// # Safety
/// As [`at`] for `root` and every table below it.
pub(crate) unsafe fn make<'a>(
    alias: u64,
    root: u64,
    va: u64,
    level: u32,
    tables: TableSource<'_>,
) -> Option<&'a Table> {
    // SAFETY: the caller's promise, here and below.
    let mut table: &Table = unsafe { at(alias, root) };
    for upper in (level + 1..=4).rev() {
        let entry = table.entry(va, upper);
        let mut value = entry.load(Ordering::Acquire);
        if value & Bits::PRESENT.bits() == 0 {
            // The rights are those of the leaf alone; the kernel's half never has USER.
            value = tables()? | (Bits::PRESENT | Bits::WRITABLE).bits();
            entry.store(value, Ordering::Release);
        }
        // SAFETY: as above; an entry above the leaf level always names a table.
        table = unsafe { at(alias, value) };
    }
    Some(table)
}

/// The leaf entry for `va` below `root` and its level, if there is one.
///
/// # Safety
/// As [`at`] for `root` and every table below it.
#[inline]
pub(crate) unsafe fn find<'a>(alias: u64, root: u64, va: u64) -> Option<(&'a AtomicU64, u32)> {
    // SAFETY: the caller's promise, here and below.
    let mut table: &'a Table = unsafe { at(alias, root) };
    for level in (1..=4).rev() {
        let entry = table.entry(va, level);
        let value = entry.load(Ordering::Acquire);
        if value & Bits::PRESENT.bits() == 0 {
            return None;
        }
        if level == 1 || value & Bits::HUGE_PAGE.bits() != 0 {
            return Some((entry, level));
        }
        // SAFETY: as above.
        table = unsafe { at(alias, value) };
    }
    None
}
