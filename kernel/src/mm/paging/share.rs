//! Leaf tables that several spaces have, from a fork to the first change below them.
//!
//! Each space's entry of level 2 holds one handle of the table's frame and is read-only, so every
//! write faults. As long as there is more than one handle nobody changes which frames the table
//! maps, and its entries' handles count for all spaces together. Who is to change something takes a
//! copy first, or, having the last handle, the table itself. Handles leave through a [`Gather`]: a
//! space that still had stale translations must not leave the last one to another, which would free
//! the frames under it.
//!
//! Two spaces may take their copies at the same time, each with its own lock only; therefore entries
//! are made read-only by atomic operations, whose order lets no state be seen that is neither
//! writable nor marked.

use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PhysAddr, UserAddr};

use super::entry::{COW, HUGE, SHARED, SPAN, ZEROES};
use super::walk::table_bits;
use super::{Gather, UserTables};
use crate::mm::frame::{self, FrameRef};
use crate::mm::layout::PHYSMAP;
use crate::mm::table::{self, ADDRESS, Bits, ENTRIES, Table};

/// Makes an entry that may be written wait for a copy; what it is then, and whether it was writable.
pub(super) fn seal(entry: &AtomicU64) -> (u64, bool) {
    let value = entry.load(Ordering::Relaxed);
    if value & Bits::WRITABLE.bits() == 0 {
        return (value, false);
    }
    // First the mark, so that nobody sees an entry with neither.
    entry.fetch_or(COW, Ordering::AcqRel);
    // Atomically, so that a dirty bit set by the hardware meanwhile isn't lost.
    let old = entry.fetch_and(!Bits::WRITABLE.bits(), Ordering::AcqRel);
    (old & !Bits::WRITABLE.bits() | COW, true)
}

impl UserTables {
    /// Sees to it that entries of the leaf table for `va` may be changed one by one.
    pub(super) fn open(&mut self, va: u64, gather: &mut Gather) {
        let Some(upper) = self.find_upper(va) else {
            return;
        };
        let value = upper.load(Ordering::Acquire);
        if value & HUGE != 0 {
            self.split(upper, va, gather);
        } else if value & SHARED != 0 {
            self.unshare(upper, va, gather);
        }
    }

    /// Sees to it that the leaf table for `va` is no other space's. A huge page stays.
    pub(crate) fn make_private(&mut self, va: UserAddr, gather: &mut Gather) {
        if let Some(upper) = self.find_upper(va.raw())
            && upper.load(Ordering::Acquire) & (HUGE | SHARED) == SHARED
        {
            self.unshare(upper, va.raw(), gather);
        }
    }

    fn unshare(&mut self, upper: &AtomicU64, va: u64, gather: &mut Gather) {
        let value = upper.load(Ordering::Acquire);
        let addr = PhysAddr::new(value & ADDRESS);
        let bits = table_bits() | value & ZEROES;
        if frame::count(addr) == 1 {
            // More handles come only from here, by a fork.
            upper.store(addr.raw() | bits, Ordering::Release);
            self.spares.free_one();
            return;
        }
        let Some(copy) = self.spares.take() else {
            debug_assert!(false, "a shared table without a spare");
            return;
        };
        // SAFETY: `upper` holds a handle of the table; the spare is this space's alone.
        let (from, to): (&Table, &Table) = unsafe {
            (
                table::at(PHYSMAP, addr.raw()),
                table::at(PHYSMAP, copy.raw()),
            )
        };
        for index in 0..ENTRIES {
            let value = seal(from.at(index)).0;
            if value != 0 {
                frame::retain(PhysAddr::new(value & ADDRESS));
            }
            to.at(index).store(value, Ordering::Relaxed);
        }
        let (old, new) = (frame::table_record(addr), frame::table_record(copy));
        for (from, to) in [(old.population, new.population), (old.groups, new.groups)] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        upper.store(copy.raw() | bits, Ordering::Release);
        // What is accessed through the old table from now on, until the flush, isn't marked so in
        // the new one: all of it must go.
        gather.release_leaf(&self.root, va & !(SPAN - 1), addr);
    }
}

/// Gives one handle of a leaf table up and, if it was the last, what the table maps.
///
/// # Safety
/// The handle is the caller's, and no TLB knows the table through it any more.
pub(super) unsafe fn release_leaf(addr: PhysAddr) {
    if !frame::release_unless_last(addr) {
        // SAFETY: the last handle, so nobody else uses it.
        let table: &Table = unsafe { table::at(PHYSMAP, addr.raw()) };
        let record = frame::table_record(addr);
        let mut left = record.population.load(Ordering::Relaxed);
        let mut groups = record.groups.load(Ordering::Relaxed);
        while left != 0 && groups != 0 {
            for entry in table.group(groups.trailing_zeros()) {
                let value = entry.load(Ordering::Relaxed);
                if value != 0 {
                    entry.store(0, Ordering::Relaxed);
                    // SAFETY: the handle that the entry owned.
                    drop(unsafe { FrameRef::from_raw(PhysAddr::new(value & ADDRESS)) });
                    left -= 1;
                }
            }
            groups &= groups - 1;
        }
        // SAFETY: the last handle of a table that is empty now.
        unsafe { FrameRef::from_raw(addr).free_zeroed() };
    }
}
