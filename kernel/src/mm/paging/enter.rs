//! Entering pages where nothing is mapped: one, or a chunk of neighbours with one walk to their table.

use core::sync::atomic::Ordering;
use kiln_core::addr::UserAddr;
use kiln_core::num::{usize_of, usize_of32};
use kiln_core::pagemap::WIDTH;

use super::UserTables;
use super::entry::{PAGE, PageFlags, SPAN};
use super::walk::{group, populate};
use crate::mm::frame::{FrameRef, OutOfMemory};

/// Why a leaf table can't be filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unready {
    /// There is no memory for it.
    OutOfMemory,
    /// Other spaces have it too: [`UserTables::make_private`] comes first.
    Shared,
    /// A huge page is in its place: something is mapped.
    Huge,
}

impl From<OutOfMemory> for Unready {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl UserTables {
    /// Enters `frame` at `va`, unless something is mapped there; whether nothing was. The frame stays where it is if it
    /// isn't entered.
    #[inline(always)]
    pub(crate) fn enter(
        &mut self,
        va: UserAddr,
        flags: PageFlags,
        frame: &mut Option<FrameRef>,
    ) -> Result<bool, Unready> {
        // A table made here doesn't stay empty: where there was none, nothing is mapped.
        let leaf = match self.leaf_table(va.raw()) {
            Ok(leaf) => leaf,
            Err(Unready::Huge) => return Ok(false),
            Err(unready) => return Err(unready),
        };
        let entry = leaf.entry(va.raw(), 1);
        if entry.load(Ordering::Relaxed) != 0 {
            return Ok(false);
        }
        let Some(frame) = frame.take() else {
            return Ok(false);
        };
        entry.store(frame.into_raw().raw() | flags.to_entry(), Ordering::Release);
        populate(leaf, group(va.raw(), 1), 1);
        self.resident += 1;
        Ok(true)
    }

    /// Enters pages that follow each other, the first one at `va`, where nothing is mapped: those whose bits are in
    /// `ready`, at least one, which must all have the same leaf table (or nothing is done).
    pub(crate) fn enter_chunk(
        &mut self,
        va: u64,
        flags: PageFlags,
        pages: &[Option<FrameRef>; WIDTH],
        mut ready: u16,
    ) -> Result<(), Unready> {
        let slots = [
            ready.trailing_zeros(),
            u16::BITS - 1 - ready.leading_zeros().min(u16::BITS - 1),
        ];
        let [first, last] = slots.map(|slot| va.wrapping_add(u64::from(slot) * PAGE));
        if first / SPAN != last / SPAN {
            return Ok(());
        }
        let leaf = match self.leaf_table(first) {
            Ok(leaf) => leaf,
            Err(Unready::Huge) => return Ok(()),
            Err(unready) => return Err(unready),
        };
        let (bits, start) = (flags.to_entry(), usize_of(va / PAGE));
        let mut added = 0;
        while ready != 0 {
            let slot = usize_of32(ready.trailing_zeros());
            ready &= ready - 1;
            let entry = leaf.at(start.wrapping_add(slot));
            if entry.load(Ordering::Relaxed) == 0
                && let Some(Some(frame)) = pages.get(slot)
            {
                let value = frame.clone().into_raw().raw() | bits;
                entry.store(value, Ordering::Release);
                added += 1;
            }
        }
        // At most two groups; one too many costs a look.
        populate(leaf, group(first, 1) | group(last, 1), added);
        self.resident += u64::from(added);
        Ok(())
    }
}
