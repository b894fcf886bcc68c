//! Control messages (cmsg(3), `struct cmsghdr` of linux/socket.h): length, level, type, data, each
//! padded to eight bytes.

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::num::{u64_of, usize_of};

/// Bytes of `struct cmsghdr`.
pub const HEADER: usize = 16;
/// `SCM_RIGHTS`: descriptors.
pub const RIGHTS: i32 = 1;
/// `SCM_CREDENTIALS`: who sends.
pub const CREDENTIALS: i32 = 2;
/// `SCM_PIDFD`: the sender as a descriptor.
pub const PIDFD: i32 = 4;
/// Most descriptors of one message (`SCM_MAX_FD`).
pub const MAX_FDS: usize = 253;

/// One message of a program's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cmsg<'a> {
    /// `cmsg_level`.
    pub level: i32,
    /// `cmsg_type`.
    pub kind: i32,
    /// What follows the header.
    pub data: &'a [u8],
}

/// Takes a program's control buffer apart.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    /// Of the buffer.
    #[must_use]
    pub const fn new(buffer: &'a [u8]) -> Self {
        Self { rest: buffer }
    }
}

fn int(bytes: &[u8], at: usize) -> i32 {
    let raw = bytes.get(at..at + 4).and_then(|raw| raw.try_into().ok());
    i32::from_le_bytes(raw.unwrap_or([0; 4]))
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Cmsg<'a>, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.rest.get(..HEADER)?;
        let length = header.get(..8).and_then(|raw| raw.try_into().ok());
        let length = usize_of(u64::from_le_bytes(length.unwrap_or([0; 8])));
        // `CMSG_OK`: as Linux, what doesn't fit is an error and not the end.
        if length < HEADER || length > self.rest.len() {
            self.rest = &[];
            return Some(Err(Errno::EINVAL));
        }
        let data = self.rest.get(HEADER..length).unwrap_or_default();
        let next = length.next_multiple_of(8);
        self.rest = self.rest.get(next..).unwrap_or_default();
        Some(Ok(Cmsg {
            level: int(header, 8),
            kind: int(header, 12),
            data,
        }))
    }
}

/// Puts the control buffer of a receiver together, within its size.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    room: usize,
    /// Something didn't fit: `MSG_CTRUNC`.
    pub truncated: bool,
}

impl Builder {
    /// For a buffer of so many bytes.
    #[must_use]
    pub const fn new(room: usize) -> Self {
        Self {
            bytes: Vec::new(),
            room,
            truncated: false,
        }
    }

    /// Bytes that another message's data may have.
    #[must_use]
    pub fn data_room(&self) -> usize {
        let used = self.bytes.len();
        self.room.saturating_sub(used).saturating_sub(HEADER)
    }

    /// Adds a message, or as much of it as fits (`put_cmsg`).
    pub fn put(&mut self, level: i32, kind: i32, data: &[u8]) {
        let left = self.room.saturating_sub(self.bytes.len());
        if left < HEADER || self.bytes.try_reserve(HEADER + data.len() + 8).is_err() {
            self.truncated = true;
            return;
        }
        let mut length = HEADER + data.len();
        if left < length {
            self.truncated = true;
            length = left;
        }
        self.bytes.extend_from_slice(&u64_of(length).to_le_bytes());
        self.bytes.extend_from_slice(&level.to_le_bytes());
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        let data = data.get(..length - HEADER).unwrap_or(data);
        self.bytes.extend_from_slice(data);
        let padded = self.bytes.len().next_multiple_of(8).min(self.room);
        if padded > self.bytes.len() {
            self.bytes.resize(padded, 0);
        }
    }

    /// The buffer's bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_comes_apart() {
        let mut builder = Builder::new(100);
        builder.put(1, RIGHTS, &[1, 0, 0, 0]);
        builder.put(1, CREDENTIALS, &[7; 12]);
        assert!(!builder.truncated);
        let bytes = builder.finish();
        assert_eq!(bytes.len(), 24 + 32);
        let got: Vec<_> = Parser::new(&bytes).map(|m| m.expect("good")).collect();
        assert_eq!(got.len(), 2);
        assert_eq!((got[0].kind, got[0].data), (RIGHTS, &[1u8, 0, 0, 0][..]));
        assert_eq!((got[1].kind, got[1].data), (CREDENTIALS, &[7u8; 12][..]));
    }

    #[test]
    fn a_small_buffer_takes_a_part() {
        let mut builder = Builder::new(20);
        builder.put(1, CREDENTIALS, &[7; 12]);
        assert!(builder.truncated);
        assert_eq!(builder.finish().len(), 20);
        let mut builder = Builder::new(15);
        builder.put(1, CREDENTIALS, &[7; 12]);
        assert!(builder.truncated && builder.finish().is_empty());
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        let mut raw = [0u8; 24];
        for bad in [0u64, 15, 25, u64::MAX] {
            raw[..8].copy_from_slice(&bad.to_le_bytes());
            let first = Parser::new(&raw).next();
            assert_eq!(first, Some(Err(Errno::EINVAL)), "{bad}");
        }
        assert!(Parser::new(&raw[..15]).next().is_none());
    }
}
