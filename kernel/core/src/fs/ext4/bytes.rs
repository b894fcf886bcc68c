//! Little-endian fields of on-disk structures: every access checked, none can panic.

use super::error::{Error, Result};
use core::ops::Range;

const SHORT: Error = Error::Corrupt("structure that ends early");

pub(super) fn part(bytes: &[u8], range: Range<usize>) -> Result<&[u8]> {
    bytes.get(range).ok_or(SHORT)
}

pub(super) fn part_mut(bytes: &mut [u8], range: Range<usize>) -> Result<&mut [u8]> {
    bytes.get_mut(range).ok_or(SHORT)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or(SHORT)
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) -> Result<()> {
    *bytes
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<N>())
        .ok_or(SHORT)? = value;
    Ok(())
}

pub(super) fn get8(bytes: &[u8], at: usize) -> Result<u8> {
    bytes.get(at).copied().ok_or(SHORT)
}

pub(super) fn get16(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn get32(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn put8(bytes: &mut [u8], at: usize, value: u8) -> Result<()> {
    put(bytes, at, [value])
}

pub(super) fn put16(bytes: &mut [u8], at: usize, value: u16) -> Result<()> {
    put(bytes, at, value.to_le_bytes())
}

pub(super) fn put32(bytes: &mut [u8], at: usize, value: u32) -> Result<()> {
    put(bytes, at, value.to_le_bytes())
}

/// Copies `from` to the start of the bytes at `at`.
pub(super) fn put_slice(bytes: &mut [u8], at: usize, from: &[u8]) -> Result<()> {
    part_mut(bytes, at..at.saturating_add(from.len()))?.copy_from_slice(from);
    Ok(())
}

/// Big-endian, as JBD2 writes its structures.
pub(super) fn be16(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

pub(super) fn be64(bytes: &[u8], at: usize) -> Result<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}
