//! Small objects of the heap: slabs of one frame each, by size class.
//!
//! What there is to know of a slab stands in its frame's record: the free objects (a list through
//! the objects themselves), how far it has been cut, how many are in use, and its neighbours in the
//! class's list of slabs with room. So a free finds its slab from the address alone, and a slab that
//! becomes empty goes back to the frames. The logic of sizes is in [`class_of`]; larger objects are
//! `talc`'s ([`heap`](super::heap)).
//!
//! Each CPU keeps a few free objects of a class at hand ([`take`], [`keep`]), which costs no lock and no look at a
//! record: to their slabs they are in use.

use core::alloc::Layout;
use core::sync::atomic::Ordering;
use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::num::{low32, u64_of, usize_of32};

use super::frame::{self, FrameRef, OutOfMemory, SlabRecord};
use super::layout::{PHYSMAP, physmap};
use crate::arch::cpu::{SHELVES, this_cpu};

/// Bytes of the objects of each class: multiples of 16.
const SIZES: [u16; 20] = [
    32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024, 1360,
    2048,
];
/// The largest object there are slabs for.
pub(super) const LARGEST: usize = 2048;
/// Offsets are counted in these.
const UNIT: usize = 16;
/// The class for each size, in units.
static CLASS_BY_UNITS: [u8; LARGEST / UNIT + 1] = classes_by_units();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn classes_by_units() -> [u8; LARGEST / UNIT + 1] {
    let mut table = [0; LARGEST / UNIT + 1];
    let (mut units, mut class) = (0, 0u8);
    while units < table.len() {
        if units * UNIT > SIZES[class as usize] as usize {
            class += 1;
        }
        table[units] = class;
        units += 1;
    }
    table
}

/// The class whose objects hold `layout`; `None` when it is too large.
#[inline]
pub(super) fn class_of(layout: Layout) -> Option<usize> {
    // Objects start at multiples of their size, so powers of two are aligned to themselves.
    let size = match layout.align() {
        ..=UNIT => layout.size(),
        align => layout.size().max(align).next_power_of_two(),
    };
    CLASS_BY_UNITS
        .get(size.div_ceil(UNIT))
        .map(|class| usize::from(*class))
}

const _: () = assert!(SHELVES == SIZES.len(), "a shelf for each class");
/// The classes up to 512 bytes. Larger objects are few.
const SMALL_CLASSES: usize = 15;
const _: () = assert!(SIZES[SMALL_CLASSES - 1] == 512, "the last small class");
/// How many objects a CPU keeps: of small ones, and of others.
const KEPT: (u32, u32) = (8, 2);

/// An object of `class` that this CPU has at hand.
#[inline]
pub(super) fn take(class: usize) -> Option<*mut u8> {
    let shelf = this_cpu().shelf(class)?;
    let object = shelf.first.load(Ordering::Relaxed);
    if object.is_null() {
        return None;
    }
    // SAFETY: `keep` put it there: a free object, whose first word is the next one's address. Nobody gets between
    // the load and the stores: the kernel isn't preempted here, and interrupt handlers don't use the heap.
    let next = unsafe { object.cast::<*mut u8>().read() };
    shelf.first.store(next, Ordering::Relaxed);
    let count = shelf.count.load(Ordering::Relaxed);
    shelf.count.store(count.wrapping_sub(1), Ordering::Relaxed);
    Some(object)
}

/// Keeps an object of `class` at hand, unless there are enough; whether it did.
///
/// # Safety
/// It is the heap's, of that class, and nobody uses it any more.
#[inline]
pub(super) unsafe fn keep(class: usize, object: *mut u8) -> bool {
    let Some(shelf) = this_cpu().shelf(class) else {
        return false;
    };
    let count = shelf.count.load(Ordering::Relaxed);
    let most = if class < SMALL_CLASSES {
        KEPT.0
    } else {
        KEPT.1
    };
    if count >= most {
        return false;
    }
    // SAFETY: the caller's promise; objects have 32 bytes or more, aligned to 16.
    unsafe {
        object
            .cast::<*mut u8>()
            .write(shelf.first.load(Ordering::Relaxed))
    };
    shelf.first.store(object, Ordering::Relaxed);
    shelf.count.store(count + 1, Ordering::Relaxed);
    true
}

fn size_of_class(class: usize) -> usize {
    SIZES.get(class).map_or(LARGEST, |size| usize::from(*size))
}

/// A slab's state, as it stands in its frame's record.
#[derive(Clone, Copy)]
struct Slab {
    /// Offset of the first free object, in units; [`NONE`] when there is none.
    free: u32,
    /// Offset of what has never been cut off, in units.
    fresh: u32,
    /// Objects in use.
    used: u32,
}

/// No object: objects of 32 bytes and more can't start here.
const NONE: u32 = 0xFF;

impl Slab {
    const EMPTY: Self = Self {
        free: NONE,
        fresh: 0,
        used: 0,
    };

    const fn pack(self) -> u32 {
        self.free | self.fresh << 8 | self.used << 20
    }

    const fn unpack(word: u32) -> Self {
        Self {
            free: word & 0xFF,
            fresh: word >> 8 & 0xFFF,
            used: word >> 20,
        }
    }

    /// Whether there is room for another object of `size` bytes.
    const fn has_room(self, size: usize) -> bool {
        self.free != NONE || self.fresh as usize * UNIT + size <= PAGE_SIZE
    }
}

/// The slabs with room, by class: the first one's frame number, 0 for none.
#[derive(Debug)]
pub(super) struct Slabs {
    first: [u32; SIZES.len()],
}

impl Slabs {
    pub(super) const fn new() -> Self {
        Self {
            first: [0; SIZES.len()],
        }
    }

    fn first(&mut self, class: usize) -> Option<&mut u32> {
        self.first.get_mut(class)
    }

    /// An object of `class`. `grow` gives a frame when there is no slab with room.
    pub(super) fn alloc(
        &mut self,
        class: usize,
        grow: impl FnOnce() -> Result<FrameRef, OutOfMemory>,
    ) -> Option<*mut u8> {
        let size = size_of_class(class);
        if *self.first(class)? == 0 {
            self.add(class, grow().ok()?);
        }
        let number = *self.first(class)?;
        let record = frame::slab_record(number);
        let mut slab = Slab::unpack(record.state.load(Ordering::Relaxed));
        let base = physmap::<u8>(frame::address(number));
        let object = if slab.free == NONE {
            let at = usize_of32(slab.fresh) * UNIT;
            slab.fresh += low32(u64_of(size / UNIT));
            base.wrapping_add(at)
        } else {
            let object = base.wrapping_add(usize_of32(slab.free) * UNIT);
            // SAFETY: a free object of a slab, whose first word is the next one's offset.
            slab.free = unsafe { object.cast::<u32>().read() };
            object
        };
        slab.used += 1;
        record.state.store(slab.pack(), Ordering::Relaxed);
        if !slab.has_room(size) {
            self.unlink(class, number, &record);
        }
        Some(object)
    }

    /// Takes back `object`, which was allocated with `class`. Returns the slab's frame if it is empty
    /// now and there are others with room.
    ///
    /// # Safety
    /// It was, and nobody uses it any more.
    pub(super) unsafe fn free(&mut self, class: usize, object: *mut u8) -> Option<FrameRef> {
        let size = size_of_class(class);
        let offset = u64_of(object.addr()) - PHYSMAP;
        let number = frame::number(PhysAddr::new(offset));
        let record = frame::slab_record(number);
        let mut slab = Slab::unpack(record.state.load(Ordering::Relaxed));
        let had_room = slab.has_room(size);
        // SAFETY: the object is the slab's again.
        unsafe { object.cast::<u32>().write(slab.free) };
        slab.free = low32(offset % u64_of(PAGE_SIZE)) / low32(u64_of(UNIT));
        slab.used -= 1;
        record.state.store(slab.pack(), Ordering::Relaxed);
        if !had_room {
            self.link(class, number, &record);
        }
        let alone =
            record.next.load(Ordering::Relaxed) == 0 && record.prev.load(Ordering::Relaxed) == 0;
        if slab.used != 0 || alone {
            return None;
        }
        self.unlink(class, number, &record);
        record.state.store(1, Ordering::Relaxed);
        // SAFETY: the handle that `add` gave up; no object of the slab is in use.
        Some(unsafe { FrameRef::from_raw(frame::address(number)) })
    }

    /// Makes `frame` a slab.
    fn add(&mut self, class: usize, frame: FrameRef) {
        let number = frame::number(frame.into_raw());
        let record = frame::slab_record(number);
        record.state.store(Slab::EMPTY.pack(), Ordering::Relaxed);
        self.link(class, number, &record);
    }

    fn link(&mut self, class: usize, number: u32, record: &SlabRecord<'_>) {
        let Some(first) = self.first(class) else {
            return;
        };
        let next = core::mem::replace(first, number);
        record.prev.store(0, Ordering::Relaxed);
        record.next.store(next, Ordering::Relaxed);
        if next != 0 {
            frame::slab_record(next)
                .prev
                .store(number, Ordering::Relaxed);
        }
    }

    fn unlink(&mut self, class: usize, number: u32, record: &SlabRecord<'_>) {
        let (prev, next) = (
            record.prev.load(Ordering::Relaxed),
            record.next.load(Ordering::Relaxed),
        );
        match self.first(class) {
            Some(first) if *first == number => *first = next,
            _ => frame::slab_record(prev).next.store(next, Ordering::Relaxed),
        }
        if next != 0 {
            frame::slab_record(next).prev.store(prev, Ordering::Relaxed);
        }
    }
}
