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
    bytes: Vec<u8>,
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
        }
    }

    /// Adds an entry, after which reading goes on at `next`. `false`: it doesn't fit (or memory
    /// is out), and it is the first entry of the next call.
    pub fn push(&mut self, entry: &Entry<'_>, next: u64) -> bool {
        let head = match self.layout {
            Layout::Old => 18,
            Layout::Wide => 19,
        };
        let tail = match self.layout {
            Layout::Old => 2,
            Layout::Wide => 1,
        };
        let length = (head + entry.name.len() + tail).next_multiple_of(8);
        if length > self.room - self.bytes.len() || self.bytes.try_reserve(length).is_err() {
            return false;
        }
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        let record = self.bytes.get_mut(start..).unwrap_or_default();
        // The name lies over the type in the old layout, whose type is at the end.
        if let Some(start) = record.first_chunk_mut::<19>() {
            let fields = u128::from(next) << 64 | u128::from(entry.ino);
            let [.., low, high] = u64_of(length).to_be_bytes();
            start[..16].copy_from_slice(&fields.to_le_bytes());
            start[16..].copy_from_slice(&[high, low, entry.kind]);
        }
        if self.layout == Layout::Old
            && let Some(last) = record.last_mut()
        {
            *last = entry.kind;
        }
        if let Some(name) = record.get_mut(head..head + entry.name.len()) {
            name.copy_from_slice(entry.name);
        }
        true
    }

    /// The entries so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
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
}
