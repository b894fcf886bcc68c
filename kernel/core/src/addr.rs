//! Addresses by kind: [`PhysAddr`], [`VirtAddr`] (the kernel's), [`UserAddr`] (a program's).
//!
//! They don't convert into each other by accident. A [`UserAddr`] is any 64-bit value a program
//! passed; only the user-copy functions of the kernel's `mm` give it a meaning.

use core::fmt;

/// Bytes in a page and in a frame.
pub const PAGE_SIZE: usize = 4096;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a large (PMD-level) page.
pub const LARGE_PAGE_SIZE: usize = 2 << 20;
/// First address a program can't have: Linux's `TASK_SIZE` for 4-level paging
/// (`arch/x86/include/asm/page_64.h`), one page below the canonical boundary so that SYSRET
/// never sees a non-canonical RCX.
pub const TASK_SIZE: u64 = 0x7FFF_FFFF_F000;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a raw address.
            #[must_use]
            #[inline]
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The raw address.
            #[must_use]
            #[inline]
            pub const fn raw(self) -> u64 {
                self.0
            }

            /// The address `bytes` further on; `None` past the end of the 64-bit space.
            #[must_use]
            #[inline]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }

            /// The start of the page the address lies in.
            #[must_use]
            #[inline]
            pub const fn page_base(self) -> Self {
                Self(self.0 & !(PAGE_SIZE as u64 - 1))
            }

            /// Bytes from the start of its page.
            #[must_use]
            #[inline]
            pub const fn page_offset(self) -> usize {
                crate::num::usize_of(self.0 & (PAGE_SIZE as u64 - 1))
            }

            /// Whether it is a multiple of `align`, a power of two.
            #[must_use]
            #[inline]
            pub const fn is_aligned(self, align: u64) -> bool {
                self.0 & (align - 1) == 0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A physical address.
    PhysAddr
}
address! {
    /// A virtual address of the kernel's half.
    VirtAddr
}
address! {
    /// An address as a program passed it: perhaps null, unmapped, misaligned, non-canonical or
    /// the kernel's.
    UserAddr
}

impl UserAddr {
    /// The null pointer.
    pub const NULL: Self = Self(0);

    /// Whether it is the null pointer.
    #[must_use]
    #[inline]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Whether `len` bytes from here all lie below [`TASK_SIZE`].
    #[must_use]
    #[inline]
    pub const fn range_is_user(self, len: usize) -> bool {
        match self.0.checked_add(len as u64) {
            Some(end) => end <= TASK_SIZE,
            None => false,
        }
    }
}
