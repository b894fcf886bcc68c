//! Capabilities ([`CapSet`], [`Caps`]) and the securebits that rule them: capset(2), and prctl(2) where it is
//! about either (capabilities(7)).

use super::Credentials;
use crate::abi;
use crate::errno::Errno;

/// A set of capabilities; bit n is capability n.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CapSet(u64);

impl CapSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// All that exist.
    pub const FULL: Self = Self((1 << (abi::CAP_LAST_CAP + 1)) - 1);
    /// Those that go with the file system user id (linux/capability.h, `CAP_FS_SET`).
    pub(super) const FS: Self = Self(
        1 << abi::CAP_CHOWN
            | 1 << abi::CAP_MKNOD
            | 1 << abi::CAP_DAC_OVERRIDE
            | 1 << abi::CAP_DAC_READ_SEARCH
            | 1 << abi::CAP_FOWNER
            | 1 << abi::CAP_FSETID
            | 1 << abi::CAP_LINUX_IMMUTABLE
            | 1 << abi::CAP_MAC_OVERRIDE,
    );

    /// The set with these bits; those of capabilities that don't exist are dropped.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::FULL.0)
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the capability is in it.
    #[must_use]
    pub const fn contains(self, cap: u32) -> bool {
        cap <= abi::CAP_LAST_CAP && self.0 & (1 << cap) != 0
    }

    /// With the capability.
    #[must_use]
    pub const fn with(self, cap: u32) -> Self {
        Self(
            self.0
                | if cap <= abi::CAP_LAST_CAP {
                    1 << cap
                } else {
                    0
                },
        )
    }

    /// Without the capability.
    #[must_use]
    pub const fn without(self, cap: u32) -> Self {
        Self(
            self.0
                & !(if cap <= abi::CAP_LAST_CAP {
                    1 << cap
                } else {
                    0
                }),
        )
    }

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// The five capability sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caps {
    /// What counts in checks.
    pub effective: CapSet,
    /// What may be made effective.
    pub permitted: CapSet,
    /// What exec of a file with capabilities may pass on.
    pub inheritable: CapSet,
    /// What exec can never go beyond.
    pub bounding: CapSet,
    /// What exec of a file without capabilities passes on.
    pub ambient: CapSet,
}

/// A file's capabilities: its extended attribute `security.capability`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileCaps {
    /// What the program gets within the bounding set.
    pub permitted: CapSet,
    /// What it may keep of the caller's inheritable set.
    pub inheritable: CapSet,
    /// What it gets is effective at once.
    pub effective: bool,
}

impl FileCaps {
    /// Reads the attribute's value, `struct vfs_ns_cap_data` (linux/capability.h) or one of its older, shorter
    /// forms. `None` where it isn't one, or is for another user namespace's root.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let word = |at: usize| -> u64 {
            let bytes = value.get(at * 4..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes).into())
        };
        let head = word(0);
        let (len, high) = match head >> 24 {
            1 => (12, 0),
            2 => (20, u64::MAX),
            3 if word(5) == 0 => (24, u64::MAX),
            _ => return None,
        };
        let set = |at| CapSet::from_bits(word(at) | word(at + 2) << 32 & high);
        (value.len() == len).then(|| Self {
            permitted: set(1),
            inheritable: set(2),
            effective: head & 1 != 0,
        })
    }
}

// `SECBIT_*` (linux/securebits.h).
pub(super) const NOROOT: u32 = 1;
pub(super) const NO_SETUID_FIXUP: u32 = 1 << 2;
pub(super) const KEEP_CAPS: u32 = 1 << 4;
const NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
const LOCKS: u32 = 0xAA;
const ALL_SECUREBITS: u32 = 0xFF;

impl Credentials {
    /// capset(2).
    ///
    /// # Errors
    /// `EPERM` when a set goes beyond what it may.
    pub fn set_caps(
        &mut self,
        effective: CapSet,
        permitted: CapSet,
        inheritable: CapSet,
    ) -> Result<(), Errno> {
        let old = &self.caps;
        let inherits = self.has(abi::CAP_SETPCAP)
            || inheritable.is_within(old.inheritable.union(old.permitted));
        if !inherits
            || !inheritable.is_within(old.inheritable.union(old.bounding))
            || !permitted.is_within(old.permitted)
            || !effective.is_within(permitted)
        {
            return Err(Errno::EPERM);
        }
        self.caps = Caps {
            effective,
            permitted,
            inheritable,
            bounding: old.bounding,
            ambient: old
                .ambient
                .intersection(permitted)
                .intersection(inheritable),
        };
        Ok(())
    }

    /// `PR_CAPBSET_DROP`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETPCAP`, `EINVAL` for a capability that doesn't exist.
    pub fn drop_bounding(&mut self, cap: u32) -> Result<(), Errno> {
        if !self.has(abi::CAP_SETPCAP) {
            return Err(Errno::EPERM);
        }
        if cap > abi::CAP_LAST_CAP {
            return Err(Errno::EINVAL);
        }
        self.caps.bounding = self.caps.bounding.without(cap);
        Ok(())
    }

    /// `PR_CAP_AMBIENT_RAISE`.
    ///
    /// # Errors
    /// `EPERM` when it is not both permitted and inheritable, or securebits forbid it.
    pub fn raise_ambient(&mut self, cap: u32) -> Result<(), Errno> {
        let caps = &mut self.caps;
        let held = caps.permitted.contains(cap) && caps.inheritable.contains(cap);
        if !held || self.securebits & NO_CAP_AMBIENT_RAISE != 0 {
            return Err(Errno::EPERM);
        }
        caps.ambient = caps.ambient.with(cap);
        Ok(())
    }

    /// `PR_SET_KEEPCAPS`.
    ///
    /// # Errors
    /// `EPERM` when that bit is locked.
    pub fn set_keep_caps(&mut self, keep: bool) -> Result<(), Errno> {
        if self.securebits & (KEEP_CAPS << 1) != 0 {
            return Err(Errno::EPERM);
        }
        self.securebits = self.securebits & !KEEP_CAPS | if keep { KEEP_CAPS } else { 0 };
        Ok(())
    }

    /// Whether `PR_SET_KEEPCAPS` is on.
    #[must_use]
    pub const fn keeps_caps(&self) -> bool {
        self.securebits & KEEP_CAPS != 0
    }

    /// `PR_SET_SECUREBITS`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETPCAP`, for locked or unknown bits.
    pub fn set_securebits(&mut self, bits: u32) -> Result<(), Errno> {
        let locked = (self.securebits & LOCKS) >> 1;
        let changes = (self.securebits ^ bits) & locked;
        let unlocks = self.securebits & LOCKS & !bits;
        let allowed = self.has(abi::CAP_SETPCAP);
        if changes != 0 || unlocks != 0 || bits & !ALL_SECUREBITS != 0 || !allowed {
            return Err(Errno::EPERM);
        }
        self.securebits = bits;
        Ok(())
    }
}
