//! Decimal numbers as bytes: what the specification, the record and the names of processes need of them.
//!
//! The standard library's ways know signs, widths and radixes, and come to a thousand instructions where all of
//! this is new, as it is in the shortest job.

use core::fmt::{self, Write};

use crate::num::low8;

/// The number that these digits are: at least one, no sign, not beyond 64 bits.
#[must_use]
#[inline(never)]
pub fn parse(digits: &[u8]) -> Option<u64> {
    let mut number = (!digits.is_empty()).then_some(0u64)?;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    Some(number)
}

/// Writes a number without leading zeros.
///
/// # Errors
/// As `out`.
pub fn write(out: &mut impl Write, value: u64) -> fmt::Result {
    let mut unit = 1;
    while value / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        out.write_char(char::from(b'0' + low8(value / unit % 10)))?;
        unit /= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::{parse, write};

    #[test]
    fn what_isnt_a_number() {
        for text in [
            "",
            "+1",
            "-1",
            "1 ",
            "0x1",
            "18446744073709551616",
            "/",
            ":",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"007"), Some(7));
    }

    proptest! {
        #[test]
        fn there_and_back(value: u64) {
            let mut text = String::new();
            write(&mut text, value).unwrap();
            prop_assert_eq!(&text, &format!("{value}"));
            prop_assert_eq!(parse(text.as_bytes()), Some(value));
        }
    }
}
