//! A mapping's dirty pages, from the write that makes them so to the end of their write-back.

use alloc::vec::Vec;
use core::ops::Range;

use kiln_core::errno::Errno;

use super::super::writeback;
use super::Mapping;
use crate::mm::frame::FrameRef;
use crate::sched::Mode;

impl Mapping {
    /// Asks the source for a place for a page about to become dirty.
    #[inline]
    pub(in crate::vm) fn reserve(&self, index: u64) -> Result<(), Errno> {
        match &self.source {
            Some(source) => source.reserve(index, 1),
            None => Ok(()),
        }
    }

    /// Marks the page as dirty if it is still this frame; whether it is.
    pub(in crate::vm) fn mark_dirty(&self, index: u64, frame: &FrameRef) -> bool {
        let mut inner = self.inner.lock();
        let same = inner
            .pages
            .get(index)
            .is_some_and(|(page, _)| page.addr() == frame.addr());
        if same && self.source.is_some() && inner.pages.set_dirty(index) {
            drop(inner);
            writeback::page_dirtied(self);
        }
        same
    }

    /// Takes up to `max` dirty pages that follow each other, which are under write-back then.
    pub(in crate::vm) fn begin_write(
        &self,
        range: Range<u64>,
        max: u64,
        frames: &mut Vec<FrameRef>,
    ) -> Option<u64> {
        let mut inner = self.inner.lock();
        let run = inner.pages.next_dirty(range, max)?;
        for index in run.clone() {
            if let Some(frame) = inner.pages.begin_writeback(index) {
                frames.push(frame.clone());
            }
        }
        drop(inner);
        writeback::pages_cleaned(frames.len());
        Some(run.start)
    }

    /// Ends what [`Mapping::begin_write`] began.
    pub(in crate::vm) fn end_write(&self, first: u64, count: usize, result: Result<(), Errno>) {
        let mut inner = self.inner.lock();
        for (index, _) in (first..).zip(0..count) {
            inner.pages.finish_writeback(index);
        }
        if let Err(error) = result {
            inner.error.get_or_insert(error);
        }
        drop(inner);
        self.changed.wake_all();
    }

    /// Waits until no page of the range is under write-back, and takes the error, if any came.
    pub(in crate::vm) fn wait_written(&self, range: Range<u64>) -> Result<(), Errno> {
        let written = || {
            let inner = self.inner.lock();
            (!inner.pages.any_writeback(range.clone())).then_some(())
        };
        let _ = self.changed.wait(Mode::Uninterruptible, None, written);
        self.inner.lock().error.take().map_or(Ok(()), Err)
    }
}
