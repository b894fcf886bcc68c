//! Write-back: dirty pages go to their files' sources, in the background and on demand.
//!
//! A mapping with dirty pages is held by a list, so that it lives until it is clean. A kernel
//! thread, started by the first dirty page, writes when many pages are dirty or old. A writer who
//! makes too many dirty writes some of its own file's itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;

use super::mapping::Mapping;
use crate::arch::time;
use crate::mm::frame;
use crate::sched::{self, Mode, Mutex, Thread, WaitQueue};
use crate::sync::{Once, SpinLock};

/// Most pages written by one call of a source.
const BATCH: u64 = 128;
/// How long a page stays dirty before the thread writes it, in nanoseconds.
const INTERVAL: u64 = 5_000_000_000;
/// How long an allocation waits for a page to become clean, in nanoseconds.
const PROGRESS: u64 = 100_000_000;

/// Dirty pages of all files.
static DIRTY: AtomicUsize = AtomicUsize::new(0);
/// Mappings with dirty pages, each the head of the rest: entering takes no memory.
static FILES: SpinLock<Option<Arc<Mapping>>> = SpinLock::new(None);
/// One walk over them at a time: a walk takes the whole list.
static WALK: Mutex<()> = Mutex::new(());
/// The thread sleeps here.
static WORK: WaitQueue = WaitQueue::new();
/// Those who need clean pages sleep here.
static PROGRESSED: WaitQueue = WaitQueue::new();
/// The thread, once it runs.
static FLUSHER: Once<Arc<Thread>> = Once::new();
static STARTED: AtomicBool = AtomicBool::new(false);
/// The thread shall write now.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Dirty pages of all files together.
pub(crate) fn dirty_pages() -> usize {
    DIRTY.load(Ordering::Relaxed)
}

/// A page of the mapping became dirty.
pub(super) fn page_dirtied(mapping: &Mapping) {
    DIRTY.fetch_add(1, Ordering::Relaxed);
    sched::current().count_written(u64_of(PAGE_SIZE));
    if !mapping.dirty_link().listed.load(Ordering::Acquire) {
        enlist(mapping);
    }
}

pub(super) fn pages_cleaned(count: usize) {
    DIRTY.fetch_sub(count, Ordering::Relaxed);
    if count > 0 {
        PROGRESSED.wake_all();
    }
}

/// Asks the thread to write, and waits a little for its progress; false when nothing is dirty, or
/// when it is the thread itself that asks.
pub(super) fn wait_for_progress() -> bool {
    let before = dirty_pages();
    if before == 0 || is_flusher() {
        return false;
    }
    wake();
    let deadline = time::now_ns() + PROGRESS;
    let fewer = || (dirty_pages() < before).then_some(());
    let _ = PROGRESSED.wait(Mode::Uninterruptible, Some(deadline), fewer);
    true
}

/// Pages that may be dirty before the thread starts, and before writers do it themselves.
fn thresholds() -> (usize, usize) {
    let total = frame::stats().total;
    (total / 16, total / 6)
}

impl Mapping {
    /// Writes dirty pages of the range and waits until they, and those on their way already, are
    /// written.
    ///
    /// # Errors
    /// The first error since somebody was told.
    pub(crate) fn sync(&self, first: u64, count: u64) -> Result<(), Errno> {
        let range = first..first.saturating_add(count);
        self.write_back(range.clone(), usize::MAX)?;
        self.wait_written(range)
    }

    /// As [`Mapping::sync`] for the whole file.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn sync_all(&self) -> Result<(), Errno> {
        self.sync(0, u64::MAX)
    }

    /// Writes dirty pages of the range, `limit` at most; those written.
    pub(super) fn write_back(&self, range: Range<u64>, limit: usize) -> Result<usize, Errno> {
        let Some(source) = self.source().cloned() else {
            return Ok(0);
        };
        let mut frames = Vec::new();
        frames
            .try_reserve_exact(kiln_core::num::usize_of(BATCH))
            .map_err(|_| Errno::ENOMEM)?;
        let mut next = range.start;
        let mut written = 0;
        while written < limit {
            frames.clear();
            let Some(first) = self.begin_write(next..range.end, BATCH, &mut frames) else {
                break;
            };
            let count = frames.len();
            next = first + count as u64;
            // The content must stand still, or at least become dirty again, while it is written.
            self.write_protect(&(first..next));
            let result = source.write_pages(first, &frames);
            self.end_write(first, count, result);
            written += count;
        }
        Ok(written)
    }

    /// Holds a writer up when too much is dirty. No lock is held but perhaps the inode's.
    pub(super) fn throttle(&self) {
        let dirty = dirty_pages();
        if dirty < 64 || !self.has_source() {
            return;
        }
        let (background, limit) = thresholds();
        if dirty > background {
            wake();
        }
        if dirty > limit {
            let _ = self.write_back(0..u64::MAX, 4 * kiln_core::num::usize_of(BATCH));
        }
    }
}

/// A mapping's place in the list of those with dirty pages.
pub(super) struct DirtyLink {
    listed: AtomicBool,
    next: SpinLock<Option<Arc<Mapping>>>,
}

impl DirtyLink {
    pub(super) const fn new() -> Self {
        Self {
            listed: AtomicBool::new(false),
            next: SpinLock::new(None),
        }
    }
}

/// Enters a mapping into the list, if it isn't there.
fn enlist(mapping: &Mapping) {
    let link = mapping.dirty_link();
    if link.listed.swap(true, Ordering::AcqRel) {
        return;
    }
    if let Some(this) = mapping.me().upgrade() {
        let mut files = FILES.lock();
        *link.next.lock() = files.replace(this);
    }
    if !STARTED.swap(true, Ordering::AcqRel) {
        start();
    }
}

fn start() {
    let spawned = sched::spawn(b"flush", Box::new(run));
    if spawned.is_err() {
        STARTED.store(false, Ordering::Release);
    }
}

fn is_flusher() -> bool {
    FLUSHER
        .get()
        .is_some_and(|thread| Arc::ptr_eq(thread, &sched::current()))
}

fn wake() {
    WANTED.store(true, Ordering::Release);
    WORK.wake_one();
}

/// The thread: every few seconds, and when asked to, writes everything.
fn run() {
    FLUSHER.call_once(sched::current);
    loop {
        let due = time::now_ns() + INTERVAL;
        let asked = || WANTED.swap(false, Ordering::AcqRel).then_some(());
        let _ = WORK.wait(Mode::Uninterruptible, Some(due), asked);
        for_each_file(|file| {
            let _ = file.write_back(0..u64::MAX, usize::MAX);
        });
    }
}

/// Takes every mapping out of the list and calls `each` for it; those still dirty enter it again.
fn for_each_file(mut each: impl FnMut(&Arc<Mapping>)) {
    let _walk = WALK.lock();
    let mut rest = FILES.lock().take();
    while let Some(file) = rest {
        rest = file.dirty_link().next.lock().take();
        // From here on a page that becomes dirty enters the file again.
        file.dirty_link().listed.store(false, Ordering::Release);
        each(&file);
        if file.dirty_pages() > 0 {
            enlist(&file);
        }
        // Perhaps the last handle of a file that was deleted goes here, with no spin lock held.
    }
}

/// Writes everything that is dirty and waits until it is written.
///
/// # Errors
/// The first error of any file; all are tried.
pub(crate) fn sync_everything() -> Result<(), Errno> {
    let mut result = Ok(());
    for_each_file(|file| {
        let synced = file.sync_all();
        if result.is_ok() {
            result = synced;
        }
    });
    result
}
