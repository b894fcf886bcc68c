//! [`Mapping`]: the pages of one file.
//!
//! A filesystem supplies a [`PageSource`]; without one the mapping is the file (RAMFS, shared
//! anonymous memory) and its pages stay. The file's size lives here, because a fault needs it.
//! Who wants a page gets a counted handle of its frame and copies without a lock; a page with
//! handles outside the index is never given up. Waiting for a page that is being read or written
//! is done on one queue per mapping.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::pagemap::{CHUNK_BYTES, CHUNK_PAGES, PageMap, State};

use super::readahead::{self, Readahead};
use super::reclaim::{self, alloc_frame, alloc_zeroed_frame};
use super::space::PAGE;
use super::writeback::{self, DirtyLink};
use crate::mm::frame::FrameRef;
use crate::mm::kmem;
use crate::sched::{Mode, WaitQueue};
use crate::sync::SpinLock;

mod dirty;
mod io;
mod limit;
mod mappers;
mod shrink;

pub(crate) use limit::PageLimit;
use mappers::Mappers;
pub(super) use mappers::Unmappable;

/// Where a file's pages come from and go to.
///
/// Both directions are called with no lock of the page cache held, by any thread: the flusher, a
/// reader in a fault, or a writer that holds the inode's lock. So they mustn't take that lock.
pub(crate) trait PageSource: Send + Sync {
    /// Fills `frames` with the pages from number `first` on; what lies past the end of the file
    /// becomes zero.
    ///
    /// # Errors
    /// Usually `EIO`.
    fn read_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno>;

    /// Writes the pages from number `first` on.
    ///
    /// # Errors
    /// `EIO`, `ENOSPC`: told by the next `fsync`.
    fn write_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno>;

    /// Makes sure that pages about to become dirty will have a place.
    ///
    /// # Errors
    /// `ENOSPC`, `EDQUOT`: the write isn't done.
    fn reserve(&self, first: u64, count: u64) -> Result<(), Errno> {
        let _ = (first, count);
        Ok(())
    }
}

/// Where a file without a source begins: with pages that lie in memory already. Each is asked for
/// when it is first wanted, and belongs to the file from then on.
pub(crate) trait PageOrigin: Send + Sync {
    /// The page of this number, its bytes past the end of the file zero.
    ///
    /// # Errors
    /// `ENOMEM`, or that of a broken image.
    fn page(&self, index: u64) -> Result<FrameRef, Errno>;
}

/// What the pages' lock guards.
struct Inner {
    pages: PageMap<FrameRef>,
    readahead: Readahead,
    /// The first error of a write-back, until somebody is told.
    error: Option<Errno>,
}

/// The pages of one file.
pub(crate) struct Mapping {
    id: u64,
    /// Itself, for the lists that it enters.
    me: Weak<Self>,
    source: Option<Arc<dyn PageSource>>,
    origin: Option<Arc<dyn PageOrigin>>,
    /// Whom its pages count for.
    limit: Option<Arc<PageLimit>>,
    /// Pages from here on have no origin, or have it no more.
    origin_end: AtomicU64,
    size: AtomicU64,
    inner: SpinLock<Inner>,
    changed: WaitQueue,
    /// The clock of `reclaim` knows it.
    reclaimable: AtomicBool,
    dirty_link: DirtyLink,
    mappers: SpinLock<Mappers>,
    /// Shared mappings that may be written through.
    shared_mappers: AtomicUsize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Mapping {
    /// A file of `size` bytes, none of it in memory.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn new(source: Option<Arc<dyn PageSource>>, size: u64) -> Result<Arc<Self>, Errno> {
        Self::build(source, None, None, size)
    }

    /// An empty file in memory whose pages count for `limit`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn in_memory(limit: Arc<PageLimit>) -> Result<Arc<Self>, Errno> {
        Self::build(None, None, Some(limit), 0)
    }

    /// A file of `size` bytes in memory that begins as its origin says; its pages count for
    /// `limit`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn with_origin(
        origin: Arc<dyn PageOrigin>,
        limit: Arc<PageLimit>,
        size: u64,
    ) -> Result<Arc<Self>, Errno> {
        Self::build(None, Some(origin), Some(limit), size)
    }

    fn build(
        source: Option<Arc<dyn PageSource>>,
        origin: Option<Arc<dyn PageOrigin>>,
        limit: Option<Arc<PageLimit>>,
        size: u64,
    ) -> Result<Arc<Self>, Errno> {
        let _charge = kmem::charge(size_of::<Self>() + 2 * size_of::<usize>())?;
        let origin_end = if origin.is_some() {
            size.div_ceil(PAGE)
        } else {
            0
        };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            source,
            origin,
            limit,
            origin_end: AtomicU64::new(origin_end),
            size: AtomicU64::new(size),
            inner: SpinLock::new(Inner {
                pages: PageMap::new(),
                readahead: Readahead::new(),
                error: None,
            }),
            changed: WaitQueue::new(),
            reclaimable: AtomicBool::new(false),
            dirty_link: DirtyLink::new(),
            mappers: SpinLock::new(Mappers::new()),
            shared_mappers: AtomicUsize::new(0),
        }))
    }

    /// A number that no other mapping ever has.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn me(&self) -> &Weak<Self> {
        &self.me
    }

    /// The file's length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Sets the length without touching a page: for a filesystem that learns it late.
    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// Whether pages come from somewhere and go there.
    pub(crate) fn has_source(&self) -> bool {
        self.source.is_some()
    }

    pub(super) fn dirty_link(&self) -> &DirtyLink {
        &self.dirty_link
    }

    /// Among which pages `/proc/meminfo` counts its own.
    fn kind(&self) -> reclaim::Kind {
        match (&self.source, &self.origin) {
            (Some(_), _) => reclaim::Kind::Cached,
            (None, None) => reclaim::Kind::Kept,
            // Mostly the loader's, which aren't part of what is told of.
            (None, Some(_)) => reclaim::Kind::Elsewhere,
        }
    }

    pub(super) fn is_reclaimable(&self) -> bool {
        self.reclaimable.load(Ordering::Relaxed)
    }

    pub(super) fn set_reclaimable(&self) {
        self.reclaimable.store(true, Ordering::Relaxed);
    }

    /// Pages that take up memory, or will when they are wanted.
    pub(crate) fn content_pages(&self) -> u64 {
        let origin_end = self.origin_end.load(Ordering::Acquire);
        let inner = self.inner.lock();
        if origin_end == 0 {
            return u64_of(inner.pages.len());
        }
        let mut beyond = 0;
        inner.pages.for_ready(origin_end..u64::MAX, |_, _| {
            beyond += 1;
            true
        });
        origin_end + beyond
    }

    #[cfg(feature = "selftest")]
    /// Pages in memory.
    pub(crate) fn resident_pages(&self) -> usize {
        self.inner.lock().pages.len()
    }

    /// Pages that wait to be written.
    pub(crate) fn dirty_pages(&self) -> usize {
        self.inner.lock().pages.dirty()
    }

    /// Whether some program maps it.
    pub(crate) fn is_mapped(&self) -> bool {
        !self.mappers.lock().is_empty()
    }

    /// Pages that the file's length covers.
    fn page_count(&self) -> u64 {
        self.size().div_ceil(PAGE)
    }

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

    /// The page wherever it lies; `wanted` pages from there on will be asked for next.
    fn page_for(&self, index: u64, wanted: u64) -> Result<FrameRef, Errno> {
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

    /// Whether the page, if it isn't in memory, comes from the origin.
    fn has_origin(&self, index: u64) -> bool {
        index < self.origin_end.load(Ordering::Acquire)
    }

    /// Whether there is something other than a hole, be it in memory or not.
    fn has_content(&self, index: u64) -> bool {
        (self.source.is_some() && index < self.page_count()) || self.has_origin(index)
    }

    /// Takes pages over from the origin: this one, and those around it, which share its index.
    fn take_origin(&self, index: u64) -> Result<(), Errno> {
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

    fn add_zeroed(&self, index: u64) -> Result<(), Errno> {
        self.check_limit()?;
        match self.insert(index, alloc_zeroed_frame()?) {
            Err(error) if error != Errno::EEXIST => Err(error),
            _ => Ok(()),
        }
    }

    /// Locks the pages, with memory for a chunk at `index` guaranteed.
    fn lock_with_room(&self, index: u64) -> Result<crate::sync::SpinLockGuard<'_, Inner>, Errno> {
        let inner = self.inner.lock();
        if !inner.pages.needs_chunk(index) {
            return Ok(inner);
        }
        drop(inner);
        // Holds until the insertion that follows: nothing sleeps between.
        let _charge = kmem::charge(CHUNK_BYTES)?;
        Ok(self.inner.lock())
    }

    fn wait_loaded(&self, index: u64) {
        let loaded = || {
            let inner = self.inner.lock();
            let loading = matches!(inner.pages.get(index), Some((_, State::Loading)));
            (!loading).then_some(())
        };
        let _ = self.changed.wait(Mode::Uninterruptible, None, loaded);
    }

    /// Reads the page and as many after it as look useful.
    fn load(&self, source: &dyn PageSource, index: u64, wanted: u64) -> Result<(), Errno> {
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

    /// `ENOSPC` when the file may have no more pages.
    fn check_limit(&self) -> Result<(), Errno> {
        self.limit.as_ref().map_or(Ok(()), |limit| limit.check())
    }

    /// Pages of this file are gone.
    fn pages_left(&self, count: usize) {
        reclaim::pages_left(count, self.kind());
        if let Some(limit) = &self.limit {
            limit.give(count);
        }
    }

    #[inline]
    fn is_present(&self, index: u64) -> bool {
        self.inner.lock().pages.get(index).is_some()
    }

    /// Whether the page is in memory and ready.
    pub(super) fn has_page(&self, index: u64) -> bool {
        let inner = self.inner.lock();
        matches!(inner.pages.get(index), Some((_, State::Ready)))
    }

    pub(super) fn source(&self) -> Option<&Arc<dyn PageSource>> {
        self.source.as_ref()
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

impl Drop for Mapping {
    fn drop(&mut self) {
        reclaim::unregister(self);
        let pages = &self.inner.get_mut().pages;
        writeback::pages_cleaned(pages.dirty());
        let count = pages.len();
        self.pages_left(count);
    }
}
