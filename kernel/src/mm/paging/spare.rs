//! [`Spares`]: tables in reserve. Taking a huge page apart, or a private copy of a shared table,
//! needs a table where nothing may fail: in `munmap`, or when memory has run out. So each entry that
//! may need one has put one aside.

use core::sync::atomic::Ordering;
use kiln_core::addr::PhysAddr;

use super::{FrameRef, OutOfMemory, frame, kmem};

/// A list of frames, each naming the next in its record.
#[derive(Debug)]
pub(super) struct Spares {
    /// Number of the first frame; 0: none.
    first: u32,
}

impl Spares {
    pub(super) const fn new() -> Self {
        Self { first: 0 }
    }

    /// Puts one more aside.
    pub(super) fn add(&mut self) -> Result<(), OutOfMemory> {
        let addr = kmem::with_reclaim(FrameRef::alloc_ordinary)?.into_raw();
        self.put(addr);
        Ok(())
    }

    /// Puts a frame aside whose handle is the caller's.
    fn put(&mut self, addr: PhysAddr) {
        frame::table_record(addr)
            .population
            .store(self.first, Ordering::Relaxed);
        self.first = frame::number(addr);
    }

    /// Takes one out, with whatever is in it.
    pub(super) fn take(&mut self) -> Option<PhysAddr> {
        if self.first == 0 {
            return None;
        }
        let addr = frame::address(self.first);
        self.first = frame::table_record(addr).population.load(Ordering::Relaxed);
        Some(addr)
    }

    /// Gives one back: the entry it was for is gone, or has become an ordinary one.
    pub(super) fn free_one(&mut self) {
        if let Some(addr) = self.take() {
            // SAFETY: the handle that `add` gave up.
            drop(unsafe { FrameRef::from_raw(addr) });
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        while self.first != 0 {
            self.free_one();
        }
    }
}
