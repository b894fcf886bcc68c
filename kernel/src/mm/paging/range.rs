//! Operations on ranges of a program's half: each leaf table is found once and gone through in one
//! go; what isn't there is skipped at the highest level possible. Tables and huge pages that a range
//! covers as a whole are dealt with as a whole.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PhysAddr, TASK_SIZE, UserAddr};
use kiln_core::num::{u64_of, usize_of};

use super::entry::{Change, HUGE, OWNED, PAGE, PageFlags, SHARED, SPAN};
use super::walk::addr_of;
use super::zeroes::maps_zeroes;
use super::{Gather, UserTables};
use crate::mm::frame::{self, FrameRef};
use crate::mm::layout::PHYSMAP;
use crate::mm::table::{self, ADDRESS, Bits, ENTRIES, Table};

/// A page, as [`UserTables::visit_range`] finds it.
pub(crate) struct Seen {
    /// Its address.
    pub(crate) va: u64,
    /// What its entry says.
    pub(crate) flags: PageFlags,
    /// Where it lies.
    pub(crate) frame: PhysAddr,
    /// Entries of programs and other handles that it has.
    pub(crate) handles: u32,
    /// It is a part of a huge page.
    pub(crate) huge: bool,
}

/// An entry of level 2 and the part of its 2 MiB that a range covers.
pub(super) struct Part {
    /// The entry.
    pub(super) upper: &'static AtomicU64,
    /// Address of the first page covered.
    pub(super) va: u64,
    /// Indices of the pages covered.
    pub(super) first: usize,
    pub(super) end: usize,
}

impl Part {
    /// The leaf table; `None` for a huge page.
    pub(super) fn table(&self) -> Option<&'static Table> {
        self.table_of(self.upper.load(Ordering::Acquire))
    }

    /// The same by what the entry of level 2 was.
    fn table_of(&self, value: u64) -> Option<&'static Table> {
        // SAFETY: tables are freed through `&mut UserTables`, which whoever has a part doesn't use
        // for anything else meanwhile.
        (value & HUGE == 0).then(|| unsafe { table::at(PHYSMAP, value) })
    }

    /// The first address past it.
    pub(super) fn next(&self) -> u64 {
        self.address(self.end)
    }

    /// The address of the page at `index`.
    pub(super) fn address(&self, index: usize) -> u64 {
        (self.va & !(SPAN - 1)) + u64_of(index) * PAGE
    }

    fn is_whole(&self) -> bool {
        self.first == 0 && self.end == ENTRIES
    }
}

impl UserTables {
    /// The first part in use at or after `va` and before `end`.
    pub(super) fn next_part(&self, mut va: u64, end: u64) -> Option<Part> {
        'next: while va < end {
            let mut addr = self.root.addr();
            for level in [4, 3] {
                // SAFETY: tables are freed through `&mut self`, by `depopulate`, when no part of them
                // is in use any more.
                let table: &'static Table = unsafe { table::at(PHYSMAP, addr) };
                addr = table.entry(va, level).load(Ordering::Acquire) & ADDRESS;
                if addr == 0 {
                    va = skip(table, va, level);
                    continue 'next;
                }
            }
            // SAFETY: as above.
            let table: &'static Table = unsafe { table::at(PHYSMAP, addr) };
            let upper = table.entry(va, 2);
            if upper.load(Ordering::Acquire) == 0 {
                va = skip(table, va, 2);
                continue 'next;
            }
            let first = usize_of(va / PAGE) % ENTRIES;
            let pages = usize_of((end - va).div_ceil(PAGE));
            let end = ENTRIES.min(first.saturating_add(pages));
            return Some(Part {
                upper,
                va,
                first,
                end,
            });
        }
        None
    }

    /// Unmaps all pages in `start..end`; their frames go to `gather`, and so do tables left empty.
    pub(crate) fn unmap_range(&mut self, start: UserAddr, end: UserAddr, gather: &mut Gather) {
        let (mut at, end) = bounds(start, end);
        self.most_resident = self.most_resident();
        while let Some(part) = self.next_part(at, end) {
            at = part.next();
            if part.is_whole() {
                self.take_out(&part, gather);
                continue;
            }
            self.open(part.va, gather);
            if let Some(table) = part.table() {
                let removed = self.clear(&part, table, gather);
                self.resident -= u64::from(removed);
                self.depopulate(table, part.va, removed, gather);
            }
        }
    }

    /// Clears the part's entries; how many were in use.
    fn clear(&mut self, part: &Part, table: &Table, gather: &mut Gather) -> u32 {
        // Where no CPU can load the root no TLB knows anything, so nothing has to be gathered: the
        // end of every process.
        let known = !self.retired;
        let may_be_zeroes = self.zeroes != 0;
        let mut removed = 0;
        let population = frame::table_record(addr_of(table)).population;
        let population = population.load(Ordering::Relaxed);
        for index in part.first..part.end {
            let entry = table.at(index);
            if entry.load(Ordering::Relaxed) == 0 {
                continue;
            }
            if known {
                let old = entry.swap(0, Ordering::AcqRel);
                if may_be_zeroes {
                    self.zeroes -= u64::from(maps_zeroes(old));
                }
                gather.release(&self.root, part.address(index), old);
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
        removed
    }

    /// Takes a whole part out: its table, or its huge page.
    fn take_out(&mut self, part: &Part, gather: &mut Gather) {
        let value = part.upper.swap(0, Ordering::AcqRel);
        let addr = PhysAddr::new(value & ADDRESS);
        let pages = if value & HUGE == 0 {
            frame::table_record(addr).population.load(Ordering::Relaxed)
        } else {
            super::huge::PAGES
        };
        self.resident -= u64::from(pages);
        if let Some(table) = part.table_of(value) {
            self.zeroes -= self.count_zeroes(table, value);
        }
        if value & (HUGE | SHARED) != 0 {
            self.spares.free_one();
        }
        // As in `clear`.
        match (value & HUGE == 0, self.retired) {
            (true, false) => gather.release_leaf(&self.root, part.va, addr),
            (false, false) => gather.release_huge(&self.root, part.va, addr),
            // SAFETY: the entry's own handle, and no TLB knows it.
            (true, true) => unsafe { super::share::release_leaf(addr) },
            // SAFETY: as above.
            (false, true) => unsafe { frame::huge_release(addr) },
        }
        self.drop_upper(part.va, gather);
    }

    /// Counts `removed` entries of the leaf table out, and frees it, and its parents, if empty.
    fn depopulate(&mut self, leaf: &Table, va: u64, removed: u32, gather: &mut Gather) {
        let addr = addr_of(leaf);
        let population = frame::table_record(addr).population;
        let left = population.load(Ordering::Relaxed) - removed;
        population.store(left, Ordering::Relaxed);
        if left == 0 {
            let upper = self.table_above(va, 2);
            upper.entry(va, 2).store(0, Ordering::Release);
            gather.release_table(&self.root, va, addr);
            self.drop_upper(va, gather);
        }
    }

    /// An entry of level 2 was cleared: frees its table, and that one's, if empty.
    fn drop_upper(&mut self, va: u64, gather: &mut Gather) {
        for level in [3, 4] {
            let addr = addr_of(self.table_above(va, level - 1));
            let population = frame::table_record(addr).population;
            let left = population.load(Ordering::Relaxed) - 1;
            population.store(left, Ordering::Relaxed);
            if left != 0 {
                return;
            }
            let above = self.table_above(va, level);
            above.entry(va, level).store(0, Ordering::Release);
            gather.release_table(&self.root, va, addr);
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
        let change = Change::of(set, clear);
        while let Some(part) = self.next_part(at, end) {
            at = part.next();
            if part.table().is_none() && part.is_whole() {
                if let Some((last, new)) = protect_entry(part.upper, change) {
                    gather.changed_span(&self.root, part.va, last, new);
                }
                continue;
            }
            self.open(part.va, gather);
            let Some(table) = part.table() else { continue };
            for index in part.first..part.end {
                let entry = table.at(index);
                if entry.load(Ordering::Relaxed) & OWNED != 0
                    && let Some((last, new)) = protect_entry(entry, change)
                {
                    gather.changed(&self.root, part.address(index), last, new);
                }
            }
        }
    }

    /// Calls `visit` for each page in `start..end`.
    pub(crate) fn visit_range(&self, start: UserAddr, end: UserAddr, mut visit: impl FnMut(&Seen)) {
        let (mut at, end) = bounds(start, end);
        while let Some(part) = self.next_part(at, end) {
            at = part.next();
            let upper = part.upper.load(Ordering::Acquire);
            let table = part.table();
            // Handles that count for several entries, or aren't an entry's.
            let more = match table {
                Some(table) => frame::count(addr_of(table)) - 1,
                None => frame::huge_mappings(PhysAddr::new(upper & ADDRESS)) - 1,
            };
            for index in part.first..part.end {
                // A page of a huge one lies as many pages further on.
                let (entry, within) = match table {
                    Some(table) => (table.at(index).load(Ordering::Acquire), 0),
                    None => (upper, u64_of(index) * PAGE),
                };
                if entry & OWNED != 0 {
                    let frame = PhysAddr::new((entry & ADDRESS) + within);
                    visit(&Seen {
                        va: part.address(index),
                        flags: PageFlags::of_shared(entry, upper & SHARED != 0),
                        frame,
                        handles: frame::count(frame) + more,
                        huge: table.is_none(),
                    });
                }
            }
        }
    }
}

/// Sets and clears flags of an entry in use; what it was and is, if that differs.
#[inline]
fn protect_entry(entry: &AtomicU64, change: Change) -> Option<(u64, u64)> {
    let old = entry.load(Ordering::Relaxed);
    let new = change.apply(old);
    if new == old {
        return None;
    }
    // The hardware may set bits of `old` until here: take what it was last.
    let last = entry.swap(new, Ordering::AcqRel);
    let used = last & Bits::DIRTY.bits() & !change.off;
    if used & !new != 0 {
        entry.fetch_or(used, Ordering::AcqRel);
    }
    Some((last, new | used))
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
pub(super) fn bounds(start: UserAddr, end: UserAddr) -> (u64, u64) {
    (start.page_base().raw(), end.raw().min(TASK_SIZE))
}
