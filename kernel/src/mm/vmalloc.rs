//! Large blocks of the heap: consecutive addresses, frames from anywhere. So what a program can make
//! long (a table of names, of processes, of descriptors) finds room as long as there are frames,
//! in however small pieces.
//!
//! The region is cut into parts, one for each power of two of pages, and each part into slots of
//! that size. A free slot has no frames; the first entry of its page table, not present, names the
//! next free one, so that the lists take no memory. Page tables stay when a slot is given up.
//!
//! Frames go back at once, since nobody uses the address any more. The address itself may be used
//! again only when no TLB remembers it: this CPU forgets at once, the others at their next
//! [`quiesce`], and until then the slot waits.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SIZE, VirtAddr};
use kiln_core::num::{u64_of, usize_of, usize_of32};

use super::frame::{FrameRef, OutOfMemory};
use super::kernel;
use super::layout::{VMALLOC, VMALLOC_SIZE};
use crate::arch::cpu::{MAX_CPUS, this_cpu};
use crate::sync::SpinLock;

const PAGE: u64 = PAGE_SIZE as u64;
/// Parts of the region: slots of 4 KiB to 128 MiB.
const CLASSES: usize = 16;
/// Bytes of a part.
const PART: u64 = VMALLOC_SIZE / CLASSES as u64;
/// Pages given up before the other CPUs are asked to forget them.
const BATCH: usize = 256;

/// A list of slots of one class: the first one's number and one, 0 for none.
type Head = u32;

/// The slots of one class.
#[derive(Clone, Copy)]
struct Class {
    /// Slots from here on have never been used.
    fresh: u32,
    /// To be used again.
    free: Head,
    /// Given up lately: other CPUs may know them.
    stale: Head,
    /// Given up before the epoch that [`Slots::epoch`] says.
    waiting: Head,
}

struct Slots {
    classes: [Class; CLASSES],
    /// Pages in the stale lists.
    stale: usize,
    /// All CPUs must have seen this epoch before what waits is used again; 0: nothing waits.
    epoch: u64,
}

static SLOTS: SpinLock<Slots> = SpinLock::new(Slots {
    classes: [Class {
        fresh: 0,
        free: 0,
        stale: 0,
        waiting: 0,
    }; CLASSES],
    stale: 0,
    epoch: 0,
});

/// Counts up when the CPUs are to forget what was given up until then.
static EPOCH: AtomicU64 = AtomicU64::new(1);
/// The epoch at which each CPU last forgot everything; 0: it doesn't take part yet.
static SEEN: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// CPUs that take part.
static CPUS: AtomicU32 = AtomicU32::new(0);

/// A place where this CPU uses no large block that somebody may be giving up: it forgets those that
/// were. The scheduler calls this now and then, with a thread or without.
#[inline]
pub(crate) fn quiesce() {
    let now = EPOCH.load(Ordering::Acquire);
    let seen = SEEN.get(usize_of32(this_cpu().id()));
    if let Some(seen) = seen
        && seen.load(Ordering::Relaxed) != now
    {
        forget_everything(seen, now);
    }
}

#[cold]
fn forget_everything(seen: &AtomicU64, now: u64) {
    if seen.load(Ordering::Relaxed) == 0 {
        CPUS.fetch_add(1, Ordering::AcqRel);
    }
    kernel::flush_all();
    seen.store(now, Ordering::Release);
}

/// Whether all CPUs have forgotten what was given up before `epoch`.
fn all_have_seen(epoch: u64) -> bool {
    SEEN.iter()
        .map(|seen| seen.load(Ordering::Acquire))
        .all(|seen| seen == 0 || seen >= epoch)
}

/// Whether `va` lies in the region.
pub(super) fn contains(va: u64) -> bool {
    (VMALLOC..VMALLOC + VMALLOC_SIZE).contains(&va)
}

/// The class whose slots hold so many bytes; `None`: too many.
fn class_for(bytes: usize) -> Option<usize> {
    let pages = bytes.div_ceil(PAGE_SIZE).checked_next_power_of_two()?;
    let class = usize_of32(pages.trailing_zeros());
    (class < CLASSES).then_some(class)
}

/// Address of a slot.
fn address(class: usize, slot: u32) -> u64 {
    VMALLOC + u64_of(class) * PART + (u64::from(slot) << class) * PAGE
}

/// The class and the number of the slot at `va`.
fn slot_at(va: u64) -> (usize, u32) {
    let offset = va - VMALLOC;
    let class = usize_of(offset / PART);
    let slot = (offset % PART / PAGE) >> class;
    (class, kiln_core::num::low32(slot))
}

/// Room for `bytes` at a multiple of `align`; what is in it isn't said.
pub(super) fn alloc(bytes: usize, align: usize) -> Result<u64, OutOfMemory> {
    let class = class_for(bytes.max(align)).ok_or(OutOfMemory)?;
    let va = SLOTS.lock().take(class).ok_or(OutOfMemory)?;
    let grown = grow(va, 0, bytes.div_ceil(PAGE_SIZE));
    if grown.is_err() {
        SLOTS.lock().give(va);
    }
    grown.map(|()| va)
}

/// Gives back what [`alloc`] gave.
///
/// # Safety
/// It did, for as many bytes (or [`resize`] made it as many), and nobody uses them any more.
pub(super) unsafe fn free(va: u64, bytes: usize) {
    shrink(va, bytes.div_ceil(PAGE_SIZE), 0);
    SLOTS.lock().give(va);
}

/// Makes what [`alloc`] gave for `old` bytes one of `new` bytes, where it is; whether it could.
///
/// # Safety
/// As [`free`], of what is behind `new` bytes.
pub(super) unsafe fn resize(va: u64, old: usize, new: usize) -> bool {
    let (class, _) = slot_at(va);
    let (before, after) = (old.div_ceil(PAGE_SIZE), new.div_ceil(PAGE_SIZE));
    if class_for(new) != Some(class) {
        return false;
    }
    if after <= before {
        shrink(va, before, after);
        return true;
    }
    grow(va, before, after).is_ok()
}

/// Maps the pages `from..to` of a slot: all, or none.
fn grow(va: u64, from: usize, to: usize) -> Result<(), OutOfMemory> {
    for page in from..to {
        let at = VirtAddr::new(va + u64_of(page) * PAGE);
        let mapped = FrameRef::alloc().and_then(|frame| kernel::map_frame(at, frame));
        if mapped.is_err() {
            shrink(va, page, from);
            return mapped;
        }
    }
    Ok(())
}

/// Unmaps the pages `to..from` of a slot; this CPU forgets them.
fn shrink(va: u64, from: usize, to: usize) {
    for page in to..from {
        let at = VirtAddr::new(va + u64_of(page) * PAGE);
        let frame = kernel::unmap_frame(at);
        kernel::forget_here(at);
        drop(frame);
    }
}

impl Slots {
    /// A slot without frames.
    fn take(&mut self, class: usize) -> Option<u64> {
        if self.classes.get(class)?.free == 0 {
            self.settle();
        }
        let state = self.classes.get_mut(class)?;
        if let Some(slot) = state.free.checked_sub(1) {
            let va = address(class, slot);
            state.free = kernel::take_link(va);
            return Some(va);
        }
        let slot = state.fresh;
        let va = address(class, slot);
        if (u64::from(slot) << class) * PAGE >= PART {
            return None;
        }
        // Its page table is made now, so that giving the slot back needs no memory.
        kernel::make_table(VirtAddr::new(va)).ok()?;
        state.fresh += 1;
        Some(va)
    }

    /// Takes back a slot, whose frames are gone.
    fn give(&mut self, va: u64) {
        let (class, slot) = slot_at(va);
        let alone = CPUS.load(Ordering::Acquire) <= 1;
        let Some(state) = self.classes.get_mut(class) else {
            return;
        };
        let list = if alone {
            &mut state.free
        } else {
            &mut state.stale
        };
        kernel::put_link(va, *list);
        *list = slot + 1;
        if !alone {
            self.stale += 1 << class;
            self.settle();
        }
    }

    /// Moves on what has waited long enough, and lets wait what was given up since.
    fn settle(&mut self) {
        if self.epoch != 0 && all_have_seen(self.epoch) {
            self.epoch = 0;
            for class in 0..CLASSES {
                self.free_waiting(class);
            }
        }
        if self.epoch == 0 && self.stale >= BATCH {
            self.stale = 0;
            for class in &mut self.classes {
                class.waiting = core::mem::take(&mut class.stale);
            }
            self.epoch = EPOCH.fetch_add(1, Ordering::AcqRel) + 1;
        }
    }

    fn free_waiting(&mut self, class: usize) {
        let Some(state) = self.classes.get_mut(class) else {
            return;
        };
        while let Some(slot) = state.waiting.checked_sub(1) {
            let va = address(class, slot);
            state.waiting = kernel::take_link(va);
            kernel::put_link(va, state.free);
            state.free = slot + 1;
        }
    }
}
