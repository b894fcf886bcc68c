//! [`Mapping`]: the pages of one file.
//!
//! A filesystem supplies a [`PageSource`]; without one the mapping is the file (RAMFS, shared
//! anonymous memory) and its pages stay. The file's size lives here, because a fault needs it.
//! Who wants a page gets a counted handle of its frame and copies without a lock; a page with
//! handles outside the index is never given up. Waiting for a page that is being read or written
//! is done on one queue per mapping.
//!
//! | module | |
//! | --- | --- |
//! | [`source`] | where pages come from: [`PageSource`], [`PageOrigin`] |
//! | [`load`] | a page is wanted: found, read, or made |
//! | [`holes`] | files in memory: what is a hole in them |
//! | [`io`] | copies between a program and the pages |
//! | [`dirty`] | pages written back |
//! | [`shrink`] | pages given up: truncated, invalidated, reclaimed |
//! | [`mappers`] | the address spaces that map it |
//! | [`limit`] | how many pages files in memory may have together |

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::pagemap::{PageMap, State};

use super::readahead::Readahead;
use super::reclaim;
use super::space::PAGE;
use super::writeback::{self, DirtyLink};
use crate::mm::frame::FrameRef;
use crate::mm::kmem;
use crate::sched::WaitQueue;
use crate::sync::SpinLock;

mod dirty;
mod holes;
mod io;
mod limit;
mod load;
mod mappers;
mod shrink;
mod source;

pub(crate) use limit::PageLimit;
use mappers::Mappers;
pub(super) use mappers::Unmappable;
pub(crate) use source::{PageOrigin, PageSource};

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
        inner.pages.for_ready(origin_end..u64::MAX, |_, _, ready| {
            beyond += u64::from(ready.count_ones());
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

    pub(crate) fn source(&self) -> Option<&Arc<dyn PageSource>> {
        self.source.as_ref()
    }

    /// The greatest size that the file can have.
    pub(crate) fn limit(&self) -> u64 {
        let most = i64::MAX.cast_unsigned();
        self.source.as_ref().map_or(most, |source| source.limit())
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
