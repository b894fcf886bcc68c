//! What the slave of a pseudo terminal has written and its master hasn't read: [`Outgoing`], a
//! ring of a fixed size with what packet mode tells beside it.

use alloc::collections::VecDeque;

use super::packet::Packet;

/// Bytes after which writers wait: what Linux's two buffers on the way take together, about.
pub const OUTGOING_MOST: usize = 8192;
/// Room beyond that for what is sent without asking: the rest of a write, and echoes.
pub const OUTGOING_SPARE: usize = 4096;

/// Bytes on their way to the master.
#[derive(Debug)]
pub struct Outgoing {
    bytes: VecDeque<u8>,
    /// So many of the newest aren't to be read yet: echoes while output is stopped.
    held: usize,
    /// Packet mode.
    pub packet: Packet,
}

impl Outgoing {
    /// Nothing; `None` when memory has ended.
    #[must_use]
    pub fn new() -> Option<Self> {
        let mut bytes = VecDeque::new();
        bytes
            .try_reserve_exact(OUTGOING_MOST + OUTGOING_SPARE)
            .ok()?;
        Some(Self {
            bytes,
            held: 0,
            packet: Packet::default(),
        })
    }

    /// Whether a writer may go on.
    #[must_use]
    pub fn takes(&self) -> bool {
        self.bytes.len() < OUTGOING_MOST
    }

    /// Bytes to be read.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.bytes.len() - self.held
    }

    /// Adds bytes, as far as there is room at all; `held`: to be read when [`Self::release`] says.
    pub fn put(&mut self, bytes: &[u8], held: bool) {
        let room = OUTGOING_MOST + OUTGOING_SPARE - self.bytes.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.bytes.extend(taken);
        if held {
            self.held += taken.len();
        }
    }

    /// What was held back may be read.
    pub const fn release(&mut self) {
        self.held = 0;
    }

    /// Takes what may be read; answers how much.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let count = self.readable().min(into.len());
        for (place, byte) in into.iter_mut().zip(self.bytes.drain(..count)) {
            *place = byte;
        }
        count
    }

    /// Throws away what is on its way beyond the first `kept` bytes, which have arrived.
    pub fn truncate(&mut self, kept: usize) {
        self.bytes.truncate(kept);
        self.held = self.held.min(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_wait_while_output_is_stopped() {
        let mut out = Outgoing::new().unwrap();
        out.put(b"ab", false);
        out.put(b"cd", true);
        let mut buffer = [0; 8];
        assert_eq!(out.take(&mut buffer), 2);
        assert_eq!(out.take(&mut buffer), 0);
        out.release();
        assert_eq!(out.take(&mut buffer), 2);
        assert_eq!(&buffer[..2], b"cd");
    }

    #[test]
    fn more_than_there_is_room_for_is_lost() {
        let mut out = Outgoing::new().unwrap();
        while out.takes() {
            out.put(&[b'x'; 1000], false);
        }
        (0..100).for_each(|_| out.put(&[b'e'; 1000], false));
        assert_eq!(out.readable(), OUTGOING_MOST + OUTGOING_SPARE);
        out.truncate(10);
        assert_eq!(out.readable(), 10);
    }
}
