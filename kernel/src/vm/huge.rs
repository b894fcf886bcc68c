//! Anonymous memory in pages of 2 MiB (Linux's transparent huge pages): when a write finds nothing in
//! an aligned 2 MiB of a large area, and a free block can be had at once, it gets the block. Small
//! pages become a huge one when a program asks for it (`MADV_COLLAPSE`).

use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering};

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::align_up;
use kiln_core::vma::AreaFlags;

use super::area::{Object, VmArea};
use super::fault::page_flags;
use super::space::AddressSpace;
use crate::mm::frame::{self, HugeBlock};
use crate::mm::paging::{Gather, Leaf, PageFlags};

/// Bytes in a huge page.
pub(super) const HUGE: u64 = 2 << 20;
/// Frames below which huge pages are left off: 512 MiB (`hugepage_init`).
const SMALL: usize = (512 << 20) / kiln_core::addr::PAGE_SIZE;

/// Which areas get huge pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Policy {
    /// All that don't say no.
    Always,
    /// Those that ask for them.
    Advised,
    /// None.
    Never,
}

/// What was set; [`UNSET`] before.
static POLICY: AtomicU8 = AtomicU8::new(UNSET);
const UNSET: u8 = 0;
const ALWAYS: u8 = 1;
const ADVISED: u8 = 2;
const NEVER: u8 = 3;

/// Which areas get them now. At first it depends on the machine: where memory is little, what is
/// wasted weighs more than what is gained.
pub(crate) fn policy() -> Policy {
    match POLICY.load(Ordering::Relaxed) {
        ALWAYS => Policy::Always,
        ADVISED => Policy::Advised,
        NEVER => Policy::Never,
        _ => {
            let policy = if frame::stats().total < SMALL {
                Policy::Never
            } else {
                Policy::Always
            };
            set_policy(policy);
            policy
        }
    }
}

/// `/sys/kernel/mm/transparent_hugepage/enabled`.
pub(crate) fn set_policy(policy: Policy) {
    let word = match policy {
        Policy::Always => ALWAYS,
        Policy::Advised => ADVISED,
        Policy::Never => NEVER,
    };
    POLICY.store(word, Ordering::Relaxed);
}

impl AddressSpace {
    /// Whether the area's flags and the policy allow huge pages.
    pub(super) fn is_eligible(&self, area: &VmArea) -> bool {
        if !self.may_have_huge(area) {
            return false;
        }
        match policy() {
            Policy::Always => true,
            Policy::Advised => area.flags.contains(AreaFlags::HUGE_PAGE),
            Policy::Never => false,
        }
    }

    /// Whether neither the area nor the process refuses huge pages, whatever the policy.
    fn may_have_huge(&self, area: &VmArea) -> bool {
        let refused = area.flags.contains(AreaFlags::NO_HUGE_PAGE) || self.refuses_huge();
        area.size() >= HUGE && !refused
    }

    /// Whether a huge page round `page` would do.
    #[inline]
    pub(super) fn may_fill_huge(&self, area: &VmArea, page: u64) -> bool {
        let start = page & !(HUGE - 1);
        start >= area.start && start + HUGE <= area.end && self.is_eligible(area)
    }

    /// Maps a huge page round `page`, where nothing is mapped; whether that could be done.
    pub(super) fn fill_huge(&self, area: &VmArea, page: u64) -> bool {
        let start = page & !(HUGE - 1);
        if !self.may_fill_huge(area, page) {
            return false;
        }
        let Some(block) = HugeBlock::alloc() else {
            return false;
        };
        block.zero();
        let flags = page_flags(area.prot, true);
        let mut tables = self.tables.lock();
        tables.map_huge(UserAddr::new(start), block, flags) == Ok(true)
    }

    /// Puts the small pages of the range together to huge ones (`MADV_COLLAPSE`), where areas lie.
    ///
    /// # Errors
    /// `EINVAL` for areas that may not have huge pages and where no page is, `EAGAIN` for pages that
    /// somebody holds, `ENOMEM`.
    pub(super) fn collapse(&self, range: &Range<u64>) -> Result<(), Errno> {
        let mut at = range.start;
        let mut failed = Ok(());
        loop {
            // Nobody maps a page meanwhile; others have their turn between two huge pages.
            let areas = self.write_areas();
            let rest = at..range.end;
            let Some(area) = areas.map.overlapping(&rest).next() else {
                return failed;
            };
            let anonymous = matches!(area.backing, Object::Anonymous);
            if !anonymous || !self.may_have_huge(area) || !has_room(area.start, area.end) {
                return Err(Errno::EINVAL);
            }
            let part = area.part(&rest);
            if has_room(part.start, part.end) {
                let start = align_up(part.start, HUGE).unwrap_or(part.end);
                match self.collapse_one(area, start) {
                    Err(Errno::ENOMEM) => return Err(Errno::ENOMEM),
                    done => failed = done.and(failed),
                }
                at = start + HUGE;
            } else {
                failed?;
                at = part.end;
            }
        }
    }

    fn collapse_one(&self, area: &VmArea, start: u64) -> Result<(), Errno> {
        let block = HugeBlock::alloc().ok_or(Errno::ENOMEM)?;
        let mut gather = Gather::new();
        let found = self.tables.lock().detach(UserAddr::new(start), &mut gather);
        let taken = match found {
            Leaf::Nothing => return Err(Errno::EINVAL),
            Leaf::Busy => return Err(Errno::EAGAIN),
            Leaf::Huge => return Ok(()),
            Leaf::Taken(taken) => taken,
        };
        gather.flush();
        taken.move_to(&block);
        let mut flags = page_flags(area.prot, true);
        flags.set(PageFlags::NO_ACCESS, area.prot.is_empty());
        self.tables.lock().put_block(taken, block, flags);
        Ok(())
    }
}

/// Whether there is place for a huge page between the two.
fn has_room(start: u64, end: u64) -> bool {
    align_up(start, HUGE).is_some_and(|start| start.saturating_add(HUGE) <= end)
}
