//! The connector's messages (Documentation/driver-api/connector.rst) that tell of processes
//! (linux/cn_proc.h): forks, execs, ends.

use super::{HEADER, word};

/// `CN_IDX_PROC`, which is the group, too, and `CN_VAL_PROC`.
pub const PROCESSES: u32 = 1;
/// `NLMSG_DONE`: what each message is.
const DONE: u16 = 3;
/// Bytes of `struct cn_msg`, of `struct proc_event`, and of a message.
const ENVELOPE: usize = 20;
const EVENT: usize = 40;
/// Bytes of a message.
pub const MESSAGE: usize = HEADER + ENVELOPE + EVENT;

/// `PROC_CN_MCAST_LISTEN`, `PROC_CN_MCAST_IGNORE`.
pub const LISTEN: u32 = 1;
/// As `LISTEN`.
pub const IGNORE: u32 = 2;

/// Words that tell what happened.
pub type Details = [u32; 6];

/// What a program asks of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// [`LISTEN`] or [`IGNORE`], or neither.
    pub wanted: u32,
    /// Comes back with one more.
    pub ack: u32,
}

/// What is asked in a message; `None` when it isn't for this part of the connector.
#[must_use]
pub fn wish(raw: &[u8]) -> Option<Wish> {
    let length = crate::num::usize_of32(word(raw, 0));
    let raw = raw.get(..length)?.get(HEADER..)?;
    let for_us = word(raw, 0) == PROCESSES && word(raw, 4) == PROCESSES;
    let fits = super::short(raw, 16) == 4 && raw.len() >= ENVELOPE + 4;
    (for_us && fits).then(|| Wish {
        wanted: word(raw, ENVELOPE),
        ack: word(raw, 12),
    })
}

/// The message that something (`PROC_EVENT_*`) happened on this CPU at this time, in nanoseconds; `place` is its number and
/// what it acknowledges.
#[must_use]
pub fn message(
    place: (u32, u32),
    what: u32,
    cpu: u32,
    time: u64,
    details: &Details,
) -> [u8; MESSAGE] {
    let words = [
        crate::num::low32(crate::num::u64_of(MESSAGE)),
        DONE.into(),
        place.0,
        0,
        PROCESSES,
        PROCESSES,
        place.0,
        place.1,
        crate::num::low32(crate::num::u64_of(EVENT)),
        what,
        cpu,
        crate::num::low32(time),
        crate::num::low32(time >> 32),
    ];
    let mut raw = [0; MESSAGE];
    for (to, word) in raw.chunks_exact_mut(4).zip(words.iter().chain(details)) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_laid_out_as_linux_does() {
        let raw = message((3, 4), 1, 2, 0x1_0000_0005, &[10, 11, 12, 13, 0, 0]);
        assert_eq!(word(&raw, 0), 76);
        assert_eq!((word(&raw, 24), word(&raw, 28)), (3, 4));
        assert_eq!(super::super::short(&raw, 32), 40);
        assert_eq!((word(&raw, 36), word(&raw, 40)), (1, 2));
        assert_eq!((word(&raw, 44), word(&raw, 48)), (5, 1));
        assert_eq!(word(&raw, 52), 10);
    }

    #[test]
    fn only_wishes_for_processes_count() {
        let mut raw = message((7, 8), LISTEN, 0, 0, &[0; 6]);
        raw[32] = 4;
        let wished = Wish {
            wanted: LISTEN,
            ack: 8,
        };
        assert_eq!(wish(&raw), Some(wished));
        raw[20] = 9;
        assert_eq!(wish(&raw), None);
        assert_eq!(wish(&raw[..40]), None);
        assert_eq!(wish(&[]), None);
    }
}
