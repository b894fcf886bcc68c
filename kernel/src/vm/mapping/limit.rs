//! [`PageLimit`]: how many pages the files of one file system in memory may take together.

use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::errno::Errno;

/// Pages in use, and how many may be.
pub(crate) struct PageLimit {
    used: AtomicU64,
    most: AtomicU64,
}

impl PageLimit {
    /// None in use.
    pub(crate) const fn new(most: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            most: AtomicU64::new(most),
        }
    }

    /// Pages that may be in use.
    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub(crate) fn set_most(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Pages in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether one more may be taken into use. Several files that ask at once may go beyond the
    /// limit by as many pages.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub(super) fn check(&self) -> Result<(), Errno> {
        if self.used() < self.most() {
            Ok(())
        } else {
            Err(Errno::ENOSPC)
        }
    }

    /// Takes one more into use.
    pub(super) fn take(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes some out of use.
    pub(super) fn give(&self, count: usize) {
        self.used.fetch_sub(count as u64, Ordering::Relaxed);
    }
}
