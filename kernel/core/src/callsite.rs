//! Return addresses among other words: [`follows_call`].
//!
//! The kernel keeps no frame pointers, so what looks at its stack after a failure sees words only. A word that
//! points behind a CALL may be a return address. Whether it is one, or was left by a call that ended, the launcher
//! finds out from the ELF's unwind tables.

/// Bytes before an address that [`follows_call`] looks at: the longest near CALL without prefixes.
pub const LONGEST: usize = 7;

/// Whether the bytes before an address end in a near CALL (Intel SDM volume 2, "CALL": E8 with 32 bits of
/// displacement, or FF /2 with a register or memory operand).
#[must_use]
pub fn follows_call(before: &[u8; LONGEST]) -> bool {
    let [_, _, relative, ..] = *before;
    relative == 0xE8
        || before.windows(2).enumerate().any(|(at, pair)| {
            matches!(*pair, [0xFF, modrm] if modrm >> 3 & 7 == 2)
                && before.get(at + 1..).and_then(operand_len) == Some(LONGEST - at - 1)
        })
}

/// Bytes of a ModRM operand with its SIB byte and displacement (Intel SDM volume 2, tables 2-2 and 2-3).
fn operand_len(bytes: &[u8]) -> Option<usize> {
    let modrm = *bytes.first()?;
    let sib = usize::from(modrm & 7 == 4);
    Some(match modrm >> 6 {
        0 if modrm & 7 == 5 => 5,
        0 if sib == 1 && bytes.get(1)? & 7 == 5 => 6,
        0 => 1 + sib,
        1 => 2 + sib,
        2 => 5 + sib,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_in(tail: &[u8]) -> bool {
        let mut bytes = [0x90; LONGEST];
        bytes[LONGEST - tail.len()..].copy_from_slice(tail);
        follows_call(&bytes)
    }

    #[test]
    fn every_form_of_a_near_call_counts() {
        let calls: [&[u8]; 9] = [
            &[0xE8, 1, 2, 3, 4],                // call rel32
            &[0xFF, 0xD0],                      // call rax
            &[0xFF, 0x10],                      // call [rax]
            &[0xFF, 0x50, 0x18],                // call [rax + 24]
            &[0xFF, 0x14, 0x24],                // call [rsp]
            &[0xFF, 0x54, 0x24, 0x08],          // call [rsp + 8]
            &[0xFF, 0x15, 0, 0, 0, 0],          // call [rip + 0]
            &[0xFF, 0x94, 0x24, 0, 1, 0, 0],    // call [rsp + 256]
            &[0xFF, 0x14, 0xC5, 0, 0, 0, 0x80], // call [rax * 8 - 0x80000000]
        ];
        for call in calls {
            assert!(ends_in(call), "{call:x?}");
        }
    }

    #[test]
    fn nothing_else_does() {
        let others: [&[u8]; 7] = [
            &[0x90],
            &[0xE9, 1, 2, 3, 4], // jmp rel32
            &[0xFF, 0xE0],       // jmp rax
            &[0xFF, 0xD0, 0x90], // a call, and one more instruction
            &[0xFF, 0x50],       // cut off
            &[0xE8, 1, 2, 3],
            &[0xFF, 0x14, 0xC5, 0, 0],
        ];
        for other in others {
            assert!(!ends_in(other), "{other:x?}");
        }
    }
}
