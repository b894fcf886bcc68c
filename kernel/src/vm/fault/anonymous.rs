//! Faults on pages of a program's own: zeroes at first, copied when they are written and others have them too.

use kiln_core::addr::UserAddr;

use super::{AddressSpace, Attempt, FaultError, page_flags};
use crate::mm::frame;
use crate::mm::paging::{Gather, Occupancy, PageFlags};
use crate::vm::area::{Object, VmArea};
use crate::vm::reclaim::{alloc_frame, alloc_zeroed_frame};

impl AddressSpace {
    pub(super) fn resolve_anonymous(
        &self,
        area: &VmArea,
        page: u64,
        write: bool,
    ) -> Result<Attempt, FaultError> {
        let va = UserAddr::new(page);
        let occupancy = self.tables.lock().occupancy(va);
        match occupancy {
            Occupancy::Page if write => return self.own_page(area, page),
            Occupancy::Page => return Ok(Attempt::Done),
            Occupancy::Nothing if write && self.fill_huge(area, page) => return Ok(Attempt::Done),
            _ => {}
        }
        self.fill_anonymous(area, page, write)
    }

    /// Maps zeroes where nothing is mapped.
    pub(super) fn fill_anonymous(
        &self,
        area: &VmArea,
        page: u64,
        write: bool,
    ) -> Result<Attempt, FaultError> {
        let va = UserAddr::new(page);
        if !write {
            let filled = self
                .tables
                .lock()
                .map_zeroes(va, page_flags(area.prot, false));
            return self.or_make_ready(filled, va);
        }
        // With no lock held: this may sleep.
        self.fill(va, page_flags(area.prot, true), alloc_zeroed_frame()?)
    }

    /// Makes a page that is mapped read-only in a private, writable area writable: as it is when
    /// nobody else has it, else as a copy.
    pub(super) fn own_page(&self, area: &VmArea, page: u64) -> Result<Attempt, FaultError> {
        let va = UserAddr::new(page);
        let flags = page_flags(area.prot, true);
        if let Object::File { file, .. } = &area.backing {
            file.note_copy();
        }
        let mut gather = Gather::new();
        let mut tables = self.tables.lock();
        if tables.prepare_write(va, flags, &mut gather) {
            return Ok(Attempt::Done);
        }
        let Some(mapped) = tables.lookup(va) else {
            return Ok(Attempt::Again);
        };
        if mapped.flags.contains(PageFlags::WRITE) {
            return Ok(Attempt::Done);
        }
        // One owner is the table entry, the other is `mapped` itself.
        if mapped.frame.count() == 2 {
            tables.set_flags(va, mapped.flags | flags, &mut gather);
            return Ok(Attempt::Done);
        }
        drop(tables);
        let copy = if frame::is_zeroes(mapped.frame.addr()) {
            alloc_zeroed_frame()?
        } else {
            let copy = alloc_frame()?;
            copy.copy_from(&mapped.frame);
            copy
        };
        let mut tables = self.tables.lock();
        match tables.lookup(va) {
            Some(now) if now.frame.addr() == mapped.frame.addr() => {
                let replaced = tables.replace(va, copy, flags, &mut gather);
                drop(tables);
                // What is mapped under the lock can be replaced under it.
                Ok(if replaced.is_ok() {
                    Attempt::Done
                } else {
                    Attempt::Again
                })
            }
            _ => Ok(Attempt::Again),
        }
    }
}
