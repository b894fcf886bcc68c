//! [`Window`]: filling neighbouring pages with one walk to their table.

use core::sync::atomic::Ordering;
use kiln_core::addr::UserAddr;

use super::UserTables;
use super::entry::PageFlags;
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
        // A table made here doesn't stay empty: where there was none, nothing is mapped.
        let leaf = match self.leaf {
            Some(leaf) => leaf,
            None => match self.tables.leaf_table(self.va) {
                Ok(leaf) => *self.leaf.insert(leaf),
                Err(Unready::Huge) => return Ok(false),
                Err(unready) => return Err(unready),
            },
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
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if let (Some(leaf), 1..) = (self.leaf, self.added) {
            populate(leaf, self.groups, self.added);
            self.tables.resident += u64::from(self.added);
        }
    }
}
