//! Strings as strace quotes them: at most 32 bytes, C escapes, octal for what can't be printed.

use alloc::string::String;
use core::fmt::Write;

use super::Memory;
use super::need::SHOWN;
use crate::num::usize_of;

/// Bytes of a path that are shown (`PATH_MAX`, linux/limits.h).
const PATH_SHOWN: usize = 4096;

/// Shows `len` bytes at `address`; false when they can't be read.
pub(super) fn buffer(line: &mut String, address: u64, len: u64, memory: &dyn Memory) -> bool {
    let mut bytes = [0; SHOWN];
    let take = usize_of(len).min(SHOWN);
    let Some(part) = bytes.get_mut(..take) else {
        return false;
    };
    if address == 0 || take > 0 && !memory.read(address, part) {
        return false;
    }
    quote(line, part);
    if usize_of(len) > SHOWN {
        line.push_str("...");
    }
    true
}

/// The same, every byte in hexadecimal, as strace shows what is random.
pub(super) fn hex_buffer(line: &mut String, address: u64, len: u64, memory: &dyn Memory) -> bool {
    let mut bytes = [0; SHOWN];
    let take = usize_of(len).min(SHOWN);
    let Some(part) = bytes.get_mut(..take) else {
        return false;
    };
    if address == 0 || take > 0 && !memory.read(address, part) {
        return false;
    }
    line.push('"');
    for byte in part {
        let _ = write!(line, "\\x{byte:02x}");
    }
    line.push('"');
    if usize_of(len) > SHOWN {
        line.push_str("...");
    }
    true
}

/// Shows the NUL-terminated string at `address`; false when it can't be read.
pub(super) fn c_string(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    if address == 0 {
        return false;
    }
    let mark = line.len();
    line.push('"');
    let mut at = address;
    for _ in 0..PATH_SHOWN {
        let mut byte = [0];
        if !memory.read(at, &mut byte) {
            if at == address {
                line.truncate(mark);
                return false;
            }
            break;
        }
        if byte == [0] {
            line.push('"');
            return true;
        }
        escape(line, byte[0], None);
        at = at.wrapping_add(1);
    }
    line.push_str("\"...");
    true
}

/// Shows `bytes` in quotes.
pub(super) fn quote(line: &mut String, bytes: &[u8]) {
    line.push('"');
    for (index, byte) in bytes.iter().enumerate() {
        escape(line, *byte, bytes.get(index + 1).copied());
    }
    line.push('"');
}

fn escape(line: &mut String, byte: u8, next: Option<u8>) {
    match byte {
        b'"' => line.push_str("\\\""),
        b'\\' => line.push_str("\\\\"),
        b'\n' => line.push_str("\\n"),
        b'\t' => line.push_str("\\t"),
        b'\r' => line.push_str("\\r"),
        0x0B => line.push_str("\\v"),
        0x0C => line.push_str("\\f"),
        b' '..=b'~' => line.push(char::from(byte)),
        // A digit that follows would be read as part of the escape: then all three are written.
        _ if next.is_some_and(|next| next.is_ascii_digit()) => {
            let _ = write!(line, "\\{byte:03o}");
        }
        _ => {
            let _ = write!(line, "\\{byte:o}");
        }
    }
}
