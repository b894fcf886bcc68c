//! What the kernel and the vDSO's code agree on: the data page ([vvar]) that the one writes and the
//! other reads, and the hashes by which dynamic linkers find symbols.
//!
//! The page is guarded by a sequence number, odd while it is written: a reader that saw an odd or two
//! different numbers reads again. Every field is a word of 8 bytes. The code is `arch/vdso.S`.

use crate::abi;

/// Offset of the sequence number.
pub const SEQUENCE: usize = 0;
/// Offset of the mode: 0 when programs must ask the kernel, 1 when the TSC tells the time.
pub const MODE: usize = 8;
/// Offset of the TSC's value when time began.
pub const START: usize = 16;
/// Offset of the nanoseconds in a cycle, times 2^32.
pub const SCALE: usize = 24;
/// Offset of `struct timezone`.
pub const ZONE: usize = 32;
/// Offset of what each clock, by its number, shows beyond the nanoseconds since boot.
pub const OFFSETS: usize = 40;
/// How many clocks have an offset.
pub const CLOCKS: usize = 12;

/// Clocks that tell the time of day, a bit for each.
pub const WALL: u32 = 1 << abi::CLOCK_REALTIME | 1 << abi::CLOCK_REALTIME_COARSE;
/// Clocks that move by [`COARSE_NS`].
pub const COARSE: u32 = 1 << abi::CLOCK_REALTIME_COARSE | 1 << abi::CLOCK_MONOTONIC_COARSE;
/// Clocks that the vDSO reads by itself, those that Linux's does: the others enter the kernel.
pub const SERVED: u32 = WALL
    | COARSE
    | 1 << abi::CLOCK_MONOTONIC
    | 1 << abi::CLOCK_MONOTONIC_RAW
    | 1 << abi::CLOCK_BOOTTIME
    | 1 << abi::CLOCK_TAI;
/// What the coarse clocks move by: Linux's tick at 250 Hz.
pub const COARSE_NS: u64 = 4 * crate::time::NS_PER_MS;

/// What clocks show beyond the nanoseconds since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offsets {
    /// The time of day.
    pub wall_ns: u64,
    /// International atomic time beyond that, in seconds.
    pub tai_s: i32,
    /// `struct timezone`: minutes west of Greenwich, and daylight saving.
    pub zone: [i32; 2],
}

impl Offsets {
    /// What International Atomic Time shows beyond the nanoseconds since boot.
    #[must_use]
    pub fn tai_ns(&self) -> u64 {
        let ahead = i64::from(self.tai_s) * crate::time::NS_PER_SEC.cast_signed();
        self.wall_ns.saturating_add_signed(ahead)
    }

    /// The word of clock `id`.
    #[must_use]
    pub fn of_clock(&self, id: u32) -> u64 {
        match id {
            abi::CLOCK_TAI => self.tai_ns(),
            id if id < 32 && WALL & 1 << id != 0 => self.wall_ns,
            _ => 0,
        }
    }

    /// `struct timezone` as a word.
    #[must_use]
    pub fn zone_word(&self) -> u64 {
        let [west, saving] = self.zone.map(|part| u64::from(part.cast_unsigned()));
        west | saving << 32
    }
}

/// The hash of DT_GNU_HASH tables, its lowest bit cleared: set, it marks a chain's end.
#[must_use]
pub const fn gnu_hash(name: &str) -> u32 {
    let mut rest = name.as_bytes();
    let mut hash: u32 = 5381;
    while let [byte, more @ ..] = rest {
        hash = hash.wrapping_mul(33).wrapping_add(*byte as u32);
        rest = more;
    }
    hash & !1
}

/// The hash of version definitions (System V ABI, "Hash Table").
#[must_use]
pub const fn elf_hash(name: &str) -> u32 {
    let mut rest = name.as_bytes();
    let mut hash: u32 = 0;
    while let [byte, more @ ..] = rest {
        hash = (hash << 4).wrapping_add(*byte as u32);
        let high = hash & 0xF000_0000;
        hash = (hash ^ high >> 24) & !high;
        rest = more;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_everybody_knows() {
        // The versions in every vDSO of Linux's, as readers have them built in.
        assert_eq!(elf_hash("LINUX_2.6"), 0x3AE_75F6);
        // From the GNU hash's own description.
        assert_eq!(gnu_hash("printf"), 0x156B_2BB8);
        assert_eq!(gnu_hash(""), 5380);
    }

    #[test]
    fn offsets_by_clock() {
        let offsets = Offsets {
            wall_ns: 5_000_000_000,
            tai_s: 37,
            zone: [-60, 1],
        };
        assert_eq!(offsets.of_clock(abi::CLOCK_REALTIME), 5_000_000_000);
        assert_eq!(offsets.of_clock(abi::CLOCK_REALTIME_COARSE), 5_000_000_000);
        assert_eq!(offsets.of_clock(abi::CLOCK_TAI), 42_000_000_000);
        assert_eq!(offsets.of_clock(abi::CLOCK_MONOTONIC), 0);
        assert_eq!(offsets.of_clock(u32::MAX), 0);
        assert_eq!(offsets.zone_word(), 1 << 32 | 0xFFFF_FFC4);
        assert_eq!(SERVED, 0b1000_1111_0011);
    }
}
