//! What is written to the files of a control group, read as Linux reads it
//! (Documentation/admin-guide/cgroup-v2.rst).

use crate::decimal;
use crate::errno::Errno;

/// The controllers there are, as bits of [`Change`]: `pids`.
pub const PIDS: u32 = 1;

/// Every controller's name and bit.
pub const CONTROLLERS: [(&str, u32); 1] = [("pids", PIDS)];

/// What stands for no limit.
pub const MAX: u64 = u64::MAX;

/// Controllers that `cgroup.subtree_control` is to turn on and off.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Change {
    pub enable: u32,
    pub disable: u32,
}

/// The text without white space around it.
#[must_use]
pub fn strip(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// A number from 0 on.
///
/// # Errors
/// `EINVAL`; `ERANGE` for one above `most`, and for a negative one.
pub fn number(text: &[u8], most: u64) -> Result<u64, Errno> {
    let text = strip(text);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let value = decimal::parse(digits).ok_or(Errno::EINVAL)?;
    if value > most || digits.len() < text.len() {
        return Err(Errno::ERANGE);
    }
    Ok(value)
}

/// A limit: a number, or `max`, which is [`MAX`].
///
/// # Errors
/// As for [`number`].
pub fn limit(text: &[u8], most: u64) -> Result<u64, Errno> {
    match strip(text) {
        b"max" => Ok(MAX),
        text => number(text, most),
    }
}

/// A switch.
///
/// # Errors
/// `EINVAL` for what isn't a number, `ERANGE` for one that isn't 0 or 1.
pub fn switch(text: &[u8]) -> Result<bool, Errno> {
    number(text, 1).map(|value| value == 1)
}

/// The words of `cgroup.subtree_control`: `+NAME` and `-NAME`; of one name the last counts.
///
/// # Errors
/// `EINVAL` for other words.
pub fn controls(text: &[u8]) -> Result<Change, Errno> {
    let mut change = Change::default();
    for word in strip(text).split(|byte| *byte == b' ') {
        let (sign, name) = match word.split_first() {
            Some(parts) => parts,
            None => continue,
        };
        let known = CONTROLLERS.iter().find(|known| known.0.as_bytes() == name);
        let (_, bit) = known.ok_or(Errno::EINVAL)?;
        match sign {
            b'+' => (change.enable, change.disable) = (change.enable | bit, change.disable & !bit),
            b'-' => (change.enable, change.disable) = (change.enable & !bit, change.disable | bit),
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let change = |enable, disable| Ok(Change { enable, disable });
        assert_eq!(controls(b"+pids\n"), change(PIDS, 0));
        assert_eq!(controls(b" +pids  -pids"), change(0, PIDS));
        assert_eq!(controls(b""), change(0, 0));
        for wrong in [&b"pids"[..], b"+memory", b"*pids", b"+"] {
            assert_eq!(controls(wrong), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn numbers_are_read() {
        assert_eq!(limit(b"max\n", 10), Ok(MAX));
        assert_eq!(limit(b"10", 10), Ok(10));
        assert_eq!(limit(b"11", 10), Err(Errno::ERANGE));
        assert_eq!(limit(b"-1", 10), Err(Errno::ERANGE));
        assert_eq!(limit(b"-x", 10), Err(Errno::EINVAL));
        assert_eq!(switch(b"1\n"), Ok(true));
        assert_eq!(switch(b"2"), Err(Errno::ERANGE));
        assert_eq!(switch(b""), Err(Errno::EINVAL));
    }
}
