//! CRC-32C by the processor's own instruction (Intel SDM volume 2, CRC32), which file systems use where it is there.

use core::arch::asm;

use super::features::{Features, features};
use kiln_core::num::low32;

/// What computes it, if the CPU can: of some bytes, going on from a value, without inverting either.
pub(crate) fn crc32c() -> Option<fn(u32, &[u8]) -> u32> {
    features().contains(Features::SSE4_2).then_some(compute)
}

fn compute(crc: u32, bytes: &[u8]) -> u32 {
    let (lines, rest) = bytes.as_chunks::<64>();
    let (words, rest) = rest.as_chunks::<8>();
    let mut crc = u64::from(crc);
    for line in lines {
        // SAFETY: the instruction is there ([`crc32c`]), and works on general registers and the line's 64 bytes alone.
        unsafe {
            asm!(
                "crc32 {crc}, qword ptr [{line}]",
                "crc32 {crc}, qword ptr [{line} + 8]",
                "crc32 {crc}, qword ptr [{line} + 16]",
                "crc32 {crc}, qword ptr [{line} + 24]",
                "crc32 {crc}, qword ptr [{line} + 32]",
                "crc32 {crc}, qword ptr [{line} + 40]",
                "crc32 {crc}, qword ptr [{line} + 48]",
                "crc32 {crc}, qword ptr [{line} + 56]",
                crc = inout(reg) crc, line = in(reg) line.as_ptr(),
                options(pure, readonly, nostack, preserves_flags));
        }
    }
    for word in words {
        let word = u64::from_le_bytes(*word);
        // SAFETY: as above, on registers.
        unsafe {
            asm!("crc32 {crc}, {word}", crc = inout(reg) crc, word = in(reg) word,
                options(pure, nomem, nostack, preserves_flags));
        }
    }
    for byte in rest {
        // SAFETY: as above.
        unsafe {
            asm!("crc32 {crc:e}, {byte}", crc = inout(reg) crc, byte = in(reg_byte) *byte,
                options(pure, nomem, nostack, preserves_flags));
        }
    }
    low32(crc)
}
