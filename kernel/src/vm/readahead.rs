//! How many pages to read at once, and reading them before they are asked for.
//!
//! A file read in order gets twice as many each time, up to [`MAX_PAGES`]; one read here and there
//! gets what was asked for. When a reader passes the middle of what was read for it, a thread reads
//! what comes next meanwhile.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use super::mapping::Mapping;
use crate::sched::{self, Mode, Thread, WaitQueue};
use crate::sync::SpinLock;

/// Most pages read at once.
pub(super) const MAX_PAGES: u64 = 128;
/// Pages read at the start of a file.
const FIRST_PAGES: u64 = 4;
/// Pages read around a fault on one that isn't in memory (`VM_READAHEAD_PAGES`).
const AROUND: u64 = 32;
/// Pages that a fault maps with its own, where they are in memory.
const MAPPED: u32 = 16;
/// As many faults on such pages more than on others, and nothing is read around them any more
/// (mm/filemap.c, `MMAP_LOTSAMISS`).
const MANY_MISSES: u32 = 100;
/// Windows of fewer pages aren't worth a thread's waking.
const WORTH_WHILE: u64 = 16;

/// What is remembered of the last read that found a page missing.
pub(super) struct Readahead {
    /// Where reading in order would go on.
    next: u64,
    /// Pages read then.
    window: u64,
    /// The page at which the next window is asked for; none: `u64::MAX`.
    marker: u64,
    /// Faults on pages that weren't in memory, less pages that others have mapped.
    misses: u32,
    /// The fault that comes next is one of these again, its page read.
    missed: bool,
}

impl Readahead {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            window: 0,
            marker: u64::MAX,
            misses: 0,
            missed: false,
        }
    }

    /// What to read for a fault on the missing page `index`: the pages before and after it, too, of a
    /// file that is read here and there.
    pub(super) fn around(&mut self, index: u64) -> Option<Range<u64>> {
        self.misses = self.misses.saturating_add(1).min(2 * MANY_MISSES);
        self.missed = true;
        let few = self.misses <= MANY_MISSES && index != self.next;
        few.then(|| index.saturating_sub(AROUND / 2)..index + AROUND / 2)
    }

    /// A fault has mapped pages that are in memory.
    #[inline]
    pub(super) fn hit(&mut self) {
        if !core::mem::replace(&mut self.missed, false) {
            self.misses = self.misses.saturating_sub(MAPPED);
        }
    }

    /// Pages to read from `index` on, when `wanted` are asked for.
    pub(super) fn window(&mut self, index: u64, wanted: u64) -> u64 {
        let in_order = index == self.next;
        let grown = if in_order {
            (self.window * 2).max(FIRST_PAGES)
        } else {
            1
        };
        self.window = grown.max(wanted).min(MAX_PAGES);
        self.next = index + self.window;
        self.marker = if in_order && self.window >= WORTH_WHILE {
            index + self.window / 2
        } else {
            u64::MAX
        };
        self.window
    }

    /// A page is used; the first page of the next window when it is time for that.
    #[inline]
    pub(super) fn used(&mut self, index: u64) -> Option<u64> {
        if index != self.marker {
            return None;
        }
        self.marker = u64::MAX;
        Some(self.next)
    }
}

/// What the thread is to read: a file, and the first page of its next window; and for whom.
type Wish = (Weak<Mapping>, u64, Arc<Thread>);

/// How many files can wait for the thread; more read for themselves.
const ROOM: usize = 8;

static WISHES: SpinLock<[Option<Wish>; ROOM]> = SpinLock::new([const { None }; ROOM]);
static WORK: WaitQueue = WaitQueue::new();
static STARTED: AtomicBool = AtomicBool::new(false);

/// Has the window from `first` on read by the thread.
pub(super) fn ask(file: &Mapping, first: u64) {
    let mut wishes = WISHES.lock();
    let Some(slot) = wishes.iter_mut().find(|slot| slot.is_none()) else {
        return;
    };
    *slot = Some((file.me().clone(), first, sched::current()));
    drop(wishes);
    if !STARTED.swap(true, Ordering::AcqRel) && sched::spawn(b"readahead", Box::new(run)).is_err() {
        STARTED.store(false, Ordering::Release);
        return;
    }
    WORK.wake_one();
}

fn take() -> Option<Wish> {
    WISHES.lock().iter_mut().find_map(Option::take)
}

fn run() {
    loop {
        let Ok((file, first, whose)) = WORK.wait(Mode::Uninterruptible, None, take) else {
            continue;
        };
        let file: Option<Arc<Mapping>> = file.upgrade();
        if let Some(file) = file {
            let own = sched::current();
            let [before, _] = own.disk_bytes();
            file.read_ahead(first, 1);
            let [after, _] = own.disk_bytes();
            whose.count_read(after - before);
        }
    }
}
