//! NUMA memory policies on a machine with one node (`mm/mempolicy.c`): what `set_mempolicy`, `mbind`
//! and their kin accept, remember and answer. Where memory comes from they don't change.

use crate::errno::Errno;

/// Most nodes that Linux is built for (`CONFIG_NODES_SHIFT` of 10).
pub const MAX_NODES: u64 = 1024;
/// Most bits that a list of nodes may have: a page of them.
const MAX_BITS: u64 = 8 * 4096;

/// `MPOL_F_STATIC_NODES`, `MPOL_F_RELATIVE_NODES`, `MPOL_F_NUMA_BALANCING` (linux/mempolicy.h).
const STATIC: u32 = 1 << 15;
const RELATIVE: u32 = 1 << 14;
const BALANCING: u32 = 1 << 13;

/// What a policy prefers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Mode {
    /// `MPOL_DEFAULT`
    #[default]
    Default,
    /// `MPOL_PREFERRED`
    Preferred,
    /// `MPOL_BIND`
    Bind,
    /// `MPOL_INTERLEAVE`
    Interleave,
    /// `MPOL_LOCAL`
    Local,
    /// `MPOL_PREFERRED_MANY`
    PreferredMany,
}

const MODES: [Mode; 6] = [
    Mode::Default,
    Mode::Preferred,
    Mode::Bind,
    Mode::Interleave,
    Mode::Local,
    Mode::PreferredMany,
];

/// A policy. Its nodes are node 0, for a mode that has nodes at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    mode: Mode,
    /// `MPOL_F_*_NODES`, `MPOL_F_NUMA_BALANCING`: three bits from [`BALANCING`] on.
    flags: u8,
    /// The nodes as the program named them, which flags of nodes keep: node 0 was among them.
    named: bool,
}

/// A list of nodes, as a program gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Nodes {
    /// Node 0 is in it.
    pub first: bool,
    /// Another one is.
    pub others: bool,
}

impl Nodes {
    fn is_empty(self) -> bool {
        !self.first && !self.others
    }
}

/// How many words a list has that is said to have `bits` bits, one too many as Linux counts, and how
/// many bits of the last one count; 0 words for an empty list.
///
/// # Errors
/// `EINVAL`.
pub fn list_words(bits: u64) -> Result<(u64, u32), Errno> {
    let bits = bits.wrapping_sub(1);
    if bits == 0 {
        return Ok((0, 0));
    }
    if bits > MAX_BITS {
        return Err(Errno::EINVAL);
    }
    let last = crate::num::low32(bits % 64);
    Ok((bits.div_ceil(64), if last == 0 { 64 } else { last }))
}

impl Policy {
    /// Checks mode and flags as a program gives them, before its nodes are looked at.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn parse(mode: u32) -> Result<(Mode, u8), Errno> {
        let flags = mode & (STATIC | RELATIVE | BALANCING);
        let number = crate::num::usize_of32(mode & !flags);
        let mode = MODES.get(number).copied().ok_or(Errno::EINVAL)?;
        let both = flags & STATIC != 0 && flags & RELATIVE != 0;
        if both || (flags & BALANCING != 0 && mode != Mode::Bind) {
            return Err(Errno::EINVAL);
        }
        Ok((mode, crate::num::low8(u64::from(flags / BALANCING))))
    }

    /// The policy of these parts.
    ///
    /// # Errors
    /// `EINVAL`: too many or too few nodes, or none that is there.
    pub fn new(mode: Mode, flags: u8, nodes: Nodes) -> Result<Self, Errno> {
        let node_flags = (u32::from(flags) * BALANCING) & (STATIC | RELATIVE);
        let policy = |mode| Self {
            mode,
            flags,
            named: nodes.first,
        };
        match mode {
            Mode::Default if nodes.is_empty() => return Ok(Self::default()),
            Mode::Local | Mode::Preferred if nodes.is_empty() && node_flags == 0 => {
                return Ok(policy(Mode::Local));
            }
            Mode::Default | Mode::Local => return Err(Errno::EINVAL),
            _ => {}
        }
        // Relative nodes are folded onto those that are there.
        let there = nodes.first || (node_flags & RELATIVE != 0 && nodes.others);
        if there {
            Ok(policy(mode))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Its mode and flags, as `get_mempolicy` tells them.
    #[must_use]
    pub fn word(self) -> u32 {
        u32::from(self.mode as u8) | (u32::from(self.flags) * BALANCING)
    }

    /// Its mode.
    #[must_use]
    pub fn mode(self) -> Mode {
        self.mode
    }

    /// Whether node 0 is among the nodes that `get_mempolicy` tells.
    #[must_use]
    pub fn has_node(self) -> bool {
        match self.mode {
            Mode::Default | Mode::Local => false,
            _ => self.named || self.word() & (STATIC | RELATIVE) == 0,
        }
    }

    /// Seven bits that [`unpack`](Self::unpack) makes it again of.
    #[must_use]
    pub fn pack(self) -> u8 {
        self.mode as u8 | (self.flags << 3) | (u8::from(self.named) << 6)
    }

    /// The policy of these bits.
    #[must_use]
    pub fn unpack(bits: u8) -> Self {
        let mode = MODES.get(usize::from(bits & 7)).copied();
        Self {
            mode: mode.unwrap_or_default(),
            flags: (bits >> 3) & 7,
            named: (bits >> 6) & 1 != 0,
        }
    }

    /// What `numa_maps` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let flag = self.word() & (STATIC | RELATIVE);
        let names = match self.mode {
            Mode::Default => ["default"; 3],
            Mode::Local => ["local"; 3],
            Mode::Preferred => ["prefer:0", "prefer=static:0", "prefer=relative:0"],
            Mode::Bind => ["bind:0", "bind=static:0", "bind=relative:0"],
            Mode::Interleave => [
                "interleave:0",
                "interleave=static:0",
                "interleave=relative:0",
            ],
            Mode::PreferredMany => [
                "prefer (many):0",
                "prefer (many)=static:0",
                "prefer (many)=relative:0",
            ],
        };
        let [plain, fixed, relative] = names;
        match flag {
            STATIC => fixed,
            RELATIVE => relative,
            _ => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Nodes = Nodes {
        first: false,
        others: false,
    };
    const ZERO: Nodes = Nodes {
        first: true,
        others: false,
    };
    const TWO: Nodes = Nodes {
        first: false,
        others: true,
    };

    fn make(word: u32, nodes: Nodes) -> Result<u32, Errno> {
        let (mode, flags) = Policy::parse(word)?;
        let policy = Policy::new(mode, flags, nodes)?;
        assert_eq!(Policy::unpack(policy.pack()), policy);
        Ok(policy.word())
    }

    #[test]
    fn as_linux_takes_them() {
        for mode in [1, 2, 3, 5] {
            assert_eq!(make(mode, ZERO), Ok(mode));
            assert_eq!(make(mode, TWO), Err(Errno::EINVAL));
            assert_eq!(make(mode | RELATIVE, TWO), Ok(mode | RELATIVE));
        }
        assert_eq!((make(0, NONE), make(0, ZERO)), (Ok(0), Err(Errno::EINVAL)));
        assert_eq!((make(1, NONE), make(4, NONE)), (Ok(4), Ok(4)));
        assert_eq!(make(4, ZERO), Err(Errno::EINVAL));
        assert_eq!(make(1 | STATIC, NONE), Err(Errno::EINVAL));
        assert_eq!(make(2, NONE), Err(Errno::EINVAL));
        assert_eq!(make(6, ZERO), Err(Errno::EINVAL));
        assert_eq!(make(2 | STATIC | RELATIVE, ZERO), Err(Errno::EINVAL));
        assert_eq!(make(3 | BALANCING, ZERO), Err(Errno::EINVAL));
        assert_eq!(make(2 | BALANCING, ZERO), Ok(2 | BALANCING));
    }

    #[test]
    fn lists_have_a_bit_less_than_they_say() {
        assert_eq!(list_words(0), Err(Errno::EINVAL));
        assert_eq!(list_words(1), Ok((0, 0)));
        assert_eq!(list_words(2), Ok((1, 1)));
        assert_eq!(list_words(65), Ok((1, 64)));
        assert_eq!(list_words(66), Ok((2, 1)));
        assert_eq!(list_words(MAX_BITS + 2), Err(Errno::EINVAL));
    }
}
