//! [`Queue`]: the events of an inotify(7) file, waiting to be read, and their form in memory.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::abi;
use crate::num::u64_of;

/// Bytes of `struct inotify_event` before the name (linux/inotify.h); names are padded to
/// multiples of it.
pub const HEADER: usize = 16;

/// What programs may give to `inotify_add_watch` (`ALL_INOTIFY_BITS`).
pub const KNOWN: u32 = abi::IN_ALL_EVENTS
    | abi::IN_UNMOUNT
    | abi::IN_Q_OVERFLOW
    | abi::IN_IGNORED
    | abi::IN_ONLYDIR
    | abi::IN_DONT_FOLLOW
    | abi::IN_EXCL_UNLINK
    | abi::IN_MASK_CREATE
    | abi::IN_MASK_ADD
    | abi::IN_ISDIR
    | abi::IN_ONESHOT;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose watch saw it; -1 for an overflow.
    pub watch: i32,
    /// What, as `IN_*`.
    pub mask: u32,
    /// What joins the two halves of a rename.
    pub cookie: u32,
    /// Of what in the watched directory; empty for the watched file itself.
    pub name: Box<[u8]>,
}

impl Event {
    /// Bytes of the name with its padding.
    fn name_len(&self) -> usize {
        if self.name.is_empty() {
            0
        } else {
            (self.name.len() + 1).next_multiple_of(HEADER)
        }
    }

    /// Bytes it takes in a reader's buffer.
    #[must_use]
    pub fn size(&self) -> usize {
        HEADER + self.name_len()
    }

    /// What stands before the name.
    #[must_use]
    pub fn header(&self) -> [u8; HEADER] {
        let len = u128::from(u64_of(self.name_len()));
        let words = u128::from(self.watch.cast_unsigned())
            | u128::from(self.mask) << 32
            | u128::from(self.cookie) << 64
            | len << 96;
        words.to_le_bytes()
    }

    /// How many zeros follow the name.
    #[must_use]
    pub fn padding(&self) -> usize {
        self.name_len() - self.name.len()
    }

    /// Whether a reader learns nothing from `self` that `last` didn't tell.
    fn repeats(&self, last: &Self) -> bool {
        last.mask & abi::IN_IGNORED == 0
            && (last.mask, last.watch) == (self.mask, self.watch)
            && last.name == self.name
    }
}

/// Events in the order in which they happened.
#[derive(Debug, Default)]
pub struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    /// Its last event says that events were lost.
    overflowed: bool,
}

impl Queue {
    /// Adds an event, unless it repeats the one before. Beyond `max` events, and when memory is
    /// short, one event tells that others were lost. Answers whether the queue changed.
    pub fn push(&mut self, event: Event, max: usize) -> bool {
        if self.events.back().is_some_and(|last| event.repeats(last)) {
            return false;
        }
        // There is always room for the event that tells of the loss.
        let room = self.events.try_reserve(2).is_ok();
        if room && self.events.len() < max {
            self.append(event);
            return true;
        }
        if self.overflowed || self.events.capacity() == self.events.len() {
            return false;
        }
        self.overflowed = true;
        self.append(Event {
            watch: -1,
            mask: abi::IN_Q_OVERFLOW,
            cookie: 0,
            name: Box::default(),
        });
        true
    }

    fn append(&mut self, event: Event) {
        self.bytes += event.size();
        self.events.push_back(event);
    }

    /// The first event's size.
    #[must_use]
    pub fn first_size(&self) -> Option<usize> {
        self.events.front().map(Event::size)
    }

    /// Takes the first event.
    pub fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.size();
        if event.mask == abi::IN_Q_OVERFLOW {
            self.overflowed = false;
        }
        Some(event)
    }

    /// Bytes of all events (`FIONREAD`).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(watch: i32, mask: u32, name: &str) -> Event {
        Event {
            watch,
            mask,
            cookie: 0,
            name: name.as_bytes().into(),
        }
    }

    #[test]
    fn names_are_padded_with_at_least_one_zero() {
        for (name, size) in [
            ("", 16),
            ("a", 32),
            ("123456789012345", 32),
            ("1234567890123456", 48),
        ] {
            let event = event(1, abi::IN_CREATE, name);
            assert_eq!(event.size(), size, "{name}");
            assert_eq!(event.name.len() + event.padding() + HEADER, size);
            assert_eq!(event.header()[12], u8::try_from(size - HEADER).unwrap());
        }
        let mut moved = event(0x0102, abi::IN_MOVED_TO | abi::IN_ISDIR, "n");
        moved.cookie = 7;
        assert_eq!(
            moved.header(),
            [2, 1, 0, 0, 0x80, 0, 0, 0x40, 7, 0, 0, 0, 16, 0, 0, 0]
        );
    }

    #[test]
    fn repeats_of_the_last_are_merged() {
        let mut queue = Queue::default();
        assert!(queue.push(event(1, abi::IN_MODIFY, "f"), 10));
        assert!(!queue.push(event(1, abi::IN_MODIFY, "f"), 10));
        assert!(queue.push(event(1, abi::IN_MODIFY, "g"), 10));
        assert!(queue.push(event(1, abi::IN_MODIFY, "f"), 10));
        assert!(queue.push(event(2, abi::IN_MODIFY, "f"), 10));
        assert!(queue.push(event(2, abi::IN_IGNORED, ""), 10));
        assert!(queue.push(event(2, abi::IN_IGNORED, ""), 10));
        assert_eq!(queue.bytes(), 4 * 32 + 2 * 16);
        let mut rest = queue.bytes();
        while let Some(event) = queue.pop() {
            rest -= event.size();
            assert_eq!(queue.bytes(), rest);
        }
        assert_eq!(rest, 0);
    }

    #[test]
    fn one_event_tells_of_all_that_were_lost() {
        let mut queue = Queue::default();
        for index in 0..9 {
            queue.push(event(index, abi::IN_OPEN, ""), 3);
        }
        let masks: std::vec::Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|e| (e.watch, e.mask))
            .collect();
        let opened = |watch| (watch, abi::IN_OPEN);
        assert_eq!(
            masks,
            [opened(0), opened(1), opened(2), (-1, abi::IN_Q_OVERFLOW)]
        );
        assert!(queue.push(event(1, abi::IN_OPEN, ""), 3));
        assert_eq!(queue.pop().map(|event| event.watch), Some(1));
    }
}
