//! Virtual memory: address spaces, faults, and the page cache.
//!
//! - [`AddressSpace`] (`space`): the areas of a process under a sleeping lock and its page tables
//!   under a spin lock. `map`, `remap`, `advise` change it, `fault` and [`huge`] fill it, `copy` and
//!   [`iter`] move bytes in and out of it, `maps` and `smaps` describe it.
//! - [`Mapping`] (`mapping`): the pages of one file, read ahead, written back (`writeback`) and
//!   given up (`reclaim`). A filesystem supplies a [`PageSource`].
//! - [`loader`]: builds the address space of a new program.
//! - [`vdso`]: the pages through which programs read clocks by themselves. `ldt`: their own descriptor table.
//!
//! Lock order: a space's areas, then a space's tables, then a mapping's pages; the last two are
//! spin locks and never held across a wait, a copy from or to a program, or a charge. A mapping's
//! pages are removed from its index before they are unmapped, and mapped only while they are seen
//! in it, so that no page stays mapped after its truncation.
//!
//! Anonymous memory has no object behind it: its pages belong to the page tables alone, and a
//! frame that only one table entry owns may be written to.

mod advise;
mod area;
mod copy;
mod core_file;
mod fault;
mod fork;
mod heap;
pub(crate) mod huge;
pub(crate) mod iter;
mod ldt;
pub(crate) mod loader;
mod lock;
mod map;
mod mapping;
mod maps;
mod place;
mod policy;
mod protect;
mod readahead;
pub(crate) mod reclaim;
mod remap;
mod remote;
mod smaps;
mod space;
pub(crate) mod vdso;
pub(crate) mod writeback;

pub(crate) use area::{FileMapping, MapName};
pub(crate) use copy::Plain;
pub(crate) use core_file::CoreMap;
pub(crate) use fault::{Access, FaultError};
pub(crate) use iter::{IoDst, IoSrc, IoVec};
pub(crate) use map::{MapRequest, OVERCOMMIT, OVERCOMMIT_RATIO, commit_limit, committed};
pub(crate) use mapping::{Mapping, PageLimit, PageOrigin, PageSource};
pub(crate) use maps::MemorySizes;
pub(crate) use reclaim::{alloc_frame, alloc_zeroed_frame};
pub(crate) use space::{AddressSpace, MemoryLimits, ProgramInfo};

/// Tells `mm` who gives memory up when it is short.
pub(crate) fn init() {
    crate::mm::kmem::on_shortage(reclaim::reclaim);
    crate::mm::kmem::on_exhaustion(reclaim::wait_for_memory);
}
