//! The fault handler: gives a program the page it touched, or says why not.
//!
//! Private memory gets a frame of its own: zeros, or a copy of the file's page at the first write.
//! A read of a file's page maps the page itself, and those around it that are in memory already.
//! A write to a shared file page tells the mapping first, so that it is written back. Files' pages are in [`file`], private ones
//! in [`anonymous`].

mod anonymous;
mod file;

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::vma::{AreaFlags, Prot};

use super::area::{Object, VmArea};
use super::map::check_commit;
use super::reclaim::wait_for_memory;
use super::space::{AddressSpace, Areas, PAGE, STACK_GAP};
use super::vdso::Special;
use crate::mm::frame::{FrameRef, OutOfMemory};
use crate::mm::paging::{Gather, PageFlags, Unready};

/// What the program tried to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Exec,
}

/// Why it couldn't.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultError {
    /// Nothing is mapped there: SIGSEGV, `SEGV_MAPERR`.
    Maperr,
    /// The area forbids it: SIGSEGV, `SEGV_ACCERR`.
    Accerr,
    /// Past the end of the mapped file, or it can't be read: SIGBUS, `BUS_ADRERR`.
    BusAdrerr,
    /// No memory: the killer's turn.
    Oom,
}

impl From<Errno> for FaultError {
    fn from(error: Errno) -> Self {
        if error == Errno::ENOMEM {
            Self::Oom
        } else {
            Self::BusAdrerr
        }
    }
}

impl From<OutOfMemory> for FaultError {
    fn from(_: OutOfMemory) -> Self {
        Self::Oom
    }
}

/// How one attempt at a fault ended.
enum Attempt {
    Done,
    /// Something changed meanwhile, or memory for tables had to be made.
    Again,
}

impl AddressSpace {
    /// Resolves a fault at `addr`. May sleep; when memory has run out, until somebody's end has
    /// freed some.
    ///
    /// # Errors
    /// [`FaultError`].
    pub(crate) fn fault(
        self: &Arc<Self>,
        addr: UserAddr,
        access: Access,
    ) -> Result<(), FaultError> {
        self.page_fault(addr, access, false)
    }

    /// The same; `absent`: the processor found no page there.
    ///
    /// # Errors
    /// As [`Self::fault`].
    #[inline]
    pub(crate) fn page_fault(
        self: &Arc<Self>,
        addr: UserAddr,
        access: Access,
        mut absent: bool,
    ) -> Result<(), FaultError> {
        let addr = addr.raw();
        let page = addr & !(PAGE - 1);
        loop {
            let areas = self.read_areas();
            let Some(area) = areas.map.first_ending_above(addr) else {
                return Err(FaultError::Maperr);
            };
            if area.start > addr {
                let grows = area.flags.contains(AreaFlags::GROWS_DOWN);
                drop(areas);
                if !grows {
                    return Err(FaultError::Maperr);
                }
                self.grow_stack(addr)?;
                continue;
            }
            check(area, access)?;
            let outcome = self.resolve(area, page, access == Access::Write, absent);
            // Somebody else may have mapped it meanwhile.
            absent = false;
            // A dirty page counts only now: write-back may take other spaces' locks.
            let throttle = matches!(outcome, Ok(Attempt::Done)) && shared_write(area, access);
            let mapping = throttle.then(|| area.backing.mapping().map(|(m, _)| m.clone()));
            drop(areas);
            if let Attempt::Done = outcome? {
                if let Some(mapping) = mapping.flatten() {
                    mapping.throttle();
                }
                self.minor_faults.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// Brings the page at `addr` although the area doesn't allow the access; for writing, a private
    /// copy of it.
    ///
    /// # Errors
    /// As [`Self::fault`]; `Accerr` where a write would reach others.
    pub(super) fn force_fault(
        self: &Arc<Self>,
        addr: UserAddr,
        write: bool,
    ) -> Result<(), FaultError> {
        let page = addr.raw() & !(PAGE - 1);
        loop {
            let areas = self.read_areas();
            let area = areas.map.find(page).ok_or(FaultError::Maperr)?;
            if write && area.is_shared() {
                return Err(FaultError::Accerr);
            }
            match self.resolve(area, page, write, false)? {
                Attempt::Done => return Ok(()),
                Attempt::Again => {}
            }
        }
    }

    /// Makes the page at `page` accessible as the area allows. `absent`: it needn't be looked whether there is one;
    /// should there be, nothing is done, and the caller tries again.
    #[inline(always)]
    fn resolve(
        &self,
        area: &VmArea,
        page: u64,
        write: bool,
        absent: bool,
    ) -> Result<Attempt, FaultError> {
        match &area.backing {
            Object::Anonymous if absent && !self.may_fill_huge(area, page) => {
                self.fill_anonymous(area, page, write)
            }
            Object::Anonymous => self.resolve_anonymous(area, page, write),
            Object::Special(special) => self.resolve_special(area, page, *special, write),
            Object::File { file, offset } => {
                let index = (offset + (page - area.start)) / PAGE;
                self.resolve_file(area, page, (file, index), write, absent)
            }
        }
    }

    fn resolve_special(
        &self,
        area: &VmArea,
        page: u64,
        special: Special,
        write: bool,
    ) -> Result<Attempt, FaultError> {
        let va = UserAddr::new(page);
        let mapped = self.tables.lock().is_mapped(va);
        // What may never be written isn't copied for a debugger either.
        if write && !area.flags.contains(AreaFlags::MAY_WRITE) {
            return Err(FaultError::Accerr);
        }
        match (mapped, write) {
            (true, true) => self.own_page(area, page),
            (true, false) => Ok(Attempt::Done),
            (false, _) => {
                let filled = self.fill(va, page_flags(area.prot, false), special.frame()?)?;
                Ok(if write { Attempt::Again } else { filled })
            }
        }
    }

    /// Maps the frame where nothing is mapped.
    #[inline(always)]
    fn fill(&self, va: UserAddr, flags: PageFlags, frame: FrameRef) -> Result<Attempt, FaultError> {
        let mut frame = Some(frame);
        let filled = self.tables.lock().enter(va, flags, &mut frame);
        self.or_make_ready(filled, va)
    }

    /// What it means that a page was filled, wasn't because there was one, or couldn't be.
    fn or_make_ready(
        &self,
        filled: Result<bool, Unready>,
        va: UserAddr,
    ) -> Result<Attempt, FaultError> {
        match filled {
            Ok(true) => Ok(Attempt::Done),
            Ok(false) => Ok(Attempt::Again),
            Err(unready) => self.make_ready(unready, va),
        }
    }

    /// A leaf table couldn't be filled: does something about it.
    fn make_ready(&self, unready: Unready, va: UserAddr) -> Result<Attempt, FaultError> {
        if unready == Unready::OutOfMemory {
            return or_make_room(Err(OutOfMemory));
        }
        let mut gather = Gather::new();
        self.tables.lock().make_private(va, &mut gather);
        Ok(Attempt::Again)
    }

    /// Extends the area above `addr`, which grows down, to it.
    fn grow_stack(&self, addr: u64) -> Result<(), FaultError> {
        let mut areas = self.write_areas();
        let Some(area) = areas.map.first_ending_above(addr) else {
            return Err(FaultError::Maperr);
        };
        if area.start <= addr {
            return Ok(());
        }
        let (start, end, prot) = (area.start, area.end, area.prot);
        if !area.flags.contains(AreaFlags::GROWS_DOWN) {
            return Err(FaultError::Maperr);
        }
        let new_start = addr & !(PAGE - 1);
        let limits = self.limits();
        let grown = areas.map.total_bytes() + (start - new_start);
        if end - new_start > limits.stack || grown > limits.address_space {
            return Err(FaultError::Maperr);
        }
        if check_commit(start - new_start, 0).is_err() {
            return Err(FaultError::Maperr);
        }
        if !has_gap(&areas, new_start) || new_start < super::space::MIN_ADDR {
            return Err(FaultError::Maperr);
        }
        if prot.is_empty() || !areas.map.grow_down(start, new_start) {
            return Err(FaultError::Maperr);
        }
        self.note_peak(&areas);
        Ok(())
    }

    /// Makes all pages of a range present, as `MAP_POPULATE` and `mlock` do; stops silently at
    /// the first that can't be.
    pub(super) fn populate(
        self: &Arc<Self>,
        start: u64,
        end: u64,
        write: bool,
    ) -> Result<(), FaultError> {
        let mut page = start;
        while page < end {
            let writable = write && {
                let areas = self.read_areas();
                let area = areas.map.find(page).ok_or(FaultError::Maperr)?;
                // Shared pages aren't made dirty before the program writes.
                area.prot.contains(Prot::WRITE) && !area.is_shared()
            };
            let access = if writable {
                Access::Write
            } else {
                Access::Read
            };
            self.fault(UserAddr::new(page), access)?;
            page += PAGE;
        }
        Ok(())
    }
}

/// Whether the area allows the access. As on x86, what can be written or executed can be read.
fn check(area: &VmArea, access: Access) -> Result<(), FaultError> {
    let allowed = match access {
        Access::Read => !area.prot.is_empty(),
        Access::Write => area.prot.contains(Prot::WRITE),
        Access::Exec => area.prot.contains(Prot::EXEC),
    };
    if allowed {
        Ok(())
    } else {
        Err(FaultError::Accerr)
    }
}

fn shared_write(area: &VmArea, access: Access) -> bool {
    access == Access::Write && area.is_shared()
}

/// Whether nothing but another growing area lies within the guard gap below `new_start`.
fn has_gap(areas: &Areas, new_start: u64) -> bool {
    let below = areas.map.last_ending_below(new_start);
    below.is_none_or(|area| {
        area.prot.is_empty()
            || area.flags.contains(AreaFlags::GROWS_DOWN)
            || new_start - area.end >= STACK_GAP
    })
}

/// The bits of a table entry for a page of an area; `writable`: writes need no fault of their own.
pub(super) fn page_flags(prot: Prot, writable: bool) -> PageFlags {
    let mut flags = PageFlags::empty();
    flags.set(PageFlags::WRITE, writable && prot.contains(Prot::WRITE));
    flags.set(PageFlags::EXEC, prot.contains(Prot::EXEC));
    flags
}

/// Tables ran out of frames under the spin lock: make room without it, and try again.
fn or_make_room(mapped: Result<(), OutOfMemory>) -> Result<Attempt, FaultError> {
    match mapped {
        Ok(()) => Ok(Attempt::Done),
        Err(OutOfMemory) => {
            if wait_for_memory() {
                Ok(Attempt::Again)
            } else {
                Err(FaultError::Oom)
            }
        }
    }
}

/// Bytes from an address to the end of its page.
pub(super) fn rest_of_page(addr: UserAddr) -> usize {
    PAGE_SIZE - addr.page_offset()
}
