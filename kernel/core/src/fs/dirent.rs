//! Directory entries as `getdents` and `getdents64` write them.

use crate::num::u64_of;
use alloc::vec::Vec;

/// Which of the two structures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// `struct linux_dirent`: the type is the record's last byte.
    Old,
    /// `struct linux_dirent64`: the type stands before the name.
    Wide,
}

/// A buffer of entries, no longer than the program's.
pub struct Writer {
    layout: Layout,
    room: usize,
    /// Zero where no entry is yet.
    bytes: Vec<u8>,
    used: usize,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Inode number.
    pub ino: u64,
    /// `DT_*`.
    pub kind: u8,
    /// Name, without slash or NUL.
    pub name: &'a [u8],
}

impl Writer {
    /// For a program's buffer of `room` bytes.
    #[must_use]
    pub const fn new(layout: Layout, room: usize) -> Self {
        Self {
            layout,
            room,
            bytes: Vec::new(),
            used: 0,
        }
    }

    /// Adds an entry, after which reading goes on at `next`. `false`: it doesn't fit (or memory
    /// is out), and it is the first entry of the next call.
    pub fn push(&mut self, entry: &Entry<'_>, next: u64) -> bool {
        let (head, tail) = match self.layout {
            Layout::Old => (18, 2),
            Layout::Wide => (19, 1),
        };
        let length = (head + entry.name.len() + tail).next_multiple_of(8);
        let end = self.used + length;
        if end > self.bytes.len() && !self.grow(end) {
            return false;
        }
        let Some(record) = self.bytes.get_mut(self.used..end) else {
            return false;
        };
        if let Some((ino, rest)) = record.split_first_chunk_mut()
            && let Some((offset, rest)) = rest.split_first_chunk_mut()
            && let Some(third) = rest.first_chunk_mut()
        {
            *ino = entry.ino.to_le_bytes();
            *offset = next.to_le_bytes();
            // The name lies over the type in the old layout, whose type is at the end.
            *third = (u64_of(length) & 0xFFFF | u64::from(entry.kind) << 16).to_le_bytes();
        }
        if let Some(name) = record.get_mut(head..head + entry.name.len()) {
            name.copy_from_slice(entry.name);
        }
        if self.layout == Layout::Old {
            // An empty name's NUL, which the type was written over.
            if let Some(after) = record.get_mut(head + entry.name.len()) {
                *after = 0;
            }
            if let Some(last) = record.last_mut() {
                *last = entry.kind;
            }
        }
        self.used = end;
        true
    }

    /// Makes the buffer larger, so that `end` is within it: twice as large, so that this is seldom.
    #[cold]
    fn grow(&mut self, end: usize) -> bool {
        let len = end.max(2 * self.bytes.len()).max(1024).min(self.room);
        if end > len
            || self
                .bytes
                .try_reserve_exact(len - self.bytes.len())
                .is_err()
        {
            return false;
        }
        self.bytes.resize(len, 0);
        true
    }

    /// The entries so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let entry = Entry {
            ino: 5,
            kind: 4,
            name: b"abc",
        };
        let mut wide = Writer::new(Layout::Wide, 60);
        assert!(wide.push(&entry, 7));
        assert_eq!(wide.bytes().len(), 24);
        assert_eq!(&wide.bytes()[16..], b"\x18\0\x04abc\0\0");
        assert!(wide.push(&entry, 8));
        assert!(!wide.push(&entry, 9), "48 + 24 > 60");
        let mut old = Writer::new(Layout::Old, 24);
        assert!(old.push(&entry, 7));
        assert_eq!(&old.bytes()[16..], b"\x18\0abc\0\0\x04");
    }
    #[test]
    fn room_grows_to_the_programs() {
        for layout in [Layout::Old, Layout::Wide] {
            let mut writer = Writer::new(layout, 5000);
            let mut length = 0;
            for index in 0.. {
                let name = alloc::vec![b'n'; index % 256];
                let entry = Entry {
                    ino: 1,
                    kind: 8,
                    name: &name,
                };
                let needed = (name.len() + 20).next_multiple_of(8);
                assert_eq!(writer.push(&entry, 0), length + needed <= 5000);
                if length + needed > 5000 {
                    break;
                }
                let record = &writer.bytes()[length..];
                let [head, kind] = match layout {
                    Layout::Old => [18, needed - 1],
                    Layout::Wide => [19, 18],
                };
                assert_eq!(
                    usize::from(record[16]) | usize::from(record[17]) << 8,
                    needed
                );
                assert_eq!(
                    (&record[head..head + name.len()], record[kind]),
                    (&name[..], 8)
                );
                assert_eq!(record[head + name.len()], 0, "a NUL after the name");
                length += needed;
            }
            assert_eq!(writer.bytes().len(), length);
        }
    }
}
