//! What a processor tells of its caches: CPUID's deterministic cache parameters (Intel SDM, leaf 4; AMD
//! APM volume 3, leaf 8000_001Dh, which has the same form), and the older leaves of AMD's, 8000_0005h
//! and 8000_0006h.

/// What a cache holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Data.
    Data,
    /// Instructions.
    Instruction,
    /// Both.
    Unified,
}

/// A cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cache {
    /// 1 for the one nearest to the processor.
    pub level: u32,
    /// What it holds.
    pub kind: Kind,
    /// Bytes of a line.
    pub line: u32,
    /// Lines that share a tag.
    pub partitions: u32,
    /// Places that a line can be in.
    pub ways: u32,
    /// Sets of such places.
    pub sets: u32,
    /// How many consecutive APIC numbers share it, at most.
    pub sharers: u32,
}

impl Cache {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let [line, partitions, ways, sets] =
            [self.line, self.partitions, self.ways, self.sets].map(u64::from);
        line * partitions * ways * sets
    }

    /// The cache that EAX, EBX and ECX of a subleaf describe; `None` behind the last.
    #[must_use]
    pub fn from_parameters(eax: u32, ebx: u32, ecx: u32) -> Option<Self> {
        let kind = match eax & 0x1F {
            1 => Kind::Data,
            2 => Kind::Instruction,
            3 => Kind::Unified,
            _ => return None,
        };
        Some(Self {
            level: eax >> 5 & 7,
            kind,
            line: (ebx & 0xFFF) + 1,
            partitions: (ebx >> 12 & 0x3FF) + 1,
            ways: (ebx >> 22) + 1,
            sets: ecx.checked_add(1)?,
            sharers: (eax >> 14 & 0xFFF) + 1,
        })
    }

    /// A first-level cache as ECX (data) or EDX (instructions) of leaf 8000_0005h has it.
    #[must_use]
    pub fn from_level_1(word: u32, kind: Kind) -> Option<Self> {
        let (line, ways, kib) = (word & 0xFF, word >> 16 & 0xFF, word >> 24);
        Self::of_size(1, kind, line, ways, kib, 1)
    }

    /// A second-level cache as ECX of leaf 8000_0006h has it.
    #[must_use]
    pub fn from_level_2(word: u32) -> Option<Self> {
        let (line, ways, kib) = (word & 0xFF, associativity(word >> 12 & 0xF), word >> 16);
        Self::of_size(2, Kind::Unified, line, ways, kib, 1)
    }

    /// A third-level cache, shared by `processors`, as EDX of leaf 8000_0006h has it.
    #[must_use]
    pub fn from_level_3(word: u32, processors: u32) -> Option<Self> {
        let (line, ways) = (word & 0xFF, associativity(word >> 12 & 0xF));
        let kib = (word >> 18) * 512;
        Self::of_size(3, Kind::Unified, line, ways, kib, processors)
    }

    fn of_size(
        level: u32,
        kind: Kind,
        line: u32,
        ways: u32,
        kib: u32,
        sharers: u32,
    ) -> Option<Self> {
        let sets = kib
            .checked_mul(1024)?
            .checked_div(line.checked_mul(ways)?)?;
        (sets > 0).then_some(Self {
            level,
            kind,
            line,
            partitions: 1,
            ways,
            sets,
            sharers,
        })
    }
}

/// What the four bits for it mean; fully associative ones have as many ways as Linux says, too.
const fn associativity(code: u32) -> u32 {
    match code {
        1 => 1,
        2 => 2,
        4 => 4,
        6 => 8,
        8 => 16,
        0xA => 32,
        0xB => 48,
        0xC => 64,
        0xD => 96,
        0xE => 128,
        0xF => 0xFFFF,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_parameters() {
        // A first-level data cache of 32 KiB, 8 ways of 64 sets with lines of 64 bytes.
        let cache = Cache::from_parameters(0x0000_4121, 0x01C0_003F, 0x3F).unwrap();
        assert_eq!((cache.level, cache.kind), (1, Kind::Data));
        assert_eq!((cache.line, cache.ways, cache.sets), (64, 8, 64));
        assert_eq!((cache.size(), cache.sharers), (32 * 1024, 2));
        assert_eq!(Cache::from_parameters(0, 0, 0), None);
        assert_eq!(Cache::from_parameters(3, 0, u32::MAX), None);
    }

    #[test]
    fn older_leaves() {
        // QEMU's: 64 KiB in 2 ways, 512 KiB in 16, 16 MiB in 16.
        let first = Cache::from_level_1(0x4002_0140, Kind::Instruction).unwrap();
        assert_eq!((first.size(), first.ways, first.sets), (65_536, 2, 512));
        let second = Cache::from_level_2(0x0200_8140).unwrap();
        assert_eq!((second.size(), second.ways), (524_288, 16));
        let third = Cache::from_level_3(0x0080_8140, 4).unwrap();
        assert_eq!((third.size(), third.sharers), (16 << 20, 4));
        for nothing in [0, 0xF000, 0xFF00_0000] {
            assert_eq!(Cache::from_level_1(nothing, Kind::Data), None);
            assert_eq!(Cache::from_level_2(nothing), None);
            assert_eq!(Cache::from_level_3(nothing, 1), None);
        }
    }
}
