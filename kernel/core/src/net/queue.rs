//! [`ByteQueue`]: bytes on their way, in the pieces in which they were sent, with the urgent mark
//! of `MSG_OOB`.
//!
//! The mark is a position in the stream: the byte there is taken out of line (unless the receiver
//! wants it in line), and a read stops in front of it, so that `SIOCATMARK` can be asked.

use alloc::collections::VecDeque;

use crate::errno::Errno;
use crate::num::u64_of;

/// What was sent at once.
pub trait Piece {
    /// Its bytes.
    fn len(&self) -> usize;
    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<P: Piece> Piece for alloc::sync::Arc<P> {
    fn len(&self) -> usize {
        self.as_ref().len()
    }
}

/// Bytes in pieces.
#[derive(Debug)]
pub struct ByteQueue<P> {
    list: VecDeque<P>,
    /// Bytes of the first piece that were read.
    used: usize,
    bytes: usize,
    /// The stream's position of the first byte.
    head: u64,
    urgent: Option<Urgent>,
}

/// The latest urgent byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Urgent {
    at: u64,
    taken: bool,
}

/// What a read may have next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Bytes to leave out first: the urgent one.
    pub skip: usize,
    /// Bytes to take then.
    pub take: usize,
    /// The urgent mark is behind them: the read ends there.
    pub stops: bool,
}

impl<P: Piece> Default for ByteQueue<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Piece> ByteQueue<P> {
    /// Without a byte.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            list: VecDeque::new(),
            used: 0,
            bytes: 0,
            head: 0,
            urgent: None,
        }
    }

    /// Bytes in it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing in it, not even an empty piece.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Pieces in it.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.list.len()
    }

    /// Every piece.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.list.iter()
    }

    /// Adds a piece; with `urgent` its last byte is the urgent one.
    ///
    /// # Errors
    /// `ENOMEM`, with the piece gone.
    pub fn push(&mut self, piece: P, urgent: bool) -> Result<(), Errno> {
        self.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.bytes += piece.len();
        self.list.push_back(piece);
        if urgent {
            let at = self.head + u64_of(self.bytes.saturating_sub(1));
            self.urgent = Some(Urgent { at, taken: false });
        }
        Ok(())
    }

    /// The piece that the byte `offset` from the front is in, and where in it.
    #[must_use]
    pub fn find(&self, offset: usize) -> Option<(&P, usize)> {
        let mut at = self.used + offset;
        for piece in &self.list {
            if at < piece.len() || piece.is_empty() && at == 0 {
                return Some((piece, at));
            }
            at -= piece.len();
        }
        None
    }

    /// Takes `count` bytes off the front; each piece that is used up goes to `done`.
    pub fn consume(&mut self, count: usize, mut done: impl FnMut(P)) {
        let count = count.min(self.bytes);
        self.used += count;
        self.bytes -= count;
        self.head += u64_of(count);
        if self.urgent.is_some_and(|urgent| urgent.at < self.head) {
            self.urgent = None;
        }
        while let Some(first) = self.list.front() {
            if self.used < first.len() {
                return;
            }
            self.used -= first.len();
            if let Some(piece) = self.list.pop_front() {
                done(piece);
            }
        }
    }

    /// Takes the first piece out whole, for queues of messages.
    pub fn pop(&mut self) -> Option<P> {
        let piece = self.list.pop_front()?;
        let left = piece.len() - self.used.min(piece.len());
        self.used = 0;
        self.bytes -= left.min(self.bytes);
        self.head += u64_of(left);
        Some(piece)
    }

    /// What a read of at most `max` bytes, `offset` from the front, may have next.
    #[must_use]
    pub fn step(&self, offset: usize, max: usize, inline: bool) -> Step {
        let left = self.bytes.saturating_sub(offset);
        let plain = Step {
            skip: 0,
            take: left.min(max),
            stops: false,
        };
        let Some(urgent) = self.urgent else {
            return plain;
        };
        let at = self.head + u64_of(offset);
        let before = crate::num::usize_of(urgent.at.saturating_sub(at));
        match (at.cmp(&urgent.at), inline) {
            (core::cmp::Ordering::Greater, _) => plain,
            (core::cmp::Ordering::Equal, true) => plain,
            (core::cmp::Ordering::Equal, false) => Step {
                skip: 1.min(left),
                take: left.saturating_sub(1).min(max),
                stops: false,
            },
            (core::cmp::Ordering::Less, _) => Step {
                skip: 0,
                take: plain.take.min(before),
                stops: plain.take >= before,
            },
        }
    }

    /// Whether the next byte is at the urgent mark.
    #[must_use]
    pub fn at_mark(&self) -> bool {
        self.urgent.is_some_and(|urgent| urgent.at == self.head)
    }

    /// Whether an urgent byte waits to be taken out of line.
    #[must_use]
    pub fn has_urgent(&self) -> bool {
        self.urgent.is_some_and(|urgent| !urgent.taken)
    }

    /// Whether there is anything for a plain read: more than an urgent byte alone.
    #[must_use]
    pub fn has_plain(&self, inline: bool) -> bool {
        let urgent = usize::from(self.urgent.is_some() && !inline);
        self.bytes > urgent
    }

    /// Where the urgent byte is, from the front; it counts as taken from now on, unless `peek`.
    pub fn take_urgent(&mut self, peek: bool) -> Option<usize> {
        let urgent = self.urgent.as_mut().filter(|urgent| !urgent.taken)?;
        urgent.taken = !peek;
        Some(crate::num::usize_of(urgent.at - self.head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    impl Piece for Vec<u8> {
        fn len(&self) -> usize {
            Vec::len(self)
        }
    }

    fn read(queue: &mut ByteQueue<Vec<u8>>, max: usize, inline: bool) -> Vec<u8> {
        let mut out = vec![];
        while out.len() < max {
            let step = queue.step(0, max - out.len(), inline);
            queue.consume(step.skip, drop);
            if step.take == 0 {
                break;
            }
            for at in 0..step.take {
                let (piece, inner) = queue.find(at).expect("a byte");
                out.push(piece[inner]);
            }
            queue.consume(step.take, drop);
            if step.stops {
                break;
            }
        }
        out
    }

    #[test]
    fn reading_stops_at_the_mark_and_leaves_the_byte_out() {
        let mut queue = ByteQueue::new();
        queue.push(b"abc".to_vec(), false).expect("room");
        queue.push(b"!".to_vec(), true).expect("room");
        queue.push(b"def".to_vec(), false).expect("room");
        assert!(queue.has_urgent() && !queue.at_mark());
        assert_eq!(read(&mut queue, 10, false), b"abc");
        assert!(queue.at_mark());
        assert_eq!(queue.take_urgent(true), Some(0));
        assert_eq!(queue.take_urgent(false), Some(0));
        assert_eq!(queue.take_urgent(false), None);
        assert_eq!(read(&mut queue, 10, false), b"def");
        assert!(queue.is_empty());
    }

    #[test]
    fn in_line_the_byte_stays() {
        let mut queue = ByteQueue::new();
        queue.push(b"ab!".to_vec(), true).expect("room");
        queue.push(b"c".to_vec(), false).expect("room");
        assert_eq!(read(&mut queue, 10, true), b"ab");
        assert!(queue.at_mark());
        assert_eq!(read(&mut queue, 10, true), b"!c");
    }

    #[test]
    fn a_lone_urgent_byte_is_nothing_to_read() {
        let mut queue = ByteQueue::new();
        queue.push(b"!".to_vec(), true).expect("room");
        assert!(!queue.has_plain(false) && queue.has_plain(true));
        assert_eq!(read(&mut queue, 10, false), b"");
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..20),
            reads in prop::collection::vec(1usize..12, 0..80),
        ) {
            let mut queue = ByteQueue::new();
            let mut sent = vec![];
            for piece in pieces {
                sent.extend_from_slice(&piece);
                queue.push(piece, false).expect("room");
            }
            let mut got = vec![];
            for max in reads {
                prop_assert_eq!(queue.bytes(), sent.len() - got.len());
                got.extend(read(&mut queue, max, false));
            }
            prop_assert_eq!(&got[..], &sent[..got.len()]);
        }
    }
}
