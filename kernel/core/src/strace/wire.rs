//! A traced call on its way to the launcher: [`Traced`], with what was kept of the caller's memory
//! as [`Pieces`], which become a [`Snapshot`] there.
//!
//! A message is the thread's ID, the call's number (two `u32`), how it ended (a byte), its result
//! and its six arguments (`u64`), the length of the first pieces (`u32`), those from before the call and those
//! from after it. A piece is an address (`u64`), a length (`u16`) and so many bytes. All is
//! little-endian.

use alloc::vec::Vec;

use super::{Memory, Outcome};
use crate::errno::Errno;

/// The most bytes that the pieces of one look take.
const ROOM: usize = 12 * 1024;

/// Kept memory, encoded.
#[derive(Default, Debug)]
pub struct Pieces(Vec<u8>);

impl Pieces {
    /// Keeps `len` bytes from `address`, if they can be read and there is room.
    pub fn keep(&mut self, address: u64, len: usize, memory: &dyn Memory) {
        let start = self.0.len();
        let Ok(count) = u16::try_from(len) else {
            return;
        };
        let end = start + HEAD + len;
        if address == 0 || len == 0 || end > ROOM || self.0.try_reserve(HEAD + len).is_err() {
            return;
        }
        self.0.extend_from_slice(&address.to_le_bytes());
        self.0.extend_from_slice(&count.to_le_bytes());
        self.0.resize(end, 0);
        let place = self.0.get_mut(start + HEAD..).unwrap_or_default();
        if !memory.read(address, place) {
            self.0.truncate(start);
        }
    }

    /// Keeps a word that is known already.
    pub fn keep_word(&mut self, address: u64, word: u64) {
        if self.0.try_reserve(HEAD + 8).is_ok() {
            self.0.extend_from_slice(&address.to_le_bytes());
            self.0.extend_from_slice(&8_u16.to_le_bytes());
            self.0.extend_from_slice(&word.to_le_bytes());
        }
    }
}

/// Bytes of a piece's head.
const HEAD: usize = 10;

/// A call that was traced.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    /// The thread.
    pub tid: u32,
    /// The call's number.
    pub number: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Its arguments.
    pub values: [u64; 6],
}

impl Traced {
    /// The message. `None` when there is no memory for it.
    #[must_use]
    pub fn encode(&self, before: &Pieces, after: &Pieces) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        out.try_reserve_exact(FIXED + before.0.len() + after.0.len())
            .ok()?;
        let (kind, result) = match self.outcome {
            Outcome::None => (0_u8, 0),
            Outcome::Value(value) => (1, value),
            Outcome::Error(errno) => (2, errno.number().into()),
        };
        out.extend_from_slice(&self.tid.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.push(kind);
        for word in core::iter::once(result).chain(self.values) {
            out.extend_from_slice(&word.to_le_bytes());
        }
        let len = u32::try_from(before.0.len()).ok()?;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&before.0);
        out.extend_from_slice(&after.0);
        Some(out)
    }

    /// Reads a message back, with the memory before and after the call.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, Snapshot, Snapshot)> {
        let (head, rest) = bytes.split_at_checked(FIXED)?;
        let half = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
        let word = |at: usize| Some(u64::from_le_bytes(*head.get(at..)?.first_chunk()?));
        let result = word(9)?;
        let outcome = match head.get(8)? {
            0 => Outcome::None,
            1 => Outcome::Value(result),
            _ => Outcome::Error(Errno::from_number(u16::try_from(result).ok()?)?),
        };
        let mut values = [0; 6];
        for (index, value) in values.iter_mut().enumerate() {
            *value = word(17 + 8 * index)?;
        }
        let len = usize::try_from(half(FIXED - 4)?).ok()?;
        let (before, after) = rest.split_at_checked(len)?;
        let traced = Self {
            tid: half(0)?,
            number: half(4)?,
            outcome,
            values,
        };
        Some((traced, Snapshot::of(before)?, Snapshot::of(after)?))
    }
}

/// Bytes of a message before the pieces.
const FIXED: usize = 4 + 4 + 1 + 8 + 6 * 8 + 4;

/// Kept memory, to be read.
#[derive(Default, Debug)]
pub struct Snapshot(Vec<(u64, Vec<u8>)>);

impl Snapshot {
    fn of(mut bytes: &[u8]) -> Option<Self> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (address, rest) = bytes.split_first_chunk()?;
            let (len, rest) = rest.split_first_chunk()?;
            let (piece, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
            pieces.push((u64::from_le_bytes(*address), piece.to_vec()));
            bytes = rest;
        }
        Some(Self(pieces))
    }
}

impl Memory for Snapshot {
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let part = self.0.iter().find_map(|(start, bytes)| {
            let at = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(at..at.checked_add(buffer.len())?)
        });
        part.map(|part| buffer.copy_from_slice(part)).is_some()
    }
}
