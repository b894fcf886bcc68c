//! Operations on ranges of a program's half: each leaf table is found once and gone through in one
//! go; what isn't there is skipped at the highest level possible.

use core::sync::atomic::Ordering;
use kiln_core::addr::{PhysAddr, TASK_SIZE, UserAddr};
use kiln_core::num::{u64_of, usize_of};

use super::{
    ADDRESS, Bits, COW, Gather, OWNED, PAGE, PageFlags, Table, UserTables, addr_of, frame, populate,
};
use crate::mm::frame::{FrameRef, OutOfMemory};
use crate::mm::layout::PHYSMAP;
use crate::mm::table::{self, ENTRIES};

/// A leaf table and the part of it that a range covers.
struct Part {
    table: &'static Table,
    /// Address of the first entry covered.
    va: u64,
    /// Indices covered.
    first: usize,
    end: usize,
}

impl UserTables {
    /// The first leaf table at or after `va` and before `end`.
    fn next_part(&self, mut va: u64, end: u64) -> Option<Part> {
        'next: while va < end {
            let mut addr = PhysAddr::new(self.root.addr());
            for level in (2..=4).rev() {
                // SAFETY: tables are freed through `&mut self`, by `depopulate`, when no part of them
                // is in use any more.
                let table: &'static Table = unsafe { table::at(PHYSMAP, addr.raw()) };
                let entry = table.entry(va, level).load(Ordering::Acquire) & ADDRESS;
                if entry == 0 {
                    va = skip(table, va, level);
                    continue 'next;
                }
                addr = PhysAddr::new(entry);
            }
            let first = usize_of(va / PAGE) % ENTRIES;
            let pages = usize_of((end - va).div_ceil(PAGE));
            // SAFETY: as above.
            let table = unsafe { table::at(PHYSMAP, addr.raw()) };
            return Some(Part {
                table,
                va,
                first,
                end: ENTRIES.min(first.saturating_add(pages)),
            });
        }
        None
    }

    /// Unmaps all pages in `start..end`; their frames go to `gather`, and so do tables left empty.
    pub(crate) fn unmap_range(&mut self, start: UserAddr, end: UserAddr, gather: &mut Gather) {
        let (mut at, end) = bounds(start, end);
        // Where no CPU can load the root no TLB knows anything, so nothing has to be gathered: the
        // end of every process.
        let known = !self.retired;
        while let Some(part) = self.next_part(at, end) {
            let mut removed = 0;
            let population = frame::table_record(addr_of(part.table)).population;
            let population = population.load(Ordering::Relaxed);
            for index in part.first..part.end {
                let entry = part.table.at(index);
                if entry.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                if known {
                    let old = entry.swap(0, Ordering::AcqRel);
                    let va = part.va + u64_of(index - part.first) * PAGE;
                    gather.release(&self.root, va, old);
                } else {
                    let old = entry.load(Ordering::Relaxed);
                    entry.store(0, Ordering::Relaxed);
                    // SAFETY: the handle that the entry owned; no TLB has it, see above.
                    drop(unsafe { FrameRef::from_raw(PhysAddr::new(old & ADDRESS)) });
                }
                removed += 1;
                if removed == population {
                    break;
                }
            }
            self.resident -= u64::from(removed);
            self.depopulate(part.table, part.va, removed, gather);
            at = part.va + u64_of(part.end - part.first) * PAGE;
        }
    }

    /// Counts `removed` entries of the leaf table out, and frees it, and its parents, if empty.
    fn depopulate(&mut self, leaf: &'static Table, va: u64, removed: u32, gather: &mut Gather) {
        let mut addr = addr_of(leaf);
        let mut gone = removed;
        for level in 2..=4 {
            let population = frame::table_record(addr).population;
            let left = population.load(Ordering::Relaxed) - gone;
            population.store(left, Ordering::Relaxed);
            if left != 0 {
                return;
            }
            let parent = self.table_above(va, level);
            parent.entry(va, level).store(0, Ordering::Release);
            gather.release_table(&self.root, va, addr);
            (addr, gone) = (addr_of(parent), 1);
        }
    }

    /// The table of `level` on the way to `va`, which is there.
    fn table_above(&self, va: u64, level: u32) -> &'static Table {
        let mut addr = self.root.addr();
        for above in (level + 1..=4).rev() {
            // SAFETY: on the way to a table that is there; freed through `&mut self` only.
            let table: &'static Table = unsafe { table::at(PHYSMAP, addr) };
            addr = table.entry(va, above).load(Ordering::Acquire) & ADDRESS;
        }
        // SAFETY: as above.
        unsafe { table::at(PHYSMAP, addr) }
    }

    /// Sets and clears flags of all pages in `start..end`. [`PageFlags::WRITE`] isn't set where
    /// [`PageFlags::SOFT_COW`] is: the page is still shared, and the write fault has to come.
    pub(crate) fn protect_range(
        &mut self,
        start: UserAddr,
        end: UserAddr,
        set: PageFlags,
        clear: PageFlags,
        gather: &mut Gather,
    ) {
        let (mut at, end) = bounds(start, end);
        while let Some(part) = self.next_part(at, end) {
            for index in part.first..part.end {
                let entry = part.table.at(index);
                let old = entry.load(Ordering::Relaxed);
                if old & OWNED == 0 {
                    continue;
                }
                let mut flags = (PageFlags::of_entry(old) | set) & !clear;
                if flags.contains(PageFlags::SOFT_COW) {
                    flags.remove(PageFlags::WRITE);
                }
                let new = old & ADDRESS | flags.to_entry();
                if new != old {
                    // The hardware may set bits of `old` until here: take what it was last.
                    let last = entry.swap(new, Ordering::AcqRel);
                    let kept = last & !clear.hardware() & Bits::DIRTY.bits();
                    entry.fetch_or(kept, Ordering::AcqRel);
                    let va = part.va + u64_of(index - part.first) * PAGE;
                    gather.changed(&self.root, va, last, new | kept);
                }
            }
            at = part.va + u64_of(part.end - part.first) * PAGE;
        }
    }

    /// Calls `visit` with address, flags and frame of each page in `start..end`.
    pub(crate) fn visit_range(
        &self,
        start: UserAddr,
        end: UserAddr,
        mut visit: impl FnMut(UserAddr, PageFlags, PhysAddr),
    ) {
        let (mut at, end) = bounds(start, end);
        while let Some(part) = self.next_part(at, end) {
            for index in part.first..part.end {
                let entry = part.table.at(index).load(Ordering::Acquire);
                if entry & OWNED != 0 {
                    let va = part.va + u64_of(index - part.first) * PAGE;
                    let addr = PhysAddr::new(entry & ADDRESS);
                    visit(UserAddr::new(va), PageFlags::of_entry(entry), addr);
                }
            }
            at = part.va + u64_of(part.end - part.first) * PAGE;
        }
    }

    /// Enters what is mapped in `start..end` in `child` too, where nothing is. With `cow`, pages that
    /// may be written become [`PageFlags::SOFT_COW`] on both sides.
    ///
    /// On failure the child has a part of them; dropping it is enough.
    pub(crate) fn fork_range(
        &mut self,
        child: &mut Self,
        start: UserAddr,
        end: UserAddr,
        cow: bool,
        gather: &mut Gather,
    ) -> Result<(), OutOfMemory> {
        let (mut at, end) = bounds(start, end);
        while let Some(part) = self.next_part(at, end) {
            let into = child.leaf_table(part.va)?;
            let groups = frame::table_record(addr_of(part.table))
                .groups
                .load(Ordering::Relaxed);
            let mut added = 0;
            for index in part.first..part.end {
                let entry = part.table.at(index);
                let mut value = entry.load(Ordering::Relaxed);
                if value & OWNED == 0 {
                    continue;
                }
                if cow && value & Bits::WRITABLE.bits() != 0 {
                    // Atomically, so that a dirty bit set by the hardware meanwhile isn't lost.
                    let old = entry.fetch_and(!Bits::WRITABLE.bits(), Ordering::AcqRel);
                    entry.fetch_or(COW, Ordering::Relaxed);
                    value = old & !Bits::WRITABLE.bits() | COW;
                    let va = part.va + u64_of(index - part.first) * PAGE;
                    gather.changed(&self.root, va, old, value);
                }
                frame::retain(PhysAddr::new(value & ADDRESS));
                // What the parent did with the page stands in the parent's entry.
                let used = Bits::ACCESSED.bits() | Bits::DIRTY.bits();
                into.at(index).store(value & !used, Ordering::Relaxed);
                added += 1;
            }
            populate(into, groups, added);
            child.resident += u64::from(added);
            at = part.va + u64_of(part.end - part.first) * PAGE;
        }
        Ok(())
    }
}

impl PageFlags {
    /// The bits of an entry that the hardware sets for these flags.
    fn hardware(self) -> u64 {
        self.to_entry() & (Bits::DIRTY.bits() | Bits::ACCESSED.bits())
    }
}

/// Where the first entry after `va`'s begins that may be in use, in a table of `level` in which
/// `va`'s isn't; or where the table ends.
fn skip(table: &Table, va: u64, level: u32) -> u64 {
    let shift = 12 + 9 * (level - 1);
    let groups = frame::table_record(addr_of(table))
        .groups
        .load(Ordering::Relaxed);
    let mut index = usize_of(va >> shift) % ENTRIES + 1;
    while index < ENTRIES {
        if groups >> (index / 16) == 0 {
            index = ENTRIES;
        } else if groups >> (index / 16) & 1 == 0 {
            index = (index / 16 + 1) * 16;
        } else if table.at(index).load(Ordering::Relaxed) == 0 {
            index += 1;
        } else {
            break;
        }
    }
    let span = u64_of(ENTRIES) << shift;
    (va & !(span - 1)) + (u64_of(index) << shift)
}

/// The range in whole pages, cut to a program's half.
fn bounds(start: UserAddr, end: UserAddr) -> (u64, u64) {
    (start.page_base().raw(), end.raw().min(TASK_SIZE))
}
