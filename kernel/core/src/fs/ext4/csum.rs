//! Checksums of the format: CRC-32C (Castagnoli, reflected) for `metadata_csum`, and CRC-16 (ARC)
//! for the group descriptors of the older `uninit_bg`.
//!
//! Neither inverts its value at the start or the end: ext4 chains them with seeds of its own.

use spin::Once;

use crate::num::low8;

const POLYNOMIAL: u32 = 0x82F6_3B78;

/// What each value of a byte does to the sum. One table, a KiB: processors that compute the sum
/// themselves ([`use_engine`]) don't need it, and it is loaded at each boot.
static TABLE: [u32; 256] = table();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at build time with loop bounds equal to the array's"
)]
const fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// What computes the same as [`crc32c`], faster.
type Engine = fn(u32, &[u8]) -> u32;

static ENGINE: Once<Engine> = Once::new();

/// Lets `engine`, the processor say, compute [`crc32c`] from now on.
pub fn use_engine(engine: Engine) {
    ENGINE.call_once(|| engine);
}

/// CRC-32C of `bytes`, going on from `crc`.
#[must_use]
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    match ENGINE.get() {
        Some(engine) => engine(crc, bytes),
        None => by_table(crc, bytes),
    }
}

#[expect(clippy::indexing_slicing, reason = "the index is a byte")]
fn by_table(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        let index = usize::from(low8(u64::from(crc)) ^ byte);
        (crc >> 8) ^ TABLE[index]
    })
}

/// CRC-16/ARC of `bytes`, going on from `crc`. Short inputs only, so bit by bit.
#[must_use]
pub(super) fn crc16(mut crc: u16, bytes: &[u8]) -> u16 {
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xA001 & (crc & 1).wrapping_neg());
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xE306_9283);
        assert_eq!(crc16(0, b"123456789"), 0xBB3D);
    }

    #[test]
    fn chains_at_any_cut() {
        let bytes: std::vec::Vec<u8> = (0..100u8).collect();
        for cut in 0..100 {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(crc32c(crc32c(7, a), b), crc32c(7, &bytes));
        }
    }
}
