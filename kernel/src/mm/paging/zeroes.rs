//! Entries that map the page of zeroes ([`frame::is_zeroes`]): they are counted, because they are no memory
//! of the program's.

use core::sync::atomic::Ordering;
use kiln_core::addr::{PhysAddr, UserAddr};

use super::entry::ZEROES;
use super::{PageFlags, Unready, UserTables};
use crate::mm::frame;
use crate::mm::table::{ADDRESS, ENTRIES, Table};

/// Whether an entry maps it.
#[inline]
pub(super) fn maps_zeroes(entry: u64) -> bool {
    frame::is_zeroes(PhysAddr::new(entry & ADDRESS))
}

impl UserTables {
    /// Enters the page of zeroes at `va`, unless something is mapped there; whether nothing was.
    pub(crate) fn map_zeroes(&mut self, va: UserAddr, flags: PageFlags) -> Result<bool, Unready> {
        let zeroes = frame::zeroes()?;
        let counts = frame::is_zeroes(zeroes.addr());
        let mut zeroes = Some(zeroes);
        let filled = self.enter(va, flags, &mut zeroes)?;
        self.note_zeroes(va.raw(), u64::from(filled && counts));
        Ok(filled)
    }

    /// So many entries more do, below the leaf table for `va`.
    pub(super) fn note_zeroes(&mut self, va: u64, more: u64) {
        if more != 0
            && let Some(upper) = self.find_upper(va)
        {
            upper.fetch_or(ZEROES, Ordering::AcqRel);
            self.zeroes += more;
        }
    }

    /// How many of the table's entries do, which the entry `upper` names.
    pub(super) fn count_zeroes(&self, table: &Table, upper: u64) -> u64 {
        if self.zeroes == 0 || upper & ZEROES == 0 {
            return 0;
        }
        let entries = (0..ENTRIES).map(|index| table.at(index).load(Ordering::Relaxed));
        entries.map(|entry| u64::from(maps_zeroes(entry))).sum()
    }
}
