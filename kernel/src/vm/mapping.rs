//! [`Mapping`]: the pages of one file.
//!
//! A filesystem supplies a [`PageSource`]; without one the mapping is the file (RAMFS, shared
//! anonymous memory) and its pages stay. The file's size lives here, because a fault needs it.
//! Who wants a page gets a counted handle of its frame and copies without a lock; a page with
//! handles outside the index is never given up. Waiting for a page that is being read or written
//! is done on one queue per mapping.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::usize_of;
use kiln_core::pagemap::{CHUNK_BYTES, PageMap, State};
use kiln_core::vma::AreaMap;

use super::area::{Mappers, Object};
use super::iter::{IoDst, IoSrc};
use super::readahead::Readahead;
use super::reclaim::{self, alloc_frame, alloc_zeroed_frame};
use super::space::{AddressSpace, PAGE};
use super::writeback;
use crate::mm::frame::{FrameRef, OutOfMemory};
use crate::mm::kmem;
use crate::mm::paging::{Gather, PageFlags};
use crate::sched::{Mode, WaitQueue};
use crate::sync::SpinLock;

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

/// Why a page can't be mapped at the moment.
pub(super) enum Unmappable {
    /// It isn't in memory.
    Absent,
    /// The tables have no room for it.
    NoMemory,
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
    size: AtomicU64,
    inner: SpinLock<Inner>,
    changed: WaitQueue,
    /// The clock of `reclaim` knows it.
    reclaimable: AtomicBool,
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
        let _charge = kmem::charge(size_of::<Self>() + 2 * size_of::<usize>())?;
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            source,
            size: AtomicU64::new(size),
            inner: SpinLock::new(Inner {
                pages: PageMap::new(),
                readahead: Readahead::new(),
                error: None,
            }),
            changed: WaitQueue::new(),
            reclaimable: AtomicBool::new(false),
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

    pub(super) fn is_reclaimable(&self) -> bool {
        self.reclaimable.load(Ordering::Relaxed)
    }

    pub(super) fn set_reclaimable(&self) {
        self.reclaimable.store(true, Ordering::Relaxed);
    }

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

    // ---- single pages ----

    /// The page, if it is in memory and ready.
    pub(crate) fn cached(&self, index: u64) -> Option<FrameRef> {
        let mut inner = self.inner.lock();
        match inner.pages.touch(index) {
            Some((frame, State::Ready)) => Some(frame.clone()),
            _ => None,
        }
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
            Ok(()) => Ok(()),
            Err(frame) => {
                drop(inner);
                drop(frame);
                Err(Errno::EEXIST)
            }
        }
    }

    fn add_zeroed(&self, index: u64) -> Result<(), Errno> {
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
        self.changed.wake_all();
    }

    // ---- reading and writing ----

    /// Copies from the file, up to its end; the bytes copied.
    ///
    /// # Errors
    /// `EFAULT` or the source's error when not a byte was copied.
    pub(crate) fn read(&self, pos: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let at = pos.saturating_add(done);
            let left = self.size().saturating_sub(at);
            let offset = usize_of(at % PAGE);
            let len = (PAGE_SIZE - offset)
                .min(usize_of(left))
                .min(dst.remaining());
            if len == 0 {
                return Ok(usize_of(done));
            }
            let copied = match self.read_part(at / PAGE, offset, len, dst) {
                Ok(copied) => copied,
                Err(_) if done > 0 => return Ok(usize_of(done)),
                Err(error) => return Err(error),
            };
            done += copied as u64;
            if copied < len {
                return Ok(usize_of(done));
            }
        }
    }

    fn read_part(
        &self,
        index: u64,
        offset: usize,
        len: usize,
        dst: &mut IoDst<'_>,
    ) -> Result<usize, Errno> {
        let frame = match self.cached(index) {
            Some(frame) => frame,
            None if self.source.is_none() && !self.is_present(index) => return dst.put_zeros(len),
            None => self.page_for(index, dst.remaining().div_ceil(PAGE_SIZE) as u64)?,
        };
        dst.put_frame(&frame, offset, len)
    }

    fn is_present(&self, index: u64) -> bool {
        self.inner.lock().pages.get(index).is_some()
    }

    /// Whether the page is in memory and ready.
    pub(super) fn has_page(&self, index: u64) -> bool {
        let inner = self.inner.lock();
        matches!(inner.pages.get(index), Some((_, State::Ready)))
    }

    /// Reads pages that will be asked for, as far as that goes.
    pub(crate) fn read_ahead(&self, first: u64, count: u64) {
        let Some(source) = &self.source else { return };
        let end = first.saturating_add(count).min(self.page_count());
        let mut index = first;
        while index < end {
            if self.is_present(index) {
                index += 1;
            } else if self.load(source.as_ref(), index, end - index).is_err() {
                return;
            }
        }
    }

    /// Copies into the file at `pos`, whose length grows with the bytes; the bytes copied. The
    /// caller holds the inode's lock.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`, `ENOSPC` or the source's error when not a byte was copied.
    pub(crate) fn write(&self, pos: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let size = self.size();
        if pos > size && !size.is_multiple_of(PAGE) && self.is_mapped() {
            // A program may have written past the end through its mapping.
            self.zero_tail(size)?;
        }
        let mut done = 0;
        while src.remaining() > 0 {
            let at = pos.saturating_add(done);
            let offset = usize_of(at % PAGE);
            let len = (PAGE_SIZE - offset).min(src.remaining());
            let copied = match self.write_part(at / PAGE, offset, len, src) {
                Ok(copied) => copied,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            done += copied as u64;
            self.size
                .fetch_max(pos.saturating_add(done), Ordering::AcqRel);
            if copied < len {
                break;
            }
        }
        self.throttle();
        Ok(usize_of(done))
    }

    fn write_part(
        &self,
        index: u64,
        offset: usize,
        len: usize,
        src: &mut IoSrc<'_>,
    ) -> Result<usize, Errno> {
        let (cached, clean) = {
            let mut inner = self.inner.lock();
            let clean = !inner.pages.is_dirty(index);
            match inner.pages.touch(index) {
                Some((frame, State::Ready)) => (Some(frame.clone()), clean),
                _ => (None, clean),
            }
        };
        if clean {
            self.reserve(index)?;
        }
        if let Some(frame) = cached {
            return self.write_to_page(index, &frame, offset, len, src);
        }
        let inside = self.source.is_some() && index < self.page_count();
        if self.is_present(index) || (inside && len < PAGE_SIZE) {
            let frame = self.page_for(index, 1)?;
            return self.write_to_page(index, &frame, offset, len, src);
        }
        self.write_new_page(index, offset, len, src, inside)
    }

    fn write_to_page(
        &self,
        index: u64,
        frame: &FrameRef,
        offset: usize,
        len: usize,
        src: &mut IoSrc<'_>,
    ) -> Result<usize, Errno> {
        let copied = src.take_into_frame(frame, offset, len)?;
        // After the copy, so that no write-back can have taken the page in between as clean.
        self.mark_dirty(index, frame);
        Ok(copied)
    }

    /// Fills a fresh page and enters it. `inside`: the file has something there that the page
    /// replaces as a whole.
    fn write_new_page(
        &self,
        index: u64,
        offset: usize,
        len: usize,
        src: &mut IoSrc<'_>,
        inside: bool,
    ) -> Result<usize, Errno> {
        let whole = len == PAGE_SIZE;
        let frame = if whole {
            alloc_frame()?
        } else {
            alloc_zeroed_frame()?
        };
        let copied = src.take_into_frame(&frame, offset, len)?;
        if copied < len && inside {
            // The rest is what the file has.
            let page = self.page_for(index, 1)?;
            copy_part(&page, &frame, offset, copied);
            self.mark_dirty(index, &page);
            return Ok(copied);
        }
        if whole {
            frame.zero(copied, len - copied);
        }
        match self.insert(index, frame.clone()) {
            Ok(()) => {
                reclaim::register(self);
                self.mark_dirty(index, &frame);
            }
            Err(Errno::EEXIST) => {
                let page = self.page_for(index, 1)?;
                copy_part(&page, &frame, offset, copied);
                self.mark_dirty(index, &page);
            }
            Err(error) => return Err(error),
        }
        Ok(copied)
    }

    // ---- dirty pages ----

    /// Asks the source for a place for a page about to become dirty.
    pub(super) fn reserve(&self, index: u64) -> Result<(), Errno> {
        match &self.source {
            Some(source) => source.reserve(index, 1),
            None => Ok(()),
        }
    }

    /// Marks the page as dirty if it is still this frame; whether it is.
    pub(super) fn mark_dirty(&self, index: u64, frame: &FrameRef) -> bool {
        let mut inner = self.inner.lock();
        let same = inner
            .pages
            .get(index)
            .is_some_and(|(page, _)| page.addr() == frame.addr());
        if same && self.source.is_some() && inner.pages.set_dirty(index) {
            let first = inner.pages.dirty() == 1;
            drop(inner);
            writeback::page_dirtied(self, first);
        }
        same
    }

    /// Takes up to `max` dirty pages that follow each other, which are under write-back then.
    pub(super) fn begin_write(
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
    pub(super) fn end_write(&self, first: u64, count: usize, result: Result<(), Errno>) {
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
    pub(super) fn wait_written(&self, range: Range<u64>) -> Result<(), Errno> {
        let written = || {
            let inner = self.inner.lock();
            (!inner.pages.any_writeback(range.clone())).then_some(())
        };
        let _ = self.changed.wait(Mode::Uninterruptible, None, written);
        self.inner.lock().error.take().map_or(Ok(()), Err)
    }

    pub(super) fn source(&self) -> Option<&Arc<dyn PageSource>> {
        self.source.as_ref()
    }

    // ---- giving pages up ----

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
        self.set_size(size);
        if size < old {
            self.remove_pages(size.div_ceil(PAGE)..u64::MAX);
        }
        Ok(())
    }

    /// Drops the pages of the range, dirty or not, and unmaps them: after a hole was punched.
    pub(crate) fn discard(&self, first: u64, count: u64) {
        self.remove_pages(first..first.saturating_add(count));
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
            }
            drop(inner);
            next = index + 1;
        }
    }

    /// Zeroes the bytes of the page from `edge` to its end, which lies in the file's old or new
    /// last page.
    fn zero_tail(&self, edge: u64) -> Result<(), Errno> {
        let index = edge / PAGE;
        let has_bytes =
            self.is_present(index) || (self.source.is_some() && index < self.page_count());
        if !has_bytes {
            return Ok(());
        }
        let frame = self.page_for(index, 1)?;
        let offset = usize_of(edge % PAGE);
        self.reserve(index)?;
        frame.zero(offset, PAGE_SIZE - offset);
        self.mark_dirty(index, &frame);
        Ok(())
    }

    fn remove_pages(&self, range: Range<u64>) {
        loop {
            let mut inner = self.inner.lock();
            let dirty = inner.pages.dirty();
            let clear = inner.pages.remove_range(range.clone(), drop);
            let cleaned = dirty - inner.pages.dirty();
            drop(inner);
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
    pub(super) fn evict(&self, hand: u64, chunks: usize, freed: &mut usize) -> Option<u64> {
        let idle = |frame: &FrameRef| frame.count() == 1;
        let mut inner = self.inner.lock();
        inner.pages.evict(hand, chunks, idle, |frame| {
            *freed += 1;
            drop(frame);
        })
    }

    // ---- who maps it ----

    pub(super) fn register(&self, space: Weak<AddressSpace>, shared: bool) -> Result<u64, Errno> {
        let registration = self.mappers.lock().add(space)?;
        self.shared_mappers
            .fetch_add(usize::from(shared), Ordering::AcqRel);
        Ok(registration)
    }

    pub(super) fn unregister(&self, registration: u64, shared: bool) {
        let space = self.mappers.lock().remove(registration);
        self.shared_mappers
            .fetch_sub(usize::from(shared), Ordering::AcqRel);
        drop(space);
    }

    /// Maps the ready pages of the range through `map`, all under the pages' lock, so that none is
    /// removed meanwhile. `wanted` must be among them.
    pub(super) fn for_mappable(
        &self,
        range: Range<u64>,
        wanted: u64,
        map: &mut dyn FnMut(u64, &FrameRef) -> Result<(), OutOfMemory>,
    ) -> Result<(), Unmappable> {
        let end = range.end.min(self.page_count());
        let mut outcome = Err(Unmappable::Absent);
        let mut inner = self.inner.lock();
        inner.pages.touch(wanted);
        inner.pages.for_ready(range.start..end, |index, frame| {
            match map(index, frame) {
                Ok(()) if index == wanted => outcome = Ok(()),
                Ok(()) => {}
                Err(OutOfMemory) if outcome.is_err() => {
                    outcome = Err(Unmappable::NoMemory);
                    return false;
                }
                Err(OutOfMemory) => return false,
            }
            true
        });
        outcome
    }

    /// Removes the range's pages, and private copies of them, from programs' memory.
    fn unmap(&self, range: &Range<u64>) {
        self.for_mapped(range, false, |space, start, end| {
            let mut gather = Gather::new();
            space.tables.lock().unmap_range(start, end, &mut gather);
        });
    }

    /// Makes programs fault at their next write to the range's pages.
    pub(super) fn write_protect(&self, range: &Range<u64>) {
        if self.shared_mappers.load(Ordering::Acquire) == 0 {
            return;
        }
        self.for_mapped(range, true, |space, start, end| {
            let (set, clear) = (PageFlags::empty(), PageFlags::WRITE);
            let mut gather = Gather::new();
            space
                .tables
                .lock()
                .protect_range(start, end, set, clear, &mut gather);
        });
    }

    /// Calls `apply` for every range of addresses at which a space maps pages of the range.
    fn for_mapped(
        &self,
        range: &Range<u64>,
        only_shared: bool,
        apply: impl Fn(&AddressSpace, UserAddr, UserAddr),
    ) {
        let mut last = 0;
        loop {
            let next = self.mappers.lock().next(last);
            let Some((registration, space)) = next else {
                return;
            };
            last = registration;
            let areas = space.read_areas();
            self.for_ranges(&areas.map, range, only_shared, |start, end| {
                apply(&space, UserAddr::new(start), UserAddr::new(end));
            });
        }
    }

    fn for_ranges(
        &self,
        map: &AreaMap<Object>,
        range: &Range<u64>,
        only_shared: bool,
        mut apply: impl FnMut(u64, u64),
    ) {
        for area in map.iter() {
            let Some((mapping, offset)) = area.backing.mapping() else {
                continue;
            };
            if !core::ptr::eq(Arc::as_ptr(mapping), self) || (only_shared && !area.is_shared()) {
                continue;
            }
            let first = offset / PAGE;
            let from = range.start.max(first);
            let to = range.end.min(first + area.size() / PAGE);
            if from < to {
                let at = |index: u64| area.start + (index - first) * PAGE;
                apply(at(from), at(to));
            }
        }
    }

    // ---- holes ----

    /// The first byte at or after `pos` that isn't in a hole, for a mapping without a source.
    pub(crate) fn seek_data(&self, pos: u64) -> Option<u64> {
        let inner = self.inner.lock();
        let page = inner.pages.next_present(pos / PAGE)?;
        let at = pos.max(page * PAGE);
        (at < self.size()).then_some(at)
    }

    /// The first byte at or after `pos` that is in a hole or the file's end, for a mapping
    /// without a source.
    pub(crate) fn seek_hole(&self, pos: u64) -> u64 {
        let inner = self.inner.lock();
        let page = inner.pages.next_missing(pos / PAGE);
        pos.max(page * PAGE).min(self.size())
    }
}

/// Copies a part of a frame to the same place in another.
fn copy_part(to: &FrameRef, from: &FrameRef, offset: usize, len: usize) {
    let mut buffer = [0u8; 256];
    let mut done = 0;
    while let Some(part) = buffer
        .get_mut(..(len - done).min(256))
        .filter(|p| !p.is_empty())
    {
        from.read(offset + done, part);
        to.write(offset + done, part);
        done += part.len();
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        reclaim::unregister(self);
        let dirty = self.inner.get_mut().pages.dirty();
        writeback::pages_cleaned(dirty);
    }
}
