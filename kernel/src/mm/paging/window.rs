//! [`Window`]: filling neighbouring pages with one walk to their table.

use core::sync::atomic::Ordering;
use kiln_core::addr::UserAddr;
use kiln_core::num::{usize_of, usize_of32};
use kiln_core::pagemap::WIDTH;

use super::UserTables;
use super::entry::{PAGE, PageFlags};
use super::walk::{group, populate};
use crate::mm::frame::{FrameRef, OutOfMemory};
use crate::mm::table::Table;

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

/// The pages that share a leaf table, 2 MiB of addresses.
pub(crate) struct Window<'a> {
    tables: &'a mut UserTables,
    /// Any address in it.
    va: u64,
    /// What all entries made here have besides the frame.
    bits: u64,
    /// Found, or made, when the first page comes.
    leaf: Option<&'static Table>,
    /// Pages entered, and the groups of them, not counted in the table's record yet.
    added: u32,
    groups: u32,
}

impl UserTables {
    /// The window around `va`, to be filled with pages that have these flags.
    pub(crate) fn window(&mut self, va: UserAddr, flags: PageFlags) -> Window<'_> {
        Window {
            tables: self,
            va: va.raw(),
            bits: flags.to_entry(),
            leaf: None,
            added: 0,
            groups: 0,
        }
    }
}

impl Window<'_> {
    /// Enters the frame that `frame` answers at `va`, unless something is mapped there; whether
    /// nothing was. An address of another window is left alone.
    #[inline]
    pub(crate) fn fill(
        &mut self,
        va: UserAddr,
        frame: impl FnOnce() -> Option<FrameRef>,
    ) -> Result<bool, Unready> {
        let Some(leaf) = self.leaf()? else {
            return Ok(false);
        };
        let entry = leaf.entry(va.raw(), 1);
        if (va.raw() ^ self.va) >> 21 != 0 || entry.load(Ordering::Relaxed) != 0 {
            return Ok(false);
        }
        let Some(frame) = frame() else {
            return Ok(false);
        };
        let value = frame.into_raw().raw() | self.bits;
        entry.store(value, Ordering::Release);
        self.added += 1;
        self.groups |= group(va.raw(), 1);
        Ok(true)
    }

    /// Enters pages that follow each other, the first one at `va`, where nothing is mapped: those whose bits are in
    /// `ready`, of which all must lie in the window.
    pub(crate) fn fill_chunk(
        &mut self,
        va: u64,
        pages: &[Option<FrameRef>; WIDTH],
        mut ready: u16,
    ) -> Result<(), Unready> {
        let (first, last) = (ready.trailing_zeros(), 15 - ready.leading_zeros().min(15));
        let ends = [first, last].map(|slot| va.wrapping_add(u64::from(slot) * PAGE));
        if ends.iter().any(|va| (va ^ self.va) >> 21 != 0) {
            return Ok(());
        }
        let Some(leaf) = self.leaf()? else {
            return Ok(());
        };
        // At most two groups; one too many costs a look.
        self.groups |= group(ends[0], 1) | group(ends[1], 1);
        let start = usize_of(va / PAGE);
        while ready != 0 {
            let slot = usize_of32(ready.trailing_zeros());
            ready &= ready - 1;
            let entry = leaf.at(start.wrapping_add(slot));
            if entry.load(Ordering::Relaxed) == 0
                && let Some(Some(frame)) = pages.get(slot)
            {
                let value = frame.clone().into_raw().raw() | self.bits;
                entry.store(value, Ordering::Release);
                self.added += 1;
            }
        }
        Ok(())
    }

    /// The table, `None` when a huge page is in its place. One that is made here doesn't stay empty: where there was none,
    /// nothing is mapped.
    #[inline]
    fn leaf(&mut self) -> Result<Option<&'static Table>, Unready> {
        if let Some(leaf) = self.leaf {
            return Ok(Some(leaf));
        }
        match self.tables.leaf_table(self.va) {
            Ok(leaf) => Ok(Some(*self.leaf.insert(leaf))),
            Err(Unready::Huge) => Ok(None),
            Err(unready) => Err(unready),
        }
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if let (Some(leaf), 1..) = (self.leaf, self.added) {
            populate(leaf, self.groups, self.added);
            self.tables.resident += u64::from(self.added);
        }
    }
}
