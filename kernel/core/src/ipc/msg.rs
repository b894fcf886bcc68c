//! [`MsgQueue`]: the messages of a System V queue, and which of them a receiver gets (msgrcv(2)).

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::errno::Errno;
use crate::num::u64_of;

/// Flags of msgrcv(2) (linux/msg.h).
pub const NOERROR: u32 = 0o10000;
/// See [`NOERROR`].
pub const EXCEPT: u32 = 0o20000;
/// See [`NOERROR`].
pub const COPY: u32 = 0o40000;

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its type, above zero.
    pub kind: i64,
    /// What it says.
    pub text: Box<[u8]>,
}

/// Which message a receiver wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The first.
    Any,
    /// The first of this type.
    Kind(i64),
    /// The first of another type.
    Except(i64),
    /// The first of the lowest type up to this one.
    UpTo(i64),
    /// The one at this place, which stays.
    Copy(i64),
}

impl Wanted {
    /// From the arguments of msgrcv(2).
    #[must_use]
    pub const fn new(kind: i64, flags: u32) -> Self {
        if flags & COPY != 0 {
            return Self::Copy(kind);
        }
        match kind {
            0 => Self::Any,
            ..0 => Self::UpTo(kind.saturating_neg()),
            _ if flags & EXCEPT != 0 => Self::Except(kind),
            _ => Self::Kind(kind),
        }
    }
}

/// The messages of a queue, oldest first.
#[derive(Debug, Default)]
pub struct MsgQueue {
    messages: VecDeque<Message>,
    bytes: u64,
}

impl MsgQueue {
    /// Bytes in all messages.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message of `len` bytes fits into a queue of `max` bytes (`msg_qbytes`), which is
    /// as many messages at most.
    #[must_use]
    pub fn has_room(&self, len: usize, max: u64) -> bool {
        self.bytes + u64_of(len) <= max && u64_of(self.len()) < max
    }

    /// Adds a message.
    ///
    /// # Errors
    /// `ENOMEM`, and the message comes back.
    pub fn push(&mut self, message: Message) -> Result<(), Message> {
        if self.messages.try_reserve(1).is_err() {
            return Err(message);
        }
        self.bytes += u64_of(message.text.len());
        self.messages.push_back(message);
        Ok(())
    }

    fn position(&self, wanted: Wanted) -> Option<usize> {
        let mut all = self.messages.iter();
        match wanted {
            Wanted::Any => (!self.is_empty()).then_some(0),
            Wanted::Kind(kind) => all.position(|message| message.kind == kind),
            Wanted::Except(kind) => all.position(|message| message.kind != kind),
            Wanted::UpTo(most) => {
                let up_to = |(_, message): &(usize, &Message)| message.kind <= most;
                let fitting = all.enumerate().filter(up_to);
                // The first of equals is the oldest.
                fitting
                    .min_by_key(|(_, message)| message.kind)
                    .map(|(at, _)| at)
            }
            Wanted::Copy(index) => {
                let index = usize::try_from(index).ok()?;
                (index < self.len()).then_some(index)
            }
        }
    }

    /// Takes the wanted message out, or copies it; `None` when there is none.
    ///
    /// # Errors
    /// `E2BIG` when it is longer than `room` and mayn't be cut: it stays. `ENOMEM`.
    pub fn take(
        &mut self,
        wanted: Wanted,
        room: usize,
        cut: bool,
    ) -> Option<Result<Message, Errno>> {
        let at = self.position(wanted)?;
        let found = self.messages.get(at)?;
        if found.text.len() > room && !cut {
            return Some(Err(Errno::E2BIG));
        }
        if let Wanted::Copy(_) = wanted {
            let mut text = alloc::vec::Vec::new();
            if text.try_reserve_exact(found.text.len()).is_err() {
                return Some(Err(Errno::ENOMEM));
            }
            text.extend_from_slice(&found.text);
            return Some(Ok(Message {
                kind: found.kind,
                text: text.into_boxed_slice(),
            }));
        }
        let message = self.messages.remove(at)?;
        self.bytes -= u64_of(message.text.len());
        Some(Ok(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(messages: &[(i64, &str)]) -> MsgQueue {
        let mut queue = MsgQueue::default();
        for (kind, text) in messages {
            let text = text.as_bytes().into();
            queue.push(Message { kind: *kind, text }).unwrap();
        }
        queue
    }

    fn take(queue: &mut MsgQueue, kind: i64, flags: u32) -> Option<std::string::String> {
        let message = queue.take(Wanted::new(kind, flags), 99, false)?.unwrap();
        Some(std::string::String::from_utf8(message.text.to_vec()).unwrap())
    }

    #[test]
    fn which_message() {
        let mut all = queue(&[(3, "a"), (1, "b"), (2, "c"), (1, "d"), (9, "e")]);
        assert_eq!(all.bytes(), 5);
        assert_eq!(take(&mut all, 1, COPY), Some("b".into()));
        assert_eq!(take(&mut all, 5, COPY), None);
        assert_eq!(take(&mut all, -3, 0), Some("b".into()));
        assert_eq!(take(&mut all, 3, EXCEPT), Some("c".into()));
        assert_eq!(take(&mut all, 2, 0), None);
        assert_eq!(take(&mut all, 9, 0), Some("e".into()));
        assert_eq!(take(&mut all, 0, 0), Some("a".into()));
        assert_eq!(take(&mut all, i64::MIN, 0), Some("d".into()));
        assert!(all.is_empty() && all.bytes() == 0);
        assert_eq!(take(&mut all, 0, 0), None);
    }

    #[test]
    fn too_long_stays_unless_cut() {
        let mut one = queue(&[(1, "text")]);
        assert_eq!(one.take(Wanted::Any, 3, false), Some(Err(Errno::E2BIG)));
        assert_eq!(one.len(), 1);
        assert!(one.take(Wanted::Any, 3, true).unwrap().is_ok());
    }

    #[test]
    fn room_counts_bytes_and_messages() {
        let full = queue(&[(1, "ab")]);
        assert!(full.has_room(1, 3) && !full.has_room(2, 3));
        let empties = queue(&[(1, ""), (1, "")]);
        assert!(empties.has_room(0, 3) && !empties.has_room(0, 2));
    }
}
