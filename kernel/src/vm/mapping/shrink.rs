//! Giving pages up: because the file became shorter, because they are stale, or because memory is
//! short.

use core::ops::Range;
use core::sync::atomic::Ordering;

use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::usize_of;

use super::super::reclaim;
use super::super::space::PAGE;
use super::super::writeback;
use super::Mapping;
use crate::mm::frame::FrameRef;
use crate::sched::Mode;

impl Mapping {
    /// Sets the file's length. Pages past it are gone, from programs' memory too; the rest of the
    /// last one reads as zeros. The caller holds the inode's lock and changes what the source
    /// keeps afterwards. May sleep.
    ///
    /// # Errors
    /// `ENOMEM` or the source's error when the last page can't be read.
    pub(crate) fn truncate(&self, size: u64) -> Result<(), Errno> {
        let old = self.size();
        let edge = old.min(size);
        if !edge.is_multiple_of(PAGE) && edge < old.max(size) {
            self.zero_tail(edge)?;
        }
        self.origin_end
            .fetch_min(size.div_ceil(PAGE), Ordering::AcqRel);
        self.set_size(size);
        if size < old {
            self.remove_pages(size.div_ceil(PAGE)..u64::MAX);
        }
        Ok(())
    }

    /// Drops the pages of the range, dirty or not, and unmaps them: after a hole was punched.
    ///
    /// # Errors
    /// `ENOMEM`, when the file still lies with its origin and has to be taken over first.
    pub(crate) fn discard(&self, first: u64, count: u64) -> Result<(), Errno> {
        let range = first..first.saturating_add(count);
        let origin_end = self.origin_end.load(Ordering::Acquire);
        if range.start < origin_end {
            // What lies before the range keeps its origin, what lies after it can't.
            for index in range.end..origin_end {
                self.page_for(index, 1)?;
            }
            self.origin_end.fetch_min(range.start, Ordering::AcqRel);
        }
        self.remove_pages(range);
        Ok(())
    }

    /// Drops the clean pages of the range that no program maps; dirty ones stay.
    pub(crate) fn invalidate(&self, first: u64, count: u64) {
        let mut next = first;
        let end = first.saturating_add(count);
        loop {
            let mut inner = self.inner.lock();
            let Some(index) = inner.pages.next_present(next).filter(|at| *at < end) else {
                return;
            };
            let idle = inner
                .pages
                .get(index)
                .is_some_and(|(frame, _)| frame.count() == 1);
            let clean = !inner.pages.any_unwritten(index..index + 1);
            if idle && clean && self.source.is_some() {
                inner.pages.remove(index);
                reclaim::pages_left(1, self.kind());
            }
            drop(inner);
            next = index + 1;
        }
    }

    /// Zeroes the bytes of the page from `edge` to its end, which lies in the file's old or new
    /// last page.
    pub(super) fn zero_tail(&self, edge: u64) -> Result<(), Errno> {
        let index = edge / PAGE;
        if !self.is_present(index) && !self.has_content(index) {
            return Ok(());
        }
        let frame = self.page_for(index, 1)?;
        let offset = usize_of(edge % PAGE);
        self.reserve(index)?;
        frame.zero(offset, PAGE_SIZE - offset);
        self.mark_dirty(index, &frame);
        Ok(())
    }

    pub(super) fn remove_pages(&self, range: Range<u64>) {
        loop {
            let mut inner = self.inner.lock();
            let dirty = inner.pages.dirty();
            let before = inner.pages.len();
            let clear = inner.pages.remove_range(range.clone(), drop);
            let cleaned = dirty - inner.pages.dirty();
            let removed = before - inner.pages.len();
            drop(inner);
            self.pages_left(removed);
            writeback::pages_cleaned(cleaned);
            self.unmap(&range);
            if clear {
                return;
            }
            let idle = || {
                let inner = self.inner.lock();
                let busy = inner.pages.any_busy(range.clone());
                (!busy).then_some(())
            };
            let _ = self.changed.wait(Mode::Uninterruptible, None, idle);
        }
    }

    /// Gives up idle pages from the chunk of `hand` on: see [`PageMap::evict`].
    pub(in crate::vm) fn evict(&self, hand: u64, chunks: usize, freed: &mut usize) -> Option<u64> {
        let idle = |frame: &FrameRef| frame.count() == 1;
        let before = *freed;
        // Whoever holds it may be the one who needs memory.
        let mut inner = self.inner.try_lock()?;
        let next = inner.pages.evict(hand, chunks, idle, |frame| {
            *freed += 1;
            drop(frame);
        });
        drop(inner);
        reclaim::pages_left(*freed - before, self.kind());
        next
    }
}
