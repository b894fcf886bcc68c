//! [vvar] and [vdso]: two pages that every program gets at exec, so that it reads clocks without
//! entering the kernel.
//!
//! Both are made when the first program starts, once for all. The code page is the image of
//! `arch::vdso`, copied, because what programs map is never among the kernel's own constants. The data
//! page is written here alone, under a lock and a sequence number ([`set_offsets`]); the TSC's rate
//! doesn't change any more by then. System calls read the same numbers, so the clock is the same on
//! both ways.

use kiln_core::addr::{PAGE_SIZE, TASK_SIZE};
use kiln_core::errno::Errno;
use kiln_core::num::align_up;
use kiln_core::vdso::{CLOCKS, MODE, OFFSETS, Offsets, SCALE, SEQUENCE, START, ZONE};
use kiln_core::vma::{AreaFlags, Prot};

use super::area::{Object, VmArea};
use super::place::find_gap;
use super::space::{Areas, PAGE, errno};
use crate::arch::{time, vdso};
use crate::mm::frame::FrameRef;
use crate::options;
use crate::sync::{Once, SpinLock};

/// A page of the kernel's own in a program's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Special {
    /// The data page.
    Vvar,
    /// The code page.
    Vdso,
}

struct Pages {
    data: FrameRef,
    code: FrameRef,
}

static PAGES: Once<Pages> = Once::new();
static CLOCK: SpinLock<Offsets> = SpinLock::new(Offsets {
    wall_ns: 0,
    tai_s: 0,
    zone: [0; 2],
});

/// What clocks show beyond the nanoseconds since boot.
pub(crate) fn offsets() -> Offsets {
    *CLOCK.lock()
}

/// Changes that, for system calls and programs at once.
pub(crate) fn set_offsets(change: impl FnOnce(&mut Offsets)) {
    let mut clock = CLOCK.lock();
    change(&mut clock);
    if let Some(pages) = PAGES.get() {
        publish(&pages.data, &clock);
    }
}

/// Writes the data page; the caller holds the lock.
fn publish(data: &FrameRef, clock: &Offsets) {
    let sequence = data.word(SEQUENCE);
    data.set_word(SEQUENCE, sequence.wrapping_add(1));
    let [start, scale] = time::parameters();
    data.set_word(START, start);
    data.set_word(SCALE, scale);
    data.set_word(ZONE, clock.zone_word());
    for (id, at) in (0..).zip((OFFSETS..).step_by(8)).take(CLOCKS) {
        data.set_word(at, clock.of_clock(id));
    }
    // As Linux's parameter of this name: programs enter the kernel, which has no other clock.
    let usable = options::get("tsc") != Some(b"unstable");
    data.set_word(MODE, u64::from(usable));
    data.set_word(SEQUENCE, sequence.wrapping_add(2));
}

fn pages() -> Result<&'static Pages, Errno> {
    if let Some(pages) = PAGES.get() {
        return Ok(pages);
    }
    let (data, code) = (FrameRef::alloc_zeroed()?, FrameRef::alloc_zeroed()?);
    code.write(0, vdso::image());
    // Changes of the clock wait for the lock, and find the page or are in what it is made from.
    let clock = CLOCK.lock();
    publish(&data, &clock);
    Ok(PAGES.call_once(|| Pages { data, code }))
}

impl Special {
    /// The page.
    pub(super) fn frame(self) -> Result<FrameRef, Errno> {
        let pages = pages()?;
        Ok(match self {
            Self::Vvar => pages.data.clone(),
            Self::Vdso => pages.code.clone(),
        })
    }

    /// What `/proc/PID/maps` calls it.
    pub(super) fn name(self) -> &'static [u8] {
        match self {
            Self::Vvar => b"[vvar]",
            Self::Vdso => b"[vdso]",
        }
    }

    fn area(self, start: u64) -> VmArea {
        let (prot, flags) = match self {
            Self::Vvar => (Prot::READ, AreaFlags::DONT_DUMP),
            // A debugger may write breakpoints, into a copy.
            Self::Vdso => (
                Prot::READ | Prot::EXEC,
                AreaFlags::MAY_WRITE | AreaFlags::MAY_EXEC,
            ),
        };
        VmArea {
            start,
            end: start + PAGE,
            prot,
            flags,
            backing: Object::Special(self),
        }
    }
}

/// Gives a new program both pages; where the code lies. `stack_top`: they go behind it, where they need
/// no page table of their own; `random` says how far.
pub(super) fn map(areas: &mut Areas, stack_top: u64, random: u64) -> Result<u64, Errno> {
    const LEN: u64 = 2 * PAGE;
    // A page table's reach.
    const REACH: u64 = PAGE * (PAGE_SIZE as u64 / 8);
    let end = align_up(stack_top, REACH)
        .unwrap_or(TASK_SIZE)
        .min(TASK_SIZE);
    let room = (end - stack_top) / PAGE;
    let start = match room.checked_sub(LEN / PAGE) {
        Some(free) => stack_top + random % (free + 1) * PAGE,
        None => find_gap(areas, LEN, PAGE, false).ok_or(Errno::ENOMEM)?,
    };
    areas.map.insert(Special::Vvar.area(start)).map_err(errno)?;
    areas
        .map
        .insert(Special::Vdso.area(start + PAGE))
        .map_err(errno)?;
    Ok(start + PAGE)
}

const _: () = assert!(OFFSETS + CLOCKS * 8 <= PAGE_SIZE);
