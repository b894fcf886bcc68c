//! Number conversions that lose nothing, or say by their name what they drop.
//!
//! Kiln is 64-bit only, so `usize` and `u64` convert freely; the assertion below makes that
//! assumption part of the build. Everything else is `try_from`, or a function here whose name
//! tells which bits are kept.

const _: () = assert!(
    size_of::<usize>() == size_of::<u64>(),
    "Kiln is 64-bit only"
);

/// `u64` to `usize`: exact, see the assertion above.
#[expect(
    clippy::cast_possible_truncation,
    reason = "usize is 64 bits wide: asserted above"
)]
#[must_use]
#[inline]
pub const fn usize_of(value: u64) -> usize {
    value as usize
}

/// `usize` to `u64`: exact, see the assertion above.
#[must_use]
#[inline]
pub const fn u64_of(value: usize) -> u64 {
    value as u64
}

/// `u32` to `usize`: exact.
#[must_use]
#[inline]
pub const fn usize_of32(value: u32) -> usize {
    value as usize
}

/// The low 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "keeping the low bits is the purpose"
)]
#[must_use]
#[inline]
pub const fn low32(value: u64) -> u32 {
    value as u32
}

/// The low 64 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "keeping the low bits is the purpose"
)]
#[must_use]
#[inline]
pub const fn low64(value: u128) -> u64 {
    value as u64
}

/// Bits 32..64.
#[must_use]
#[inline]
pub const fn high32(value: u64) -> u32 {
    low32(value >> 32)
}

/// The low 16 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "keeping the low bits is the purpose"
)]
#[must_use]
#[inline]
pub const fn low16(value: u64) -> u16 {
    value as u16
}

/// The low 8 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "keeping the low bits is the purpose"
)]
#[must_use]
#[inline]
pub const fn low8(value: u64) -> u8 {
    value as u8
}

/// The low 32 bits read as an `int`, as Linux takes an `int` argument from a 64-bit register.
#[must_use]
#[inline]
pub const fn int_arg(value: u64) -> i32 {
    low32(value).cast_signed()
}

/// `value` rounded up to a multiple of `align` (a power of two); `None` on overflow.
#[must_use]
#[inline]
pub const fn align_up(value: u64, align: u64) -> Option<u64> {
    match value.checked_add(align - 1) {
        Some(sum) => Some(sum & !(align - 1)),
        None => None,
    }
}

/// `value` rounded down to a multiple of `align` (a power of two).
#[must_use]
#[inline]
pub const fn align_down(value: u64, align: u64) -> u64 {
    value & !(align - 1)
}
