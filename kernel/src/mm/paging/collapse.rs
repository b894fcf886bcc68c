//! A leaf table becomes a huge page, in three steps, because between the first and the second the TLBs
//! have to forget, which no spin lock outlasts: [`UserTables::detach`] takes the table out,
//! [`Detached::move_to`] empties it into a block, and [`UserTables::put_block`] puts the block in its
//! place and the table in reserve ([`super::spare`]), where each huge page has one. Nothing here can
//! fail for want of memory. Who does it lets nobody map anything there meanwhile.

use core::sync::atomic::Ordering;
use kiln_core::addr::{PhysAddr, UserAddr};

use super::entry::{HUGE, PageFlags, SPAN};
use super::huge::PAGES;
use super::{Gather, UserTables};
use crate::mm::frame::{self, FrameRef, HugeBlock};
use crate::mm::layout::PHYSMAP;
use crate::mm::table::{self, ADDRESS, Bits, ENTRIES, Table};

/// What [`UserTables::detach`] found.
pub(crate) enum Leaf {
    /// No page.
    Nothing,
    /// A huge page.
    Huge,
    /// A page that somebody holds, a device perhaps.
    Busy,
    /// Pages, and their table is out of its place.
    Taken(Detached),
}

/// A leaf table in no place, and the pages that it maps.
#[must_use = "its pages are lost"]
pub(crate) struct Detached {
    va: u64,
    table: PhysAddr,
    /// Pages that it mapped.
    pages: u32,
}

impl UserTables {
    /// Takes the leaf table for `va` out; its pages can't be used until it is replaced.
    pub(crate) fn detach(&mut self, va: UserAddr, gather: &mut Gather) -> Leaf {
        let Some(upper) = self.find_upper(va.raw()) else {
            return Leaf::Nothing;
        };
        match upper.load(Ordering::Acquire) {
            0 => return Leaf::Nothing,
            huge if huge & HUGE != 0 => return Leaf::Huge,
            _ => self.make_private(va, gather),
        }
        let value = upper.load(Ordering::Acquire);
        let addr = PhysAddr::new(value & ADDRESS);
        // SAFETY: the entry names it, and it is freed through `&mut self` only.
        let table: &Table = unsafe { table::at(PHYSMAP, addr.raw()) };
        if (0..ENTRIES).any(|index| is_held(table.at(index).load(Ordering::Relaxed))) {
            return Leaf::Busy;
        }
        upper.store(0, Ordering::Release);
        self.zeroes -= self.count_zeroes(table, value);
        let va = va.raw() & !(SPAN - 1);
        gather.note_leaf(&self.root, va);
        let pages = frame::table_record(addr).population.load(Ordering::Relaxed);
        Leaf::Taken(Detached {
            va,
            table: addr,
            pages,
        })
    }

    /// Puts the block, to which the pages were moved, in the table's place.
    pub(crate) fn put_block(&mut self, old: Detached, block: HugeBlock, flags: PageFlags) {
        self.spares.give(old.table);
        self.resident += u64::from(PAGES - old.pages);
        if let Some(upper) = self.find_upper(old.va) {
            let value = block.into_raw().raw() | flags.to_entry() | HUGE;
            upper.store(value, Ordering::Release);
        }
    }
}

impl Detached {
    /// Copies the pages to the block, with zeroes where there is none, and gives them up. The TLBs
    /// have forgotten them.
    pub(crate) fn move_to(&self, block: &HugeBlock) {
        // SAFETY: the table is in no place, so it is the caller's alone.
        let table: &Table = unsafe { table::at(PHYSMAP, self.table.raw()) };
        for index in 0..ENTRIES {
            let entry = table.at(index).swap(0, Ordering::Relaxed);
            let page = (entry != 0).then(|| PhysAddr::new(entry & ADDRESS));
            block.set_page(index, page);
            if let Some(page) = page {
                // SAFETY: the handle that the entry owned, which no TLB knows any more.
                drop(unsafe { FrameRef::from_raw(page) });
            }
        }
    }
}

/// Whether the page of an entry, which may be written and so isn't another space's, has a handle more.
fn is_held(entry: u64) -> bool {
    entry & Bits::WRITABLE.bits() != 0 && frame::count(PhysAddr::new(entry & ADDRESS)) > 1
}
