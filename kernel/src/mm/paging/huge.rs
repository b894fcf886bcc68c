//! Pages of 2 MiB.
//!
//! A huge page is a block of 512 frames, each with a handle that the block holds. How many entries
//! map the block as a whole stands in the record of its first frame; with the last of these the
//! block's handles go. An entry that is taken apart becomes a table of 512 entries with a handle
//! each: the block's own if it was the only one, else one more of every frame. So a single frame of
//! a block can be held like any other.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PhysAddr, UserAddr};
use kiln_core::num::u64_of;

use super::entry::{COW, HUGE, PAGE, PageFlags, SPAN};
use super::walk::{set_upper, table_bits};
use super::{Gather, UserTables};
use crate::mm::frame::HugeBlock;
use crate::mm::frame::{self, OutOfMemory};
use crate::mm::layout::PHYSMAP;
use crate::mm::table::{self, ADDRESS, Bits, ENTRIES, Table};

/// Pages in a huge page.
pub(super) const PAGES: u32 = 512;

/// What there is for the 2 MiB round an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Occupancy {
    /// A page at the address itself.
    Page,
    /// A table, with no page at the address.
    Table,
    /// Nothing.
    Nothing,
}

impl UserTables {
    /// What there is at `va` and around it.
    pub(crate) fn occupancy(&self, va: UserAddr) -> Occupancy {
        match self.find(va.raw()) {
            None => Occupancy::Nothing,
            Some(found) if found.entry.load(Ordering::Relaxed) == 0 => Occupancy::Table,
            Some(_) => Occupancy::Page,
        }
    }

    /// Maps a huge page at `va`, a multiple of its size, unless there is something; whether there
    /// wasn't.
    pub(crate) fn map_huge(
        &mut self,
        va: UserAddr,
        block: HugeBlock,
        flags: PageFlags,
    ) -> Result<bool, OutOfMemory> {
        let upper = self.upper_table(va.raw())?;
        if upper.entry(va.raw(), 2).load(Ordering::Acquire) != 0 {
            return Ok(false);
        }
        self.spares.add()?;
        let value = block.into_raw().raw() | flags.to_entry() | HUGE;
        set_upper(upper, va.raw(), 2, value);
        self.resident += u64::from(PAGES);
        Ok(true)
    }

    /// Prepares a write to the page at `va`. A huge page that is this space's alone becomes writable
    /// as a whole, and nothing more has to be done; else its pages, and those of a shared table, can
    /// be changed one by one afterwards.
    pub(crate) fn prepare_write(
        &mut self,
        va: UserAddr,
        flags: PageFlags,
        gather: &mut Gather,
    ) -> bool {
        let Some(upper) = self.find_upper(va.raw()) else {
            return false;
        };
        let value = upper.load(Ordering::Acquire);
        if value & HUGE == 0 {
            self.make_private(va, gather);
            return false;
        }
        if frame::huge_is_exclusive(PhysAddr::new(value & ADDRESS)) {
            upper.fetch_or(flags.to_entry() & Bits::WRITABLE.bits(), Ordering::AcqRel);
            upper.fetch_and(!COW, Ordering::AcqRel);
            return true;
        }
        self.split(upper, va.raw(), gather);
        false
    }

    /// Makes a huge page a table of pages.
    pub(super) fn split(&mut self, upper: &AtomicU64, va: u64, gather: &mut Gather) {
        let Some(spare) = self.spares.take() else {
            debug_assert!(false, "a huge page without a spare");
            return;
        };
        // SAFETY: the spare is this space's alone.
        let table: &Table = unsafe { table::at(PHYSMAP, spare.raw()) };
        let value = upper.load(Ordering::Acquire);
        fill(table, value);
        // SAFETY: the entry's mapping of the block, which ends here; the table's entries take what
        // they own over from it.
        unsafe { frame::huge_to_frames(PhysAddr::new(value & ADDRESS)) };
        let record = frame::table_record(spare);
        record.population.store(PAGES, Ordering::Relaxed);
        record.groups.store(u32::MAX, Ordering::Relaxed);
        let last = upper.swap(spare.raw() | table_bits(), Ordering::AcqRel);
        let used = last & (Bits::ACCESSED.bits() | Bits::DIRTY.bits());
        if used & !value != 0 {
            // Used meanwhile.
            fill(table, last);
        }
        gather.note_span(&self.root, va & !(SPAN - 1));
    }

    /// The huge page of `upper` in `child` too, at the same place, read-only in both.
    pub(super) fn fork_huge(
        &mut self,
        child: &mut Self,
        upper: &AtomicU64,
        va: u64,
        cow: bool,
        gather: &mut Gather,
    ) -> Result<(), OutOfMemory> {
        let childs = child.upper_table(va)?;
        child.spares.add()?;
        let mut value = upper.load(Ordering::Acquire);
        if cow {
            let (sealed, writable) = super::share::seal(upper);
            value = sealed;
            if writable {
                gather.note_span(&self.root, va);
            }
        }
        frame::huge_retain(PhysAddr::new(value & ADDRESS));
        let used = Bits::ACCESSED.bits() | Bits::DIRTY.bits();
        set_upper(childs, va, 2, value & !used);
        child.resident += u64::from(PAGES);
        Ok(())
    }
}

/// The entries of a table in the place of a huge page's.
fn fill(table: &Table, huge: u64) {
    let first = huge & !HUGE;
    for index in 0..ENTRIES {
        table
            .at(index)
            .store(first + u64_of(index) * PAGE, Ordering::Relaxed);
    }
}
