//! The framed channel between the job and the launcher: one byte stream each way over a virtio
//! console, carrying standard input, output and error, their ends, signals and the window's size.
//!
//! Each frame is a header of eight bytes, then its payload:
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 0 | [`Kind`] |
//! | 1 | stream: 0, 1, 2 for standard input, output, error; 0 elsewhere |
//! | 2..4 | zero |
//! | 4..8 | payload length, little-endian, at most [`MAX_PAYLOAD`] |
//!
//! Guest to host: [`Kind::Data`] on streams 1 and 2; [`Kind::Read`] on stream 0 when the job reads, with two `u32`: how many bytes it
//! wants, and for how many there is room (at least as many, at most [`MAX_PAYLOAD`]);
//! [`Kind::End`] on stream 0 when the job can no longer read, with a `u64` of the bytes it has read in all, on 1 and 2 when it closed the stream;
//! [`Kind::Log`] for kernel messages at `--verbose`; [`Kind::Settings`] with a terminal's settings;
//! [`Kind::Trace`] with a traced call.
//!
//! Standard input is read from the caller only when the job reads, and what the job leaves is for the caller's next command.
//! Each [`Kind::Read`] is answered once: by one [`Kind::Data`] of at least a byte, or by [`Kind::End`]. The data is no more than the job wants,
//! unless the launcher can give back what is left unread; it is never more than there is room for. A second `Read` follows only
//! when the job has read all of the answer.
//!
//! Host to guest: [`Kind::Data`] and [`Kind::End`] on stream 0, the end with a byte where the input can't be read: the errno; [`Kind::Credit`] on 1 and 2 with a `u32` of bytes that the caller has
//! taken (each output stream starts with [`INITIAL_CREDIT`], so that a caller who leaves one
//! stream unread never blocks the other); [`Kind::End`] on 1 and 2 when the caller's reader has gone away;
//! [`Kind::Signal`] with one byte, the signal's number; [`Kind::Window`] with rows and columns.
//!
//! Frames keep their order, which keeps the order of `2>&1`. [`guest`] is the kernel's side as a state machine; the
//! launcher has its own.

pub mod guest;

use alloc::vec::Vec;

/// Bytes in a frame's header.
pub const HEADER_LEN: usize = 8;
/// The longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// Bytes the guest may send on each output stream before the first [`Kind::Credit`].
pub const INITIAL_CREDIT: u32 = 256 * 1024;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Bytes of a stream.
    Data = 1,
    /// The stream is over: no more bytes come, or nobody takes them any more.
    End = 2,
    /// Guest to host: the job waits for standard input: so many bytes (`u32`), with room for so
    /// many (`u32`).
    Read = 3,
    /// Host to guest: this many bytes (`u32`) of an output stream were taken.
    Credit = 4,
    /// Host to guest: send this signal (`u8`) to the job (to the foreground group on a terminal).
    Signal = 5,
    /// Host to guest: the window's rows and columns (two `u16`).
    Window = 6,
    /// Guest to host: a kernel message, for `--verbose`.
    Log = 7,
    /// Guest to host: the terminal's settings have changed; reserved for `-t`.
    Settings = 8,
    /// Guest to host: a part of a traced call ([`crate::strace::Traced`]): the thread's ID
    /// (`u32`), then bytes of the message. On stream 0 it is the last part, on stream 1 another follows.
    Trace = 9,
}

impl Kind {
    /// The kind with this number on the wire.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Data,
            2 => Self::End,
            3 => Self::Read,
            4 => Self::Credit,
            5 => Self::Signal,
            6 => Self::Window,
            7 => Self::Log,
            8 => Self::Settings,
            9 => Self::Trace,
            _ => return None,
        })
    }
}

/// A frame's header, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Which of the three standard streams it is about.
    pub stream: u8,
    /// Payload bytes that follow.
    pub len: u32,
}

/// The peer broke the format; the channel can't be used any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl Header {
    /// As it goes on the wire.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = self.len.to_le_bytes();
        [self.kind as u8, self.stream, 0, 0, a, b, c, d]
    }

    /// Reads a header off the wire.
    ///
    /// # Errors
    /// [`Malformed`] for an unknown kind, a stream above 2, set padding or an overlong payload.
    pub fn decode(bytes: [u8; HEADER_LEN]) -> Result<Self, Malformed> {
        let [kind, stream, 0, 0, a, b, c, d] = bytes else {
            return Err(Malformed);
        };
        let len = u32::from_le_bytes([a, b, c, d]);
        if stream > 2 || crate::num::usize_of32(len) > MAX_PAYLOAD {
            return Err(Malformed);
        }
        let kind = Kind::from_byte(kind).ok_or(Malformed)?;
        Ok(Self { kind, stream, len })
    }
}

/// Reassembles frames from a byte stream that arrives in pieces of any size.
#[derive(Default, Debug)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Takes in `bytes` and calls `sink` with each frame that is whole by now.
    ///
    /// # Errors
    /// [`Malformed`] as [`Header::decode`].
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(Header, &[u8]),
    ) -> Result<(), Malformed> {
        self.pending.extend_from_slice(bytes);
        let mut used = 0;
        while let Some((head, rest)) = self
            .pending
            .get(used..)
            .and_then(|left| left.split_first_chunk::<HEADER_LEN>())
        {
            let header = Header::decode(*head)?;
            let Some(payload) = rest.get(..crate::num::usize_of32(header.len)) else {
                break;
            };
            sink(header, payload);
            used += HEADER_LEN + payload.len();
        }
        self.pending.drain(..used);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn frames_survive_any_split() {
        let header = Header {
            kind: Kind::Data,
            stream: 1,
            len: 5,
        };
        let mut wire = header.encode().to_vec();
        wire.extend_from_slice(b"hello");
        wire.extend_from_slice(
            &Header {
                kind: Kind::End,
                stream: 1,
                len: 0,
            }
            .encode(),
        );
        for cut in 0..=wire.len() {
            let mut decoder = Decoder::default();
            let mut seen = vec![];
            for part in [&wire[..cut], &wire[cut..]] {
                decoder
                    .feed(part, |h, p| seen.push((h.kind, p.to_vec())))
                    .unwrap();
            }
            assert_eq!(
                seen,
                vec![(Kind::Data, b"hello".to_vec()), (Kind::End, vec![])]
            );
        }
    }

    #[test]
    fn bad_headers_are_refused() {
        assert!(Header::decode([10, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(Header::decode([1, 3, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(Header::decode([1, 1, 0, 0, 0, 0, 0, 1]).is_err());
    }
}
