//! Faults on files' pages: read, written privately, shared.

use core::sync::atomic::Ordering;

use kiln_core::addr::UserAddr;
use kiln_core::vma::Prot;

use super::{AddressSpace, Attempt, FaultError, or_make_room, page_flags};
use crate::mm::frame::FrameRef;
use crate::mm::paging::{Gather, PageFlags};
use crate::vm::area::{MappedFile, Object, VmArea};
use crate::vm::mapping::{Mapping, Unmappable};
use crate::vm::reclaim::alloc_frame;
use crate::vm::space::PAGE;

/// Pages mapped around a fault in a file, aligned (`fault_around_bytes`).
const AROUND: u64 = 16 * PAGE;

impl AddressSpace {
    /// Makes the page of the area accessible that is the file's page `index`. `absent`: there is none yet.
    pub(super) fn resolve_file(
        &self,
        area: &VmArea,
        page: u64,
        (file, index): (&MappedFile, u64),
        write: bool,
        absent: bool,
    ) -> Result<Attempt, FaultError> {
        if area.is_shared() {
            return self.resolve_shared(area, page, &file.mapping, index, write);
        }
        if write {
            file.note_copy();
            return self.resolve_private_write(area, page, (&file.mapping, index), absent);
        }
        let flags = page_flags(area.prot, false);
        self.map_or_read(area, page, &file.mapping, index, flags)
    }

    fn resolve_private_write(
        &self,
        area: &VmArea,
        page: u64,
        (mapping, index): (&Mapping, u64),
        absent: bool,
    ) -> Result<Attempt, FaultError> {
        let va = UserAddr::new(page);
        if !absent && self.tables.lock().is_mapped(va) {
            return self.own_page(area, page);
        }
        let source = self.file_page(mapping, index)?;
        let copy = alloc_frame()?;
        copy.copy_from(&source);
        self.fill(va, page_flags(area.prot, true), copy)
    }

    /// Maps the page as it is in the file, read if it has to be.
    fn map_or_read(
        &self,
        area: &VmArea,
        page: u64,
        mapping: &Mapping,
        index: u64,
        flags: PageFlags,
    ) -> Result<Attempt, FaultError> {
        let mut mapped = self.map_around(area, page, mapping, index, flags);
        if matches!(mapped, Err(Unmappable::Absent)) {
            // As long as the page is held here it isn't given up: each fault gets somewhere.
            let _held = self.file_page(mapping, index)?;
            mapped = self.map_around(area, page, mapping, index, flags);
        }
        match mapped {
            Ok(()) => Ok(Attempt::Done),
            Err(Unmappable::Unready(unready)) => self.make_ready(unready, UserAddr::new(page)),
            Err(Unmappable::Absent) => Ok(Attempt::Again),
        }
    }

    /// Maps the page and those of its window that are in memory and not mapped yet.
    fn map_around(
        &self,
        area: &VmArea,
        page: u64,
        mapping: &Mapping,
        index: u64,
        flags: PageFlags,
    ) -> Result<(), Unmappable> {
        let window = page & !(AROUND - 1);
        let start = window.max(area.start);
        let end = (window + AROUND).min(area.end);
        let base = index - (page - start) / PAGE;
        let last = base + (end - start) / PAGE;
        let mut tables = self.tables.lock();
        mapping.for_mappable(base..last, index, |at, pages, ready| {
            // Where the chunk begins, or would begin: nothing before `base` is meant.
            let va = start.wrapping_add(at.wrapping_sub(base).wrapping_mul(PAGE));
            tables.enter_chunk(va, flags, pages, ready)
        })
    }

    fn resolve_shared(
        &self,
        area: &VmArea,
        page: u64,
        mapping: &Mapping,
        index: u64,
        write: bool,
    ) -> Result<Attempt, FaultError> {
        // Nothing behind the mapping: nothing to write back, so no need to see the first write.
        let track = mapping.has_source();
        if !write {
            let writable = !track && area.prot.contains(Prot::WRITE);
            let flags = page_flags(area.prot, writable);
            return self.map_or_read(area, page, mapping, index, flags);
        }
        let frame = self.file_page(mapping, index)?;
        if track {
            mapping.reserve(index)?;
        }
        if let Object::File { file, .. } = &area.backing {
            file.note_write();
        }
        self.map_shared_writable(area, page, mapping, index, frame)
    }

    fn map_shared_writable(
        &self,
        area: &VmArea,
        page: u64,
        mapping: &Mapping,
        index: u64,
        frame: FrameRef,
    ) -> Result<Attempt, FaultError> {
        let va = UserAddr::new(page);
        let mut gather = Gather::new();
        let mut tables = self.tables.lock();
        // Under the tables' lock: write-back, which cleans and then write-protects, comes
        // either before both or after both.
        if !mapping.mark_dirty(index, &frame) {
            return Ok(Attempt::Again);
        }
        let flags = page_flags(area.prot, true);
        let mapped = match tables.replace(va, frame, flags, &mut gather) {
            Ok(()) => Ok(()),
            Err(frame) => tables.map(va, frame, flags, &mut gather),
        };
        drop(tables);
        or_make_room(mapped)
    }

    /// The file's page, read if it has to be.
    fn file_page(&self, mapping: &Mapping, index: u64) -> Result<FrameRef, FaultError> {
        if let Some(frame) = mapping.cached(index) {
            return Ok(frame);
        }
        if mapping.has_source() {
            self.major_faults.fetch_add(1, Ordering::Relaxed);
        }
        Ok(mapping.page_around(index)?)
    }
}
