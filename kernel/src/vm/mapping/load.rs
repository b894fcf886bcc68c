//! A page is wanted: it is in memory, or is read with those that will be wanted next, or made.

use alloc::vec::Vec;

use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::pagemap::{CHUNK_BYTES, State};

use super::{Inner, Mapping, PageSource};
use crate::mm::frame::FrameRef;
use crate::mm::kmem;
use crate::sched::{self, Mode};
use crate::sync::SpinLockGuard;
use crate::vm::readahead;
use crate::vm::reclaim::{self, alloc_frame};

impl Mapping {
    /// The page, if it is in memory and ready.
    pub(crate) fn cached(&self, index: u64) -> Option<FrameRef> {
        let mut inner = self.inner.lock();
        let next = inner.readahead.used(index);
        let found = match inner.pages.touch(index) {
            Some((frame, State::Ready)) => Some(frame.clone()),
            _ => None,
        };
        drop(inner);
        if let Some(next) = next {
            readahead::ask(self, next);
        }
        found
    }

    /// The page, read if need be; past the end of the file an error. May sleep.
    ///
    /// # Errors
    /// `EFAULT` past the end; `ENOMEM`; what the source answers.
    pub(crate) fn page(&self, index: u64) -> Result<FrameRef, Errno> {
        if index >= self.page_count() {
            return Err(Errno::EFAULT);
        }
        self.page_for(index, 1)
    }

    /// The page, for a fault: with it those around it are read that aren't in memory, if that works.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub(crate) fn page_around(&self, index: u64) -> Result<FrameRef, Errno> {
        if self.has_source() && index < self.page_count() {
            let mut inner = self.inner.lock();
            if let Some(around) = inner.readahead.around(index) {
                let missing = |at: &u64| inner.pages.get(*at).is_none();
                let first = (around.start..index).rev().take_while(missing).last();
                drop(inner);
                let first = first.unwrap_or(index);
                let _ = self.page_for(first, around.end - first);
            }
        }
        self.page(index)
    }

    /// The page wherever it lies; `wanted` pages from there on will be asked for next.
    pub(super) fn page_for(&self, index: u64, wanted: u64) -> Result<FrameRef, Errno> {
        loop {
            let state = {
                let mut inner = self.inner.lock();
                match inner.pages.touch(index) {
                    Some((frame, State::Ready)) => return Ok(frame.clone()),
                    found => found.map(|(_, state)| state),
                }
            };
            match state {
                Some(_) => self.wait_loaded(index),
                None => match &self.source {
                    Some(source) => self.load(source.as_ref(), index, wanted)?,
                    None if self.has_origin(index) => self.take_origin(index)?,
                    None => self.add_zeroed(index)?,
                },
            }
        }
    }

    /// Puts a page where there is none, its content being the file's: for a filesystem whose
    /// pages lie in memory anyway.
    ///
    /// # Errors
    /// `EEXIST`, `ENOMEM`.
    pub(crate) fn insert(&self, index: u64, frame: FrameRef) -> Result<(), Errno> {
        let mut inner = self.lock_with_room(index)?;
        match inner.pages.insert(index, frame, State::Ready) {
            Ok(()) => {
                drop(inner);
                reclaim::pages_came(1, self.kind());
                if let Some(limit) = &self.limit {
                    limit.take();
                }
                Ok(())
            }
            Err(frame) => {
                drop(inner);
                drop(frame);
                Err(Errno::EEXIST)
            }
        }
    }

    /// Locks the pages, with memory for a chunk at `index` guaranteed.
    pub(super) fn lock_with_room(&self, index: u64) -> Result<SpinLockGuard<'_, Inner>, Errno> {
        let inner = self.inner.lock();
        if !inner.pages.needs_chunk(index) {
            return Ok(inner);
        }
        drop(inner);
        // Holds until the insertion that follows: nothing sleeps between.
        let _charge = kmem::charge(CHUNK_BYTES)?;
        Ok(self.inner.lock())
    }

    pub(super) fn wait_loaded(&self, index: u64) {
        let loaded = || {
            let inner = self.inner.lock();
            let loading = matches!(inner.pages.get(index), Some((_, State::Loading)));
            (!loading).then_some(())
        };
        let _ = self.changed.wait(Mode::Uninterruptible, None, loaded);
    }

    /// Reads the page and as many after it as look useful.
    pub(super) fn load(
        &self,
        source: &dyn PageSource,
        index: u64,
        wanted: u64,
    ) -> Result<(), Errno> {
        let end = self.page_count().max(index + 1);
        let count = {
            let mut inner = self.inner.lock();
            let window = inner.readahead.window(index, wanted);
            inner.pages.missing_run(index, window.min(end - index))
        };
        let mut frames = Vec::new();
        if frames.try_reserve_exact(usize_of(count)).is_err() {
            frames.try_reserve_exact(1).map_err(|_| Errno::ENOMEM)?;
        }
        reclaim::register(self);
        while frames.len() < usize_of(count) && frames.len() < frames.capacity() {
            match alloc_frame() {
                Ok(frame) => frames.push(frame),
                Err(_) if !frames.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.insert_loading(index, &mut frames)?;
        if frames.is_empty() {
            return Ok(());
        }
        let mut result = source.read_pages(index, &frames);
        if result.is_err() && frames.len() > 1 {
            // What nobody asked for mustn't fail the one page that somebody did.
            self.finish_load(index + 1, frames.len() - 1, false);
            frames.truncate(1);
            result = source.read_pages(index, &frames);
        }
        self.finish_load(index, frames.len(), result.is_ok());
        if result.is_ok() {
            sched::current().count_read(u64_of(frames.len() * PAGE_SIZE));
        }
        result
    }

    /// Enters the frames as being read, up to the first page that came from elsewhere meanwhile.
    fn insert_loading(&self, first: u64, frames: &mut Vec<FrameRef>) -> Result<(), Errno> {
        let mut entered = 0;
        for (index, frame) in (first..).zip(frames.iter()) {
            let mut inner = match self.lock_with_room(index) {
                Ok(inner) => inner,
                Err(_) if entered > 0 => break,
                Err(error) => return Err(error),
            };
            if inner.pages.get(index).is_some() {
                break;
            }
            let _ = inner.pages.insert(index, frame.clone(), State::Loading);
            entered += 1;
        }
        reclaim::pages_came(entered, self.kind());
        frames.truncate(entered);
        Ok(())
    }

    fn finish_load(&self, first: u64, count: usize, loaded: bool) {
        let mut inner = self.inner.lock();
        for (index, _) in (first..).zip(0..count) {
            if loaded {
                inner.pages.finish_loading(index);
            } else {
                inner.pages.remove(index);
            }
        }
        drop(inner);
        if !loaded {
            reclaim::pages_left(count, self.kind());
        }
        self.changed.wake_all();
    }
}
