//! A directory held in memory: names to values, with cursors that stay good while it changes.
//!
//! Every entry gets a cursor of its own when it is added, never used again; listing goes by
//! cursors in order. So an entry that is there throughout a listing is seen once, whatever is
//! added or removed meanwhile (readdir(3)). Neighbours: the kernel's RAMFS and procfs.

use crate::num::{high32, u64_of};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use hashbrown::HashTable;

/// The first cursor given; those below are for `.` and `..`.
pub const FIRST_CURSOR: u64 = 2;

/// Names to values of type `T`.
pub struct Index<T> {
    by_cursor: BTreeMap<u64, Entry<T>>,
    by_name: HashTable<(u32, u64)>,
    next: u64,
}

struct Entry<T> {
    name: Box<[u8]>,
    value: T,
}

/// Memory for another entry couldn't be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            by_cursor: BTreeMap::new(),
            by_name: HashTable::new(),
            next: FIRST_CURSOR,
        }
    }
}

impl<T> Index<T> {
    /// Bytes that an entry of this name takes, for those who account for memory beforehand.
    #[must_use]
    pub fn cost(name: &[u8]) -> usize {
        name.len() + 2 * size_of::<(u64, Entry<T>)>() + 32
    }

    fn cursor(&self, name: &[u8]) -> Option<u64> {
        let hash = hash_name(name);
        self.by_name
            .find(u64::from(hash), |(entry_hash, cursor)| {
                *entry_hash == hash && self.name_at(*cursor) == Some(name)
            })
            .map(|(_, cursor)| *cursor)
    }

    fn name_at(&self, cursor: u64) -> Option<&[u8]> {
        self.by_cursor.get(&cursor).map(|entry| &*entry.name)
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&T> {
        let cursor = self.cursor(name)?;
        self.by_cursor.get(&cursor).map(|entry| &entry.value)
    }

    /// The value of that name, to change.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut T> {
        let cursor = self.cursor(name)?;
        self.by_cursor
            .get_mut(&cursor)
            .map(|entry| &mut entry.value)
    }

    /// Adds or replaces; answers the value replaced, which keeps its cursor for the new one.
    ///
    /// # Errors
    /// [`NoMemory`], with nothing changed.
    pub fn insert(&mut self, name: &[u8], value: T) -> Result<Option<T>, NoMemory> {
        if let Some(old) = self.get_mut(name) {
            return Ok(Some(core::mem::replace(old, value)));
        }
        let mut owned = Vec::new();
        owned.try_reserve_exact(name.len()).map_err(|_| NoMemory)?;
        owned.extend_from_slice(name);
        self.by_name
            .try_reserve(1, |(hash, _)| u64::from(*hash))
            .map_err(|_| NoMemory)?;
        let (hash, cursor) = (hash_name(name), self.next);
        self.next += 1;
        self.by_name
            .insert_unique(u64::from(hash), (hash, cursor), |(hash, _)| {
                u64::from(*hash)
            });
        let name = owned.into_boxed_slice();
        self.by_cursor.insert(cursor, Entry { name, value });
        Ok(None)
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &[u8]) -> Option<T> {
        let cursor = self.cursor(name)?;
        let found = self
            .by_name
            .find_entry(u64::from(hash_name(name)), |(_, at)| *at == cursor);
        found.ok()?.remove();
        self.by_cursor.remove(&cursor).map(|entry| entry.value)
    }

    /// Names in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_cursor.len()
    }

    /// Whether no name is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_cursor.is_empty()
    }

    /// Entries from `cursor` on, in order: cursor, name, value.
    pub fn iter_from(&self, cursor: u64) -> impl Iterator<Item = (u64, &[u8], &T)> {
        self.by_cursor
            .range(cursor..)
            .map(|(cursor, entry)| (*cursor, &*entry.name, &entry.value))
    }
}

/// The hash of a file name, by which directories and the dentry cache find it: eight bytes a
/// step, multiplied and folded. A program that hunts collisions slows its own directories only.
#[must_use]
pub fn hash_name(name: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = u64_of(name.len());
    let mut words = name.chunks_exact(8);
    for word in words.by_ref() {
        let word = <[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes);
        hash = (hash.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    }
    let tail = words.remainder();
    let word = tail
        .iter()
        .fold(0, |word, byte| (word << 8) | u64::from(*byte));
    hash = (hash.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    high32(hash ^ (hash << 32))
}

/// Whether two names are the same: a word at a time, as most names are a few words long.
#[must_use]
pub fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (mut left, mut right) = (one.chunks_exact(8), other.chunks_exact(8));
    let word = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).map_or(0, u64::from_le_bytes);
    let same = left
        .by_ref()
        .zip(right.by_ref())
        .all(|(left, right)| word(left) == word(right));
    same && left.remainder().iter().eq(right.remainder())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap as Model;
    use std::string::String;

    proptest! {
        #[test]
        fn names_are_the_same_when_their_bytes_are(one in "[ab]{0,20}", other in "[ab]{0,20}") {
            prop_assert_eq!(is_same_name(one.as_bytes(), other.as_bytes()), one == other);
            prop_assert!(is_same_name(one.as_bytes(), one.clone().as_bytes()));
        }

        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec(("[a-e]{1,2}", 0..3u8), 0..200)) {
            let mut index = Index::default();
            let mut model: Model<String, usize> = Model::new();
            for (i, (name, what)) in steps.iter().enumerate() {
                let bytes = name.as_bytes();
                match what {
                    0 => prop_assert_eq!(index.insert(bytes, i), Ok(model.insert(name.clone(), i))),
                    1 => prop_assert_eq!(index.remove(bytes), model.remove(name)),
                    _ => prop_assert_eq!(index.get(bytes), model.get(name)),
                }
                prop_assert_eq!(index.len(), model.len());
            }
            let listed: Model<_, _> = index
                .iter_from(0)
                .map(|(_, name, value)| (String::from_utf8(name.to_vec()).unwrap(), *value))
                .collect();
            prop_assert_eq!(listed, model);
        }
    }

    #[test]
    fn a_listing_survives_changes() {
        let mut index = Index::default();
        for i in 0..100u32 {
            index.insert(std::format!("f{i}").as_bytes(), i).unwrap();
        }
        let mut seen = std::vec::Vec::new();
        let mut at = 0;
        loop {
            let entry = index.iter_from(at).next();
            let Some((cursor, name, value)) = entry.map(|(c, n, v)| (c, n.to_vec(), *v)) else {
                break;
            };
            seen.push(value);
            at = cursor + 1;
            index.remove(&name);
            if value < 100 {
                index
                    .insert(std::format!("g{value}").as_bytes(), 100 + value)
                    .unwrap();
            }
        }
        seen.truncate(100);
        assert_eq!(seen, (0..100).collect::<std::vec::Vec<_>>());
    }

    #[test]
    fn hashes_spread() {
        let mut seen = std::collections::HashSet::new();
        for i in 0..20_000 {
            seen.insert(hash_name(std::format!("file-{i:05}").as_bytes()));
        }
        assert!(seen.len() > 19_990, "{}", seen.len());
    }
}
