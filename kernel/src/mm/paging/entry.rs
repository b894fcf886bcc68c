//! What an entry of a program's tables says: the hardware's bits, three of our own, and [`PageFlags`], as which
//! the rest of the kernel knows them.

use kiln_core::addr::PAGE_SIZE;

use crate::mm::table::Bits;

pub(super) const PAGE: u64 = PAGE_SIZE as u64;
/// Software bit: the entry owns a handle.
pub(super) const OWNED: u64 = Bits::BIT_9.bits();
/// Software bit of [`PageFlags::SOFT_COW`].
pub(super) const COW: u64 = Bits::BIT_10.bits();
/// Software bit: the leaf table that the entry names may be other spaces' too, and is read-only.
pub(super) const SHARED: u64 = Bits::BIT_11.bits();
/// Software bit of an entry of level 2 that names a leaf table: the page of zeroes may be mapped below it.
pub(super) const ZEROES: u64 = Bits::BIT_10.bits();
/// The entry, of level 2, is a page of 2 MiB.
pub(super) const HUGE: u64 = Bits::HUGE_PAGE.bits();
/// Bytes that a leaf table covers, and a huge page has.
pub(super) const SPAN: u64 = PAGE << 9;

bitflags::bitflags! {
    /// What a page may be used for, and what has been done with it. Reading is always allowed,
    /// unless `NO_ACCESS` is there.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct PageFlags: u8 {
        /// May be written.
        const WRITE = 1 << 0;
        /// May be executed.
        const EXEC = 1 << 1;
        /// Was written since the bit was cleared.
        const DIRTY = 1 << 2;
        /// Was used since the bit was cleared.
        const ACCESSED = 1 << 3;
        /// Shared until written: `protect_range` doesn't make it writable.
        const SOFT_COW = 1 << 4;
        /// May not be used at all (PROT_NONE); the frame stays.
        const NO_ACCESS = 1 << 5;
    }
}

impl PageFlags {
    #[inline]
    pub(super) fn to_entry(self) -> u64 {
        let mut bits = OWNED | Bits::USER_ACCESSIBLE.bits();
        let pairs = [
            (Self::WRITE, Bits::WRITABLE.bits()),
            (Self::DIRTY, Bits::DIRTY.bits()),
            (Self::ACCESSED, Bits::ACCESSED.bits()),
            (Self::SOFT_COW, COW),
        ];
        for (flag, bit) in pairs {
            if self.contains(flag) {
                bits |= bit;
            }
        }
        if !self.contains(Self::EXEC) {
            bits |= Bits::NO_EXECUTE.bits();
        }
        if !self.contains(Self::NO_ACCESS) {
            bits |= Bits::PRESENT.bits();
        }
        bits
    }

    /// What an entry says; of a table that is `shared` nothing may be written.
    pub(super) fn of_shared(entry: u64, shared: bool) -> Self {
        let mut flags = Self::of_entry(entry);
        if shared && flags.contains(Self::WRITE) {
            flags.remove(Self::WRITE);
            flags.insert(Self::SOFT_COW);
        }
        flags
    }

    pub(super) fn of_entry(entry: u64) -> Self {
        let mut flags = Self::empty();
        flags.set(Self::WRITE, entry & Bits::WRITABLE.bits() != 0);
        flags.set(Self::DIRTY, entry & Bits::DIRTY.bits() != 0);
        flags.set(Self::ACCESSED, entry & Bits::ACCESSED.bits() != 0);
        flags.set(Self::SOFT_COW, entry & COW != 0);
        flags.set(Self::EXEC, entry & Bits::NO_EXECUTE.bits() == 0);
        flags.set(Self::NO_ACCESS, entry & Bits::PRESENT.bits() == 0);
        flags
    }
}

/// Flags to set and to clear, as bits of an entry.
#[derive(Clone, Copy)]
pub(super) struct Change {
    on: u64,
    pub(super) off: u64,
}

impl Change {
    /// Sets the flags `set`, then clears `clear`.
    pub(super) fn of(set: PageFlags, clear: PageFlags) -> Self {
        // Two flags are bits that are off.
        let inverse = PageFlags::EXEC | PageFlags::NO_ACCESS;
        let bits = |flags: PageFlags| flags.to_entry() ^ PageFlags::empty().to_entry();
        let set = set - clear;
        let on = bits(set - inverse) | bits(clear & inverse);
        let off = bits(clear - inverse) | bits(set & inverse);
        Self { on, off }
    }

    /// What an entry becomes.
    #[inline]
    pub(super) const fn apply(self, entry: u64) -> u64 {
        let new = entry & !self.off | self.on;
        if new & COW == 0 {
            return new;
        }
        new & !Bits::WRITABLE.bits()
    }
}
