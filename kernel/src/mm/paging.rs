//! A program's half of the address space: [`UserTables`], the [`Root`] a CPU loads, and [`Gather`],
//! which frees a frame only after no TLB knows it any more.
//!
//! An entry in use owns one handle of its frame. It may be not present for the hardware and still
//! own one ([`PageFlags::NO_ACCESS`]). How many entries of a table are in use stands in the record of
//! the table's frame, so a table that becomes empty is found and freed at once.
//!
//! An entry of level 2 names a leaf table, one that other spaces may have too ([`share`]), or is a page
//! of 2 MiB itself ([`huge`]). The latter two are taken apart before a single page below them changes,
//! for which a table lies in reserve ([`spare`]), so that this never fails.
//!
//! The tables are changed by whoever holds `&mut UserTables`; the hardware sets accessed and dirty
//! bits meanwhile. Here is what is done with single pages; beside it:
//!
//! | module | |
//! | --- | --- |
//! | [`entry`] | what an entry says, [`PageFlags`] |
//! | [`walk`] | the way to an entry, tables made on it, entries counted |
//! | [`range`], [`fork`] | many pages at once: unmapping, protecting, visiting, copying on write |
//! | [`share`], [`huge`], [`spare`] | entries of level 2 that aren't a space's own leaf table |
//! | [`collapse`] | a leaf table becomes a huge page |
//! | [`enter`] | one page entered, or many below one leaf table |
//! | [`zeroes`] | entries of pages that were read and never written |
//! | [`root`] | [`Root`], and which CPU has which loaded |
//! | [`gather`], [`shootdown`] | TLBs forget, and frames go when they have |

mod collapse;
mod enter;
mod entry;
mod fork;
mod gather;
mod huge;
mod range;
mod root;
mod share;
pub(crate) mod shootdown;
mod spare;
mod walk;
mod zeroes;

use core::sync::atomic::Ordering;
use kiln_core::addr::{TASK_SIZE, UserAddr};

use super::frame::{self, FrameRef, OutOfMemory};
use super::table::ADDRESS;
pub(crate) use collapse::Leaf;
pub(crate) use enter::Unready;
use entry::OWNED;
pub(crate) use entry::PageFlags;
pub(crate) use gather::Gather;
pub(crate) use huge::Occupancy;
pub(crate) use range::Seen;
pub(crate) use root::{Root, load_kernel};
use spare::Spares;
use walk::{group, populate};
use zeroes::maps_zeroes;

/// A page of a program.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// A handle of its frame; the entry holds another.
    pub(crate) frame: FrameRef,
    /// What its entry says.
    pub(crate) flags: PageFlags,
}

/// The page tables of a program's half. Dropping them frees what they map.
#[derive(Debug)]
pub(crate) struct UserTables {
    root: Root,
    /// Pages mapped.
    resident: u64,
    /// Those of them that are the page of zeroes.
    zeroes: u64,
    /// The most there were before pages were last unmapped.
    most_resident: u64,
    /// No CPU has them loaded, nor will have.
    retired: bool,
    /// A table for each entry of level 2 that may have to be taken apart.
    spares: Spares,
}

impl UserTables {
    /// An empty half.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            root: Root::new()?,
            resident: 0,
            zeroes: 0,
            most_resident: 0,
            retired: false,
            spares: Spares::new(),
        })
    }

    /// No thread uses them any more: takes them from the CPUs that still happen to have them loaded.
    /// One change of root for each is less than a flush for every few frames.
    pub(crate) fn retire(&mut self) {
        if self.retired {
            return;
        }
        if self.root.is_loaded() {
            load_kernel();
        }
        self.most_resident = self.most_resident();
        // Nobody asks any more.
        self.zeroes = 0;
        shootdown::make_all_leave(&self.root);
        self.retired = true;
    }

    /// What the scheduler loads.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Pages mapped that are memory of their own, those without access included.
    pub(crate) fn resident(&self) -> u64 {
        self.resident - self.zeroes
    }

    /// The most that were mapped at any time.
    pub(crate) fn most_resident(&self) -> u64 {
        if self.retired {
            self.most_resident
        } else {
            self.most_resident.max(self.resident())
        }
    }

    /// Counts the most that are mapped from now on.
    pub(crate) fn forget_most_resident(&mut self) {
        self.most_resident = 0;
    }

    /// Enters `frame` at `va`, where nothing is mapped. (If something is, it stays, and the frame is
    /// dropped.)
    pub(crate) fn map(
        &mut self,
        va: UserAddr,
        frame: FrameRef,
        flags: PageFlags,
        gather: &mut Gather,
    ) -> Result<(), OutOfMemory> {
        self.make_private(va, gather);
        let table = match self.leaf_table(va.raw()) {
            Ok(table) => table,
            Err(Unready::OutOfMemory) => return Err(OutOfMemory),
            Err(Unready::Shared | Unready::Huge) => return Ok(()),
        };
        let entry = table.entry(va.raw(), 1);
        debug_assert!(entry.load(Ordering::Relaxed) == 0, "{va} is mapped already");
        if entry.load(Ordering::Relaxed) == 0 {
            self.note_zeroes(va.raw(), u64::from(frame::is_zeroes(frame.addr())));
            entry.store(frame.into_raw().raw() | flags.to_entry(), Ordering::Release);
            populate(table, group(va.raw(), 1), 1);
            self.resident += 1;
        }
        Ok(())
    }

    /// Whether something is mapped at `va`.
    pub(crate) fn is_mapped(&self, va: UserAddr) -> bool {
        self.find(va.raw())
            .is_some_and(|found| found.entry.load(Ordering::Relaxed) & OWNED != 0)
    }

    /// What is mapped at `va`.
    #[inline]
    pub(crate) fn lookup(&self, va: UserAddr) -> Option<Mapped> {
        let found = self.find(va.raw())?;
        let entry = found.entry.load(Ordering::Acquire);
        if entry & OWNED == 0 {
            return None;
        }
        let addr = found.frame(entry, va.raw());
        frame::retain(addr);
        // SAFETY: the handle just counted.
        let frame = unsafe { FrameRef::from_raw(addr) };
        Some(Mapped {
            frame,
            flags: PageFlags::of_shared(entry, found.shared),
        })
    }

    /// Puts `frame` in the place of what is mapped at `va`; the old one goes to `gather`. Where
    /// nothing is mapped, nothing happens and `frame` comes back.
    pub(crate) fn replace(
        &mut self,
        va: UserAddr,
        frame: FrameRef,
        flags: PageFlags,
        gather: &mut Gather,
    ) -> Result<(), FrameRef> {
        self.open(va.raw(), gather);
        let entry = match self.find(va.raw()) {
            Some(found) if found.entry.load(Ordering::Relaxed) & OWNED != 0 => found.entry,
            _ => return Err(frame),
        };
        let old = entry.swap(frame.into_raw().raw() | flags.to_entry(), Ordering::AcqRel);
        if maps_zeroes(old) {
            self.zeroes -= 1;
        }
        gather.release(&self.root, va.raw(), old);
        Ok(())
    }

    /// Sets the flags of the page at `va`, if one is mapped; the frame stays.
    pub(crate) fn set_flags(&mut self, va: UserAddr, flags: PageFlags, gather: &mut Gather) {
        self.open(va.raw(), gather);
        let Some(found) = self.find(va.raw()) else {
            return;
        };
        let old = found.entry.load(Ordering::Relaxed);
        if old & OWNED != 0 {
            let new = old & ADDRESS | flags.to_entry();
            found.entry.store(new, Ordering::Release);
            gather.changed(&self.root, va.raw(), old, new);
        }
    }
}

impl Drop for UserTables {
    fn drop(&mut self) {
        self.retire();
        // Empty tables are freed at once, so there are none where nothing is mapped.
        if self.resident != 0 {
            let mut gather = Gather::new();
            self.unmap_range(UserAddr::NULL, UserAddr::new(TASK_SIZE), &mut gather);
        }
        self.sweep();
    }
}
