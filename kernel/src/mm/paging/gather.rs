//! Frames on their way out, and what the TLBs must forget before they get there.

use kiln_core::addr::PhysAddr;

use super::entry::{PAGE, SPAN};
use super::root::Root;
use super::share::release_leaf;
use super::shootdown;
use crate::mm::frame::{self, FrameRef};
use crate::mm::table::{ADDRESS, Bits};

/// Marks the number of a frame that is a table. Numbers end far below: see `PHYSMAP_SIZE`.
const TABLE: u32 = 1 << 31;
/// Marks the number of the first frame of a huge page.
const BLOCK: u32 = 1 << 30;
/// Frames that are collected without a frame to hold them.
const CAPACITY: usize = 62;
/// Numbers that a frame holds.
const OVERFLOW: usize = kiln_core::addr::PAGE_SIZE / 4;

/// Collects frames that entries gave up. They are released when the TLB doesn't know them any more:
/// at [`flush`](Self::flush), when the collection is full, or when it is dropped.
pub(crate) struct Gather {
    frames: [u32; CAPACITY],
    /// A frame that holds those for which there is no room here.
    overflow: Option<FrameRef>,
    /// Frames collected, in both.
    len: usize,
    /// Where entries were changed that a TLB may know, and in which address space.
    stale: Option<(Root, u64, u64)>,
    /// Tables are among the frames.
    tables: bool,
}

impl Gather {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            frames: [0; CAPACITY],
            overflow: None,
            len: 0,
            stale: None,
            tables: false,
        }
    }

    /// The entry `old` of `va` was cleared or replaced: its frame is to be released.
    pub(super) fn release(&mut self, root: &Root, va: u64, old: u64) {
        self.note(root, va, old);
        self.push(PhysAddr::new(old & ADDRESS));
    }

    /// The entry of `va` was changed from `old` to `new` and keeps its frame.
    pub(super) fn changed(&mut self, root: &Root, va: u64, old: u64, new: u64) {
        if is_less(old, new) {
            self.note(root, va, old);
        }
    }

    /// The table `addr`, empty now, which covered `va`, was taken out of its parent.
    pub(super) fn release_table(&mut self, root: &Root, va: u64, addr: PhysAddr) {
        // CPUs cache upper entries too; any INVLPG drops them, and so does the note.
        self.note(root, va, Bits::PRESENT.bits() | Bits::ACCESSED.bits());
        self.tables = true;
        self.push_number(frame::number(addr) | TABLE);
    }

    /// The leaf table `addr`, which covered what is around `va`, was taken out of its parent: one
    /// handle of it is to be released.
    pub(super) fn release_leaf(&mut self, root: &Root, va: u64, addr: PhysAddr) {
        self.note_leaf(root, va);
        self.push_number(frame::number(addr) | TABLE);
    }

    /// The leaf table that covers the 2 MiB from `va` on was taken out of its parent, and stays its owner's.
    pub(super) fn note_leaf(&mut self, root: &Root, va: u64) {
        self.note_span(root, va);
        self.tables = true;
    }

    /// The huge page at `addr`, which was mapped at `va`, was taken out.
    pub(super) fn release_huge(&mut self, root: &Root, va: u64, addr: PhysAddr) {
        self.note_span(root, va);
        self.push_number(frame::number(addr) | BLOCK);
    }

    /// The entry of the huge page at `va` was changed from `old` to `new`.
    pub(super) fn changed_span(&mut self, root: &Root, va: u64, old: u64, new: u64) {
        if is_less(old, new) {
            self.note_span(root, va);
        }
    }

    /// Entries anywhere in the 2 MiB from `va` on may have lost rights.
    pub(super) fn note_span(&mut self, root: &Root, va: u64) {
        self.note_range(root, va, va + SPAN);
    }

    #[inline]
    fn note(&mut self, root: &Root, va: u64, old: u64) {
        // Only what was present and used can be in a TLB.
        const KNOWN: u64 = Bits::PRESENT.bits() | Bits::ACCESSED.bits();
        if old & KNOWN == KNOWN {
            self.note_range(root, va, va + PAGE);
        }
    }

    fn note_range(&mut self, root: &Root, from: u64, to: u64) {
        match &mut self.stale {
            Some((known, start, end)) if known == root => {
                *start = from.min(*start);
                *end = to.max(*end);
            }
            _ => {
                self.flush();
                self.stale = Some((root.clone(), from, to));
            }
        }
    }

    fn push(&mut self, addr: PhysAddr) {
        self.push_number(frame::number(addr));
    }

    fn push_number(&mut self, number: u32) {
        if self.len == CAPACITY && self.overflow.is_none() {
            self.overflow = FrameRef::alloc().ok();
        }
        let room = if self.overflow.is_some() {
            CAPACITY + OVERFLOW
        } else {
            CAPACITY
        };
        if self.len >= room {
            self.flush();
        }
        match (self.frames.get_mut(self.len), &self.overflow) {
            (Some(slot), _) => *slot = number,
            (None, Some(frame)) => frame.write((self.len - CAPACITY) * 4, &number.to_ne_bytes()),
            (None, None) => {}
        }
        self.len += 1;
    }

    /// The number at `index`, below `len`.
    fn number(&self, index: usize) -> u32 {
        match (self.frames.get(index), &self.overflow) {
            (Some(number), _) => *number,
            (None, Some(frame)) => {
                let mut bytes = [0; 4];
                frame.read((index - CAPACITY) * 4, &mut bytes);
                u32::from_ne_bytes(bytes)
            }
            (None, None) => 0,
        }
    }

    /// Makes the TLBs forget, waits until they have, and releases the frames.
    pub(crate) fn flush(&mut self) {
        if let Some((root, start, end)) = self.stale.take() {
            shootdown::forget(&root, start, end, self.tables);
        }
        self.tables = false;
        for number in (0..self.len).map(|index| self.number(index)) {
            let addr = frame::address(number & !(TABLE | BLOCK));
            // SAFETY: each number pushed stands for one handle, and is taken out here once. The TLBs
            // have forgotten what it stood for.
            unsafe {
                match number & (TABLE | BLOCK) {
                    0 => drop(FrameRef::from_raw(addr)),
                    TABLE => release_leaf(addr),
                    _ => frame::huge_release(addr),
                }
            }
        }
        self.len = 0;
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Whether `new` allows less than `old`, or forgets a use. More rights need no flush: the fault that
/// a stale entry causes drops it from the TLB (Intel SDM volume 3, 4.10.4.3), and the handler finds
/// that all is well.
fn is_less(old: u64, new: u64) -> bool {
    const RIGHTS: u64 = Bits::PRESENT.bits() | Bits::WRITABLE.bits();
    let fewer = old & RIGHTS & !new != 0;
    let no_exec = !old & new & Bits::NO_EXECUTE.bits() != 0;
    let cleared = old & !new & (Bits::DIRTY.bits() | Bits::ACCESSED.bits()) != 0;
    fewer || no_exec || cleared
}
