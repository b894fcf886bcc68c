//! Checksums of the format: CRC-32C (Castagnoli, reflected) for `metadata_csum`, and CRC-16 (ARC)
//! for the group descriptors of the older `uninit_bg`.
//!
//! Neither inverts its value at the start or the end: ext4 chains them with seeds of its own.

use spin::Once;

use crate::num::low8;

const POLYNOMIAL: u32 = 0x82F6_3B78;

/// `TABLES[k][b]`: the effect of byte `b` followed by `k` zero bytes ("slicing by eight").
static TABLES: [[u32; 256]; 8] = tables();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::large_stack_arrays,
    reason = "evaluated at build time with loop bounds equal to the array's"
)]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut slice = 1;
    while slice < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

#[expect(
    clippy::indexing_slicing,
    reason = "the slice number is a literal below 8 and the index a byte"
)]
#[inline]
fn table(slice: usize, word: u32, shift: u32) -> u32 {
    TABLES[slice][usize::from(low8(u64::from(word >> shift)))]
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
        None => by_tables(crc, bytes),
    }
}

fn by_tables(mut crc: u32, bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in chunks {
        let low = crc ^ u32::from_le_bytes([*a, *b, *c, *d]);
        let high = u32::from_le_bytes([*e, *f, *g, *h]);
        crc = table(7, low, 0)
            ^ table(6, low, 8)
            ^ table(5, low, 16)
            ^ table(4, low, 24)
            ^ table(3, high, 0)
            ^ table(2, high, 8)
            ^ table(1, high, 16)
            ^ table(0, high, 24);
    }
    for byte in rest {
        crc = (crc >> 8) ^ table(0, crc ^ u32::from(*byte), 0);
    }
    crc
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
