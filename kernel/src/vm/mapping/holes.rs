//! Files in memory: which of their pages lie with their origin, which are holes, and how holes are filled.

use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;
use kiln_core::pagemap::CHUNK_PAGES;

use super::{Mapping, PageLimit};
use crate::vm::reclaim::alloc_zeroed_frame;
use crate::vm::space::PAGE;

impl Mapping {
    /// Whether the page, if it isn't in memory, comes from the origin.
    pub(super) fn has_origin(&self, index: u64) -> bool {
        index < self.origin_end.load(Ordering::Acquire)
    }

    /// Whether there is something other than a hole, be it in memory or not.
    pub(super) fn has_content(&self, index: u64) -> bool {
        (self.source.is_some() && index < self.page_count()) || self.has_origin(index)
    }

    /// Takes pages over from the origin: this one, and those around it, which share its index.
    pub(super) fn take_origin(&self, index: u64) -> Result<(), Errno> {
        let Some(origin) = &self.origin else {
            return Ok(());
        };
        let first = index - index % CHUNK_PAGES;
        let end = (first + CHUNK_PAGES).min(self.origin_end.load(Ordering::Acquire));
        for at in first..end {
            if self.is_present(at) {
                continue;
            }
            let taken = origin.page(at).and_then(|frame| self.insert(at, frame));
            match taken {
                // The file became shorter meanwhile.
                Ok(()) if !self.has_origin(at) => self.remove_pages(at..at + 1),
                Err(error) if at == index && error != Errno::EEXIST => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Fills the holes among the pages `first..end` with zeros.
    ///
    /// # Errors
    /// `ENOSPC` before anything is filled, when there is no room for all of them; `ENOMEM`.
    pub(crate) fn fill_holes(&self, first: u64, end: u64) -> Result<(), Errno> {
        let holes = end
            .saturating_sub(first)
            .saturating_sub(self.content_pages());
        let room = |limit: &PageLimit| limit.most().saturating_sub(limit.used());
        if self.limit.as_ref().is_some_and(|limit| holes > room(limit)) {
            return Err(Errno::ENOSPC);
        }
        for index in first..end {
            if !self.is_present(index) && !self.has_origin(index) {
                self.add_zeroed(index)?;
            }
        }
        Ok(())
    }

    pub(super) fn add_zeroed(&self, index: u64) -> Result<(), Errno> {
        self.check_limit()?;
        match self.insert(index, alloc_zeroed_frame()?) {
            Err(error) if error != Errno::EEXIST => Err(error),
            _ => Ok(()),
        }
    }

    /// The first byte at or after `pos` that isn't in a hole, for a mapping without a source.
    pub(crate) fn seek_data(&self, pos: u64) -> Option<u64> {
        let inner = self.inner.lock();
        let first = pos / PAGE;
        let page = if self.has_origin(first) {
            first
        } else {
            inner.pages.next_present(first)?
        };
        let at = pos.max(page * PAGE);
        (at < self.size()).then_some(at)
    }

    /// The first byte at or after `pos` that is in a hole or the file's end, for a mapping
    /// without a source.
    pub(crate) fn seek_hole(&self, pos: u64) -> u64 {
        let inner = self.inner.lock();
        let origin_end = self.origin_end.load(Ordering::Acquire);
        let page = inner.pages.next_missing(origin_end.max(pos / PAGE));
        pos.max(page * PAGE).min(self.size())
    }
}
