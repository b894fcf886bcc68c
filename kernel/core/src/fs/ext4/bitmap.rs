//! Bits of the on-disk bitmaps: bit n is bit n % 8 of byte n / 8. Searched by 64-bit words.

use super::error::{Error, Result};
use crate::num::{low32, u64_of, usize_of32};

const SHORT: Error = Error::Corrupt("bitmap that ends early");

pub(super) fn is_set(bytes: &[u8], bit: u32) -> Result<bool> {
    let byte = bytes.get(usize_of32(bit / 8)).ok_or(SHORT)?;
    Ok(byte >> (bit % 8) & 1 != 0)
}

/// Sets `count` bits from `start` on.
pub(super) fn set(bytes: &mut [u8], start: u32, count: u32) -> Result<()> {
    fill(bytes, start, count, true)
}

/// Clears `count` bits from `start` on.
pub(super) fn clear(bytes: &mut [u8], start: u32, count: u32) -> Result<()> {
    fill(bytes, start, count, false)
}

fn fill(bytes: &mut [u8], start: u32, count: u32, value: bool) -> Result<()> {
    let end = start.checked_add(count).ok_or(SHORT)?;
    let mut bit = start;
    while bit < end {
        let byte = bytes.get_mut(usize_of32(bit / 8)).ok_or(SHORT)?;
        let upto = (bit / 8 + 1).saturating_mul(8).min(end);
        let width = upto - bit;
        let mask = (0xFFu8 >> (8 - width)) << (bit % 8);
        if value {
            *byte |= mask;
        } else {
            *byte &= !mask;
        }
        bit = upto;
    }
    Ok(())
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let at = index * 8;
    let rest = bytes.get(at..).unwrap_or(&[]);
    match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let mut chunk = [0u8; 8];
            for (to, from) in chunk.iter_mut().zip(rest) {
                *to = *from;
            }
            u64::from_le_bytes(chunk)
        }
    }
}

/// The first bit at or after `from` and before `end` that is `value`.
pub(super) fn find(bytes: &[u8], from: u32, end: u32, value: bool) -> Option<u32> {
    let flip = if value { 0 } else { u64::MAX };
    let mut index = from / 64;
    let mut mask = u64::MAX << (from % 64);
    while u64::from(index) * 64 < u64::from(end) {
        let found = (word(bytes, usize_of32(index)) ^ flip) & mask;
        if found != 0 {
            let bit = index * 64 + found.trailing_zeros();
            return (bit < end).then_some(bit);
        }
        mask = u64::MAX;
        index += 1;
    }
    None
}

pub(super) fn first_clear(bytes: &[u8], from: u32, end: u32) -> Option<u32> {
    find(bytes, from, end.min(bits(bytes)), false)
}

/// The number of clear bits from `start` on, at most up to `end`.
pub(super) fn clear_run(bytes: &[u8], start: u32, end: u32) -> u32 {
    let end = end.min(bits(bytes));
    let stop = find(bytes, start, end, true).unwrap_or(end);
    stop.saturating_sub(start)
}

fn bits(bytes: &[u8]) -> u32 {
    low32(u64_of(bytes.len())).saturating_mul(8)
}

/// The first run of at least `want` clear bits in `from..end`, cut to `want`; else the longest.
pub(super) fn best_run(bytes: &[u8], from: u32, end: u32, want: u32) -> Option<(u32, u32)> {
    let mut best: Option<(u32, u32)> = None;
    let mut at = from;
    while let Some(start) = first_clear(bytes, at, end) {
        let length = clear_run(bytes, start, end);
        if length >= want {
            return Some((start, want));
        }
        if best.is_none_or(|(_, most)| length > most) {
            best = Some((start, length));
        }
        at = start + length;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_plain_search(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(0xFF), any::<u8>()], 1..40),
            from in 0u32..300, want in 1u32..40,
        ) {
            let end = bytes.len() as u32 * 8;
            let clear = |bit: u32| bytes[bit as usize / 8] >> (bit % 8) & 1 == 0;
            let first = (from..end).find(|bit| clear(*bit));
            prop_assert_eq!(first_clear(&bytes, from, end), first);
            if let Some(first) = first {
                let run = (first..end).take_while(|bit| clear(*bit)).count() as u32;
                prop_assert_eq!(clear_run(&bytes, first, end), run);
            }
            let best = best_run(&bytes, from, end, want);
            prop_assert_eq!(best.is_some(), first.is_some());
            if let Some((start, length)) = best {
                prop_assert!((start..start + length).all(clear));
                prop_assert!(length <= want);
            }
        }

        #[test]
        fn sets_and_clears_exactly(start in 0u32..200, count in 0u32..120) {
            let mut bytes = [0u8; 40];
            set(&mut bytes, start, count).unwrap();
            for bit in 0..320 {
                let inside = (start..start + count).contains(&bit);
                prop_assert_eq!(is_set(&bytes, bit).unwrap(), inside);
            }
            clear(&mut bytes, start, count).unwrap();
            prop_assert_eq!(bytes, [0u8; 40]);
        }
    }

    #[test]
    fn refuses_bits_beyond_the_end() {
        assert!(set(&mut [0; 4], 30, 3).is_err());
        assert!(is_set(&[0; 4], 32).is_err());
    }
}
