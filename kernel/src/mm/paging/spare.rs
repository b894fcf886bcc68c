//! [`Spares`]: tables in reserve. Taking a huge page apart, or a private copy of a shared table,
//! needs a table where nothing may fail: in `munmap`, or when memory has run out. So each entry that
//! may need one has put one aside. Most are never needed: a large process's lie in blocks.

use core::sync::atomic::Ordering;
use kiln_core::addr::PhysAddr;

use crate::mm::frame::{self, FrameRef, OutOfMemory};
use crate::mm::kmem;

/// Order of a block, and frames in it.
const ORDER: u8 = 4;
const BLOCK: u32 = 1 << ORDER;
/// Up to so many frames are taken one by one.
const FEW: u32 = 8;

/// A list of frames, each naming the next in its record.
#[derive(Debug)]
struct List {
    /// Number of the first; 0: none.
    first: u32,
    len: u32,
}

impl List {
    const fn new() -> Self {
        Self { first: 0, len: 0 }
    }

    fn put(&mut self, addr: PhysAddr) {
        let next = frame::table_record(addr).population;
        next.store(self.first, Ordering::Relaxed);
        self.first = frame::number(addr);
        self.len += 1;
    }

    fn take(&mut self) -> Option<PhysAddr> {
        if self.first == 0 {
            return None;
        }
        let addr = frame::address(self.first);
        self.first = frame::table_record(addr).population.load(Ordering::Relaxed);
        self.len -= 1;
        Some(addr)
    }
}

/// The frames in reserve; at least as many as are promised.
#[derive(Debug)]
pub(super) struct Spares {
    promised: u32,
    singles: List,
    blocks: List,
}

impl Spares {
    pub(super) const fn new() -> Self {
        Self {
            promised: 0,
            singles: List::new(),
            blocks: List::new(),
        }
    }

    fn len(&self) -> u32 {
        self.singles.len + self.blocks.len * BLOCK
    }

    /// Promises one more.
    pub(super) fn add(&mut self) -> Result<(), OutOfMemory> {
        if self.len() <= self.promised {
            self.fetch()?;
        }
        self.promised += 1;
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), OutOfMemory> {
        if self.promised >= FEW
            && let Ok(block) = frame::alloc_ordinary_block(ORDER)
        {
            self.blocks.put(block);
            return Ok(());
        }
        let single = kmem::with_reclaim(FrameRef::alloc_ordinary)?;
        self.singles.put(single.into_raw());
        Ok(())
    }

    /// Takes a promised one out, with whatever is in it.
    pub(super) fn take(&mut self) -> Option<PhysAddr> {
        if self.singles.len == 0
            && let Some(block) = self.blocks.take()
        {
            frame::split_block(block, ORDER);
            for number in 0..BLOCK {
                self.singles
                    .put(frame::address(frame::number(block) + number));
            }
        }
        self.promised = self.promised.saturating_sub(1);
        self.singles.take()
    }

    /// Promises one more, and takes over the handle of the frame `addr` for it.
    pub(super) fn give(&mut self, addr: PhysAddr) {
        self.singles.put(addr);
        self.promised += 1;
    }

    /// Takes a promise back: the entry it was for is gone, or has become an ordinary one.
    pub(super) fn free_one(&mut self) {
        self.promised = self.promised.saturating_sub(1);
        if self.len() > self.promised + 2 * BLOCK || self.promised == 0 {
            self.trim();
        }
    }

    /// Gives back what isn't promised.
    fn trim(&mut self) {
        while self.len() >= self.promised + BLOCK
            && let Some(block) = self.blocks.take()
        {
            // SAFETY: from `alloc_ordinary_block` with this order, and nobody has used it.
            unsafe { frame::free_block(block, ORDER) };
        }
        while self.len() > self.promised
            && let Some(single) = self.singles.take()
        {
            // SAFETY: the handle that `fetch` gave up, or that `split_block` made.
            drop(unsafe { FrameRef::from_raw(single) });
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.promised = 0;
        self.trim();
    }
}
