//! Port I/O.
//!
//! Under virtualisation each access leaves the guest and costs microseconds, so bytes go out in
//! one `rep outsb` where a device takes them that way.

use core::arch::asm;

/// Writes a byte.
pub(crate) fn write_u8(port: u16, value: u8) {
    // SAFETY: `out` touches no memory. Which ports exist is this kernel's own knowledge; the
    // devices behind them that could reach memory (DMA) get their addresses from `mm::dma`.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
    };
}

/// Writes a 16-bit word.
pub(crate) fn write_u16(port: u16, value: u16) {
    // SAFETY: as in `write_u8`.
    unsafe {
        asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags))
    };
}

/// Writes a 32-bit word.
pub(crate) fn write_u32(port: u16, value: u32) {
    // SAFETY: as in `write_u8`. Not `nomem`: a 32-bit write may start a device's DMA, which sees
    // what was stored before it.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
    };
}

/// Reads a byte.
pub(crate) fn read_u8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: as in `write_u8`.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Writes all of `bytes` to one port, one after the other.
pub(crate) fn write_bytes(port: u16, bytes: &[u8]) {
    // SAFETY: `rep outsb` reads exactly the slice (the direction flag is clear in all Rust code).
    unsafe {
        asm!(
            "rep outsb",
            in("dx") port,
            inout("rsi") bytes.as_ptr() => _,
            inout("rcx") bytes.len() => _,
            options(readonly, nostack, preserves_flags),
        );
    }
}
