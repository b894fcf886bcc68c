//! POSIX message queues (mq_overview(7)): what a queue may be like ([`Shape`]), and its messages in
//! the order in which they are received ([`Messages`]). Neighbour: the kernel's
//! `process::ipc::mqueue`.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::num::u64_of;

/// Priorities are below this (`MQ_PRIO_MAX`, linux/mqueue.h).
pub const PRIORITIES: u32 = 32768;
/// Most messages in a queue, and most bytes of one, for the privileged (`HARD_MSGMAX`,
/// `HARD_MSGSIZEMAX`, linux/ipc_namespace.h).
const HARD_MESSAGES: u64 = 65536;
const HARD_SIZE: u64 = 16 << 20;
/// What a message and a priority are reckoned to take besides, against `RLIMIT_MSGQUEUE`: the sizes
/// of Linux's own structures, which getrlimit(2) makes part of the interface.
const MESSAGE_OVERHEAD: u64 = 48;
const PRIORITY_OVERHEAD: u64 = 48;

/// Bytes of `struct mq_attr` (linux/mqueue.h): eight words.
pub const ATTR_SIZE: usize = 64;

/// How many messages a queue holds, and how long they may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// `mq_maxmsg`.
    pub messages: u64,
    /// `mq_msgsize`.
    pub size: u64,
}

/// What the system allows those without privilege.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `/proc/sys/fs/mqueue/msg_max`.
    pub messages: u64,
    /// `/proc/sys/fs/mqueue/msgsize_max`.
    pub size: u64,
}

impl Shape {
    /// What a program asks for, by the words of `struct mq_attr`.
    ///
    /// # Errors
    /// `EINVAL` for what is too little or too much.
    pub fn asked(
        messages: i64,
        size: i64,
        limits: Limits,
        privileged: bool,
    ) -> Result<Self, Errno> {
        let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
        let shape = Self {
            messages: positive(messages).ok_or(Errno::EINVAL)?,
            size: positive(size).ok_or(Errno::EINVAL)?,
        };
        let most = if privileged {
            (HARD_MESSAGES, HARD_SIZE)
        } else {
            (limits.messages, limits.size)
        };
        if shape.messages > most.0 || shape.size > most.1 {
            return Err(Errno::EINVAL);
        }
        Ok(shape)
    }

    /// Bytes that a queue of this shape counts for against `RLIMIT_MSGQUEUE`.
    ///
    /// # Errors
    /// `EOVERFLOW`.
    pub fn bytes(&self) -> Result<u64, Errno> {
        let priorities = self.messages.min(PRIORITIES.into());
        let texts = self.messages.checked_mul(self.size);
        texts
            .and_then(|bytes| bytes.checked_add(self.messages.checked_mul(MESSAGE_OVERHEAD)?))
            .and_then(|bytes| bytes.checked_add(priorities * PRIORITY_OVERHEAD))
            .ok_or(Errno::EOVERFLOW)
    }
}

/// A message.
#[derive(PartialEq, Eq, Debug)]
pub struct Message {
    /// Its priority; higher ones are received first.
    pub priority: u32,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// Messages, the next to be received first.
#[derive(Default, Debug)]
pub struct Messages {
    list: VecDeque<Message>,
    bytes: u64,
}

impl Messages {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes of all of them.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds one behind those of its priority; gives it back when memory has ended.
    ///
    /// # Errors
    /// The message.
    pub fn push(&mut self, message: Message) -> Result<(), Message> {
        if self.list.try_reserve(1).is_err() {
            return Err(message);
        }
        let place = self
            .list
            .partition_point(|other| other.priority >= message.priority);
        self.bytes += u64_of(message.text.len());
        self.list.insert(place, message);
        Ok(())
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<Message> {
        let message = self.list.pop_front()?;
        self.bytes -= u64_of(message.text.len());
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        messages: 10,
        size: 8192,
    };

    #[test]
    fn shapes() {
        let asked = |messages, size, privileged| Shape::asked(messages, size, LIMITS, privileged);
        assert_eq!(asked(0, 1, true), Err(Errno::EINVAL));
        assert_eq!(asked(1, -1, true), Err(Errno::EINVAL));
        assert_eq!(asked(11, 1, false), Err(Errno::EINVAL));
        assert_eq!(asked(65537, 1, true), Err(Errno::EINVAL));
        let usual = asked(10, 8192, false).unwrap();
        assert_eq!(usual.bytes(), Ok(10 * (8192 + 96)));
        assert!(asked(65536, 16 << 20, true).unwrap().bytes().is_ok());
    }

    #[test]
    fn order_is_by_priority_then_age() {
        let mut messages = Messages::default();
        for (priority, text) in [(1, b"a"), (5, b"b"), (1, b"c"), (5, b"d"), (0, b"e")] {
            let text = text.to_vec();
            assert!(messages.push(Message { priority, text }).is_ok());
        }
        assert_eq!(messages.bytes(), 5);
        let order: Vec<u8> = core::iter::from_fn(|| messages.pop())
            .flat_map(|message| message.text)
            .collect();
        assert_eq!(order, b"bdace");
        assert_eq!(messages.bytes(), 0);
    }
}
