//! Frames when they run short: clean pages of files are given up.
//!
//! A clock's hand moves over the mappings that have a source, chunk of pages by chunk. Whoever
//! allocates through [`alloc_frame`] moves it, early enough that those who allocate without it
//! (page tables, the heap) seldom find memory at its end.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::hint::cold_path;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::mapping::Mapping;
use super::writeback;
use crate::mm::frame::{self, FrameRef, OutOfMemory};
use crate::mm::kmem;
use crate::sync::{Once, SpinLock};

/// What an entry of the clock takes.
const ENTRY_BYTES: usize = 64;
/// Frames given up at once.
const BATCH: usize = 64;
/// Chunks looked at under one lock.
const STRIDE: usize = 16;
/// Allocations between two looks at how much is free.
const CHECK_EVERY: usize = 32;
/// Turns of the hand before it gives in: a hot page lives through one.
const TURNS: usize = 3;
/// How often an allocation waits for write-back before memory counts as full.
const PATIENCE: usize = 50;

struct Clock {
    files: BTreeMap<u64, Weak<Mapping>>,
    file: u64,
    page: u64,
}

static CLOCK: SpinLock<Clock> = SpinLock::new(Clock {
    files: BTreeMap::new(),
    file: 0,
    page: 0,
});
/// Pages in memory of files that lie elsewhere.
static CACHED: AtomicUsize = AtomicUsize::new(0);
/// Pages of files that lie in memory only.
static KEPT: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Who makes room when nothing can be given up any more: the `process` room's killer.
static KILLER: Once<fn() -> bool> = Once::new();

/// Says who is called, with no lock of this room's held, when a program's page can be had by no
/// other means. It may sleep, and answers whether trying again has a point.
pub(crate) fn on_shortage(killer: fn() -> bool) {
    KILLER.call_once(|| killer);
}

/// Calls it.
pub(super) fn call_killer() -> bool {
    KILLER.get().is_some_and(|killer| killer())
}

/// Who else has memory that can be done without: names that nobody uses, say. Given a number of
/// objects, it frees about as many, with no lock held, and answers how many it has.
static SHRINKER: Once<fn(usize) -> usize> = Once::new();

/// Says who.
pub(crate) fn on_shrinking(shrinker: fn(usize) -> usize) {
    SHRINKER.call_once(|| shrinker);
}

/// Gives up everything that can be, for `/proc/sys/vm/drop_caches`: clean pages, names and inodes.
pub(crate) fn drop_caches(pages: bool, names: bool) {
    while names && SHRINKER.get().is_some_and(|shrink| shrink(BATCH) > 0) {}
    while pages && reclaim(BATCH) > 0 {}
}

/// Makes memory free by whatever means there are: gives up cached pages, waits for write-back,
/// forgets names, has a process killed. Spin locks aren't held; others may be. Answers whether
/// trying again has a point.
pub(crate) fn wait_for_memory() -> bool {
    let make = || {
        if make_room().is_ok() {
            return true;
        }
        let forgotten = SHRINKER.get().is_some_and(|shrink| shrink(BATCH) > 0);
        (forgotten && !frame::is_short()) || call_killer()
    };
    crate::sched::current().making_room(make).unwrap_or(false)
}

/// A frame with whatever was in it, at the cost of cached pages, or of a process, if need be. May
/// sleep.
///
/// # Errors
/// [`OutOfMemory`] when the caller itself is to end, or nobody is left.
pub(crate) fn alloc_frame() -> Result<FrameRef, OutOfMemory> {
    alloc_by(FrameRef::alloc_ordinary)
}

/// As [`alloc_frame`], zeroed.
///
/// # Errors
/// As there.
pub(crate) fn alloc_zeroed_frame() -> Result<FrameRef, OutOfMemory> {
    alloc_by(FrameRef::alloc_ordinary_zeroed)
}

#[inline(always)]
fn alloc_by(alloc: impl Fn() -> Result<FrameRef, OutOfMemory>) -> Result<FrameRef, OutOfMemory> {
    if ALLOCATIONS
        .fetch_add(1, Ordering::Relaxed)
        .is_multiple_of(CHECK_EVERY)
    {
        cold_path();
        keep_reserve();
    }
    loop {
        match alloc() {
            Ok(frame) => return Ok(frame),
            Err(OutOfMemory) if wait_for_memory() => {}
            Err(OutOfMemory) => return Err(OutOfMemory),
        }
    }
}

/// Gives cached pages up when little memory is free.
fn keep_reserve() {
    let stats = frame::stats();
    if stats.free < (stats.total / 64).max(CHECK_EVERY * 2) {
        reclaim(BATCH);
    }
}

/// Frees a few frames, waiting for write-back when there is nothing clean.
///
/// # Errors
/// [`OutOfMemory`] when nothing can be given up any more.
pub(super) fn make_room() -> Result<(), OutOfMemory> {
    for _ in 0..PATIENCE {
        if reclaim(BATCH) > 0 || !frame::is_short() {
            return Ok(());
        }
        if !writeback::wait_for_progress() {
            break;
        }
    }
    Err(OutOfMemory)
}

/// Moves the clock's hand until `target` frames are free or it has gone round; those freed. First
/// pages go that no program maps, then those that programs haven't used for a turn.
pub(crate) fn reclaim(target: usize) -> usize {
    let idle = turn_clock(target, false);
    if idle >= target {
        return idle;
    }
    idle + turn_clock(target - idle, true)
}

fn turn_clock(target: usize, unmap: bool) -> usize {
    let mut freed = 0;
    let mut turns = 0;
    while freed < target && turns < TURNS {
        let Some((id, file, page)) = under_hand() else {
            turns += 1;
            continue;
        };
        let next = file.and_then(|file| evict(&file, page, unmap, &mut freed));
        let mut clock = CLOCK.lock();
        // Somebody else may have moved it meanwhile; that does no harm.
        (clock.file, clock.page) = match next {
            Some(page) => (id, page),
            None => (id + 1, 0),
        };
    }
    freed
}

/// Gives up pages of one file from the chunk of `page` on; where to go on, if it goes on.
fn evict(file: &Mapping, page: u64, unmap: bool, freed: &mut usize) -> Option<u64> {
    let next = file.evict(page, STRIDE, freed);
    if unmap && file.is_mapped() {
        file.unmap_unused(&(page..next.unwrap_or(u64::MAX)));
        file.evict(page, STRIDE, freed);
    }
    next
}

/// What the hand points at; `None`, and it is at the start again, when it went past the end.
fn under_hand() -> Option<(u64, Option<Arc<Mapping>>, u64)> {
    let mut clock = CLOCK.lock();
    let (from, page) = (clock.file, clock.page);
    let found = clock.files.range(from..).next();
    let found = found.map(|(id, file)| (*id, file.upgrade()));
    match found {
        Some((id, file)) => Some((id, file, if id == from { page } else { 0 })),
        None => {
            (clock.file, clock.page) = (0, 0);
            None
        }
    }
}

/// Enters a mapping, which is about to have pages that can be given up.
pub(super) fn register(mapping: &Mapping) {
    if !mapping.has_source() || mapping.is_reclaimable() {
        return;
    }
    // Without an entry its pages just stay until it goes.
    if kmem::charge(ENTRY_BYTES).is_ok() {
        let old = CLOCK
            .lock()
            .files
            .insert(mapping.id(), mapping.me().clone());
        drop(old);
        mapping.set_reclaimable();
    }
}

/// Forgets a mapping that goes.
pub(super) fn unregister(mapping: &Mapping) {
    if mapping.is_reclaimable() {
        let old = CLOCK.lock().files.remove(&mapping.id());
        drop(old);
    }
}

/// What a mapping's pages count as.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Files that lie elsewhere too.
    Cached,
    /// Files that lie in memory only.
    Kept,
    /// Pages outside the memory that is counted.
    Elsewhere,
}

/// Pages came into a mapping.
pub(super) fn pages_came(count: usize, kind: Kind) {
    if let Some(counter) = counter(kind) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// Pages left a mapping.
pub(super) fn pages_left(count: usize, kind: Kind) {
    if let Some(counter) = counter(kind) {
        counter.fetch_sub(count, Ordering::Relaxed);
    }
}

fn counter(kind: Kind) -> Option<&'static AtomicUsize> {
    match kind {
        Kind::Cached => Some(&CACHED),
        Kind::Kept => Some(&KEPT),
        Kind::Elsewhere => None,
    }
}

/// Pages of files in memory, for `/proc/meminfo`: of those that lie elsewhere, and of those that
/// lie in memory only.
pub(crate) fn cached_pages() -> (usize, usize) {
    (CACHED.load(Ordering::Relaxed), KEPT.load(Ordering::Relaxed))
}
