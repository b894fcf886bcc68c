//! [`Area`]: a range of addresses, what a program may do there ([`Prot`]), what else it asked for
//! ([`AreaFlags`]), and what lies behind ([`Backing`]).

use core::ops::Range;

use crate::mempolicy::Policy;

bitflags::bitflags! {
    /// What a program may do with memory; the bits are mmap's `PROT_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Prot: u32 {
        /// `PROT_READ`.
        const READ = 1;
        /// `PROT_WRITE`.
        const WRITE = 2;
        /// `PROT_EXEC`.
        const EXEC = 4;
    }
}

bitflags::bitflags! {
    /// An area's other properties.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct AreaFlags: u32 {
        /// Changes are seen by everybody who maps the same (`MAP_SHARED`).
        const SHARED = 1 << 0;
        /// Grows towards lower addresses on a fault below it (`MAP_GROWSDOWN`).
        const GROWS_DOWN = 1 << 1;
        /// Pages stay in memory (`mlock`).
        const LOCKED = 1 << 2;
        /// Not counted against the commit limit (`MAP_NORESERVE`).
        const NO_RESERVE = 1 << 3;
        /// A child doesn't get it (`MADV_DONTFORK`).
        const DONT_FORK = 1 << 4;
        /// A child gets it empty (`MADV_WIPEONFORK`).
        const WIPE_ON_FORK = 1 << 5;
        /// Left out of core dumps (`MADV_DONTDUMP`).
        const DONT_DUMP = 1 << 6;
        /// Read in order (`MADV_SEQUENTIAL`).
        const SEQUENTIAL = 1 << 7;
        /// Read in no order (`MADV_RANDOM`).
        const RANDOM = 1 << 8;
        /// `mprotect` may add `PROT_WRITE`: not so for a shared mapping of a file opened for reading.
        const MAY_WRITE = 1 << 9;
        /// `mprotect` may add `PROT_EXEC`: not so on a `noexec` mount.
        const MAY_EXEC = 1 << 10;
        /// Pages are locked as they are touched (`MLOCK_ONFAULT`).
        const LOCK_ON_FAULT = 1 << 11;
        /// Huge pages wanted (`MADV_HUGEPAGE`).
        const HUGE_PAGE = 1 << 12;
        /// Huge pages not wanted (`MADV_NOHUGEPAGE`).
        const NO_HUGE_PAGE = 1 << 13;
        /// Same pages may be merged (`MADV_MERGEABLE`); remembered only.
        const MERGEABLE = 1 << 14;
        /// Where memory shall come from (`mbind`): a [`Policy`], packed.
        const POLICY = 0x7F << 16;
    }
}

impl AreaFlags {
    /// The area's memory policy.
    #[must_use]
    pub fn policy(self) -> Policy {
        Policy::unpack(crate::num::low8(u64::from(self.bits() >> 16 & 0x7F)))
    }

    /// The same flags with another policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        (self - Self::POLICY) | Self::from_bits_retain(u32::from(policy.pack()) << 16)
    }
}

/// What lies behind an area.
pub trait Backing: Clone {
    /// What lies `bytes` (whole pages) further on.
    #[must_use]
    fn advanced(&self, bytes: u64) -> Self;
    /// Whether `next` is what lies `bytes` further on, so that two areas are one.
    fn continues(&self, bytes: u64, next: &Self) -> bool;
    /// Whether it is something that others may have a part in.
    fn is_object(&self) -> bool;
}

/// A range of whole pages with the same rights and the same thing behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Area<B> {
    /// First address.
    pub start: u64,
    /// First address past it; more than `start`.
    pub end: u64,
    /// Rights.
    pub prot: Prot,
    /// Other properties.
    pub flags: AreaFlags,
    /// What lies behind.
    pub backing: B,
}

impl<B> Area<B> {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the address lies in it.
    pub fn contains(&self, addr: u64) -> bool {
        self.start <= addr && addr < self.end
    }

    /// Bytes that memory must be there for, should a program write to all of it (Linux: `accountable_mapping`).
    pub(super) fn committed(&self) -> u64 {
        let left_out = AreaFlags::SHARED | AreaFlags::NO_RESERVE;
        if self.prot.contains(Prot::WRITE) && !self.flags.intersects(left_out) {
            self.size()
        } else {
            0
        }
    }

    /// Whether it is the same memory for everybody who maps it.
    pub fn is_shared(&self) -> bool {
        self.flags.contains(AreaFlags::SHARED)
    }
}

impl<B: Backing> Area<B> {
    /// The part within `range`, which overlaps it.
    #[must_use]
    pub fn part(&self, range: &Range<u64>) -> Self {
        let start = self.start.max(range.start);
        Self {
            start,
            end: self.end.min(range.end),
            prot: self.prot,
            flags: self.flags,
            backing: self.backing.advanced(start - self.start),
        }
    }

    pub(super) fn joins(&self, next: &Self) -> bool {
        self.end == next.start
            && self.prot == next.prot
            && self.flags == next.flags
            && self.backing.continues(self.size(), &next.backing)
    }
}
