//! [`Room`]: what the files of one file system in memory may take together.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;

use crate::fs::memory::try_arc;
use crate::mm::frame;
use crate::vm::PageLimit;

/// Bytes that a file takes besides its contents, generously.
const FILE: u64 = 2048;

/// What the files of a file system may take together.
pub(super) struct Room {
    pages: Arc<PageLimit>,
    files: AtomicU64,
    most_files: AtomicU64,
}

/// A limit that is none.
pub(super) const NO_LIMIT: u64 = u64::MAX;

impl Room {
    /// For so many pages of contents, and so many files.
    pub(super) fn new(pages: u64, most_files: u64) -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            pages: try_arc(PageLimit::new(pages))?,
            files: AtomicU64::new(0),
            most_files: AtomicU64::new(most_files),
        })
    }

    /// The limit for contents.
    pub(super) fn pages(&self) -> &Arc<PageLimit> {
        &self.pages
    }

    /// Files there may be.
    pub(super) fn most_files(&self) -> u64 {
        self.most_files.load(Ordering::Relaxed)
    }

    /// Changes how many there may be.
    pub(super) fn set_most_files(&self, most: u64) {
        self.most_files.store(most, Ordering::Relaxed);
    }

    /// Counts one more file, or name of one besides its first; ENOSPC when there are too many.
    pub(super) fn count(&self) -> Result<(), Errno> {
        if self.files() >= self.most_files() {
            return Err(Errno::ENOSPC);
        }
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Counts one less.
    pub(super) fn uncount(&self) {
        self.files.fetch_sub(1, Ordering::Relaxed);
    }

    /// Files there are.
    pub(super) fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }
}

/// Bytes of memory in all.
pub(super) fn memory() -> u64 {
    u64_of(frame::stats().total * PAGE_SIZE)
}

/// As many files as fit in half of memory when they are empty.
pub(super) fn default_files() -> u64 {
    memory() / 2 / FILE
}

/// Pages for so many bytes.
pub(super) fn pages_for(size: u64) -> u64 {
    size.div_ceil(u64_of(PAGE_SIZE))
}

/// What the root may take: enough is left for programs to go on and say that it is full.
pub(super) fn root_size() -> u64 {
    memory() / 8 * 7
}

/// A file's place in the room, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
}

impl Place {
    /// For something new; ENOSPC when there are too many.
    pub(super) fn new(room: &Arc<Room>) -> Result<Self, Errno> {
        room.count()?;
        Ok(Self {
            room: Arc::clone(room),
        })
    }

    /// For something that is in the image anyway, with so many names.
    pub(super) fn for_seeded(room: &Arc<Room>, names: u32) -> Self {
        room.files
            .fetch_add(u64::from(names.max(1)), Ordering::Relaxed);
        Self {
            room: Arc::clone(room),
        }
    }

    /// The room.
    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.uncount();
    }
}
