//! Anonymous memory in pages of 2 MiB (Linux's transparent huge pages): when a write finds nothing in
//! an aligned 2 MiB of a large area, and a free block can be had at once, it gets the block.

use core::sync::atomic::{AtomicU8, Ordering};

use kiln_core::addr::UserAddr;
use kiln_core::vma::AreaFlags;

use super::area::VmArea;
use super::fault::page_flags;
use super::space::AddressSpace;
use crate::mm::frame::{self, HugeBlock};

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

/// Whether the area's flags and the policy allow huge pages.
pub(super) fn is_eligible(area: &VmArea) -> bool {
    if area.size() < HUGE || area.flags.contains(AreaFlags::NO_HUGE_PAGE) {
        return false;
    }
    match policy() {
        Policy::Always => true,
        Policy::Advised => area.flags.contains(AreaFlags::HUGE_PAGE),
        Policy::Never => false,
    }
}

impl AddressSpace {
    /// Maps a huge page round `page`, where nothing is mapped; whether that could be done.
    pub(super) fn fill_huge(&self, area: &VmArea, page: u64) -> bool {
        let start = page & !(HUGE - 1);
        if start < area.start || start + HUGE > area.end || !is_eligible(area) {
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
}
