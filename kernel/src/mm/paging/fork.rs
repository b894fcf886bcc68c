//! What a child gets of its parent's pages.

use core::ops::Range;
use core::sync::atomic::Ordering;
use kiln_core::addr::{PhysAddr, UserAddr};
use kiln_core::num::u64_of;

use super::entry::{OWNED, PAGE, SHARED, SPAN};
use super::range::{Part, bounds};
use super::share::seal;
use super::walk::{addr_of, in_groups, populate, set_upper};
use super::zeroes::maps_zeroes;
use super::{Gather, UserTables};
use crate::mm::frame::{self, OutOfMemory};
use crate::mm::table::{ADDRESS, Bits};

/// Tables with fewer pages are copied at once: a copy at the first write costs a fault besides.
const SHARED_PAGES: u32 = 96;

impl UserTables {
    /// Enters what is mapped in `start..end` in `child` too, where nothing is. With `cow`, pages that
    /// may be written become [`SOFT_COW`](super::PageFlags::SOFT_COW) on both sides. Within `alone`
    /// the child gets nothing else, and everything that is mapped: tables that lie in it as a whole
    /// are shared.
    ///
    /// On failure the child has a part of them; unmapping `alone` there, or dropping it, is enough.
    pub(crate) fn fork_range(
        &mut self,
        child: &mut Self,
        start: UserAddr,
        end: UserAddr,
        alone: &Range<u64>,
        cow: bool,
        gather: &mut Gather,
    ) -> Result<(), OutOfMemory> {
        let (mut at, end) = bounds(start, end);
        while let Some(part) = self.next_part(at, end) {
            at = part.next();
            let window = part.va & !(SPAN - 1);
            let whole = cow && alone.start <= window && window + SPAN <= alone.end;
            match part.table() {
                None if whole => self.fork_huge(child, part.upper, window, cow, gather)?,
                None => {
                    self.open(part.va, gather);
                    self.copy_part(child, &part, cow, gather)?;
                }
                Some(table) => {
                    let population = frame::table_record(addr_of(table)).population;
                    let shared = part.upper.load(Ordering::Relaxed) & SHARED != 0;
                    let many = population.load(Ordering::Relaxed) >= SHARED_PAGES;
                    if whole && (shared || many) {
                        self.share(child, &part, gather)?;
                    } else {
                        self.copy_part(child, &part, cow, gather)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes the part's table the child's as well.
    fn share(
        &mut self,
        child: &mut Self,
        part: &Part,
        gather: &mut Gather,
    ) -> Result<(), OutOfMemory> {
        let va = part.va & !(SPAN - 1);
        let into = child.upper_table(va)?;
        child.spares.add()?;
        let mut value = part.upper.load(Ordering::Acquire);
        if value & SHARED == 0 {
            if let Err(error) = self.spares.add() {
                child.spares.free_one();
                return Err(error);
            }
            value = value & !Bits::WRITABLE.bits() | SHARED;
            part.upper.store(value, Ordering::Release);
            gather.note_span(&self.root, va);
        }
        let addr = PhysAddr::new(value & ADDRESS);
        frame::retain(addr);
        set_upper(into, va, 2, value);
        let population = frame::table_record(addr).population.load(Ordering::Relaxed);
        child.resident += u64::from(population);
        if let Some(table) = part.table() {
            child.zeroes += self.count_zeroes(table, value);
        }
        Ok(())
    }

    /// Enters the part's pages one by one.
    fn copy_part(
        &mut self,
        child: &mut Self,
        part: &Part,
        cow: bool,
        gather: &mut Gather,
    ) -> Result<(), OutOfMemory> {
        let Some(table) = part.table() else {
            return Ok(());
        };
        let into = match child.leaf_table(part.va) {
            Ok(into) => into,
            // The child is new: it shares nothing that it gets a part of.
            Err(_) => return Err(OutOfMemory),
        };
        let groups = frame::table_record(addr_of(table)).groups;
        let groups = groups.load(Ordering::Relaxed);
        let (mut added, mut zeroes) = (0, 0);
        for index in in_groups(groups, part.first..part.end) {
            let entry = table.at(index);
            let mut value = entry.load(Ordering::Relaxed);
            if value & OWNED == 0 {
                continue;
            }
            if cow && value & Bits::WRITABLE.bits() != 0 {
                let va = part.va + u64_of(index - part.first) * PAGE;
                let old = value;
                value = seal(entry).0;
                gather.changed(&self.root, va, old | value & Bits::ACCESSED.bits(), value);
            }
            frame::retain(PhysAddr::new(value & ADDRESS));
            // What the parent did with the page stands in the parent's entry.
            let used = Bits::ACCESSED.bits() | Bits::DIRTY.bits();
            into.at(index).store(value & !used, Ordering::Relaxed);
            added += 1;
            zeroes += u64::from(maps_zeroes(value));
        }
        populate(into, groups, added);
        child.note_zeroes(part.va, zeroes);
        child.resident += u64::from(added);
        Ok(())
    }
}
