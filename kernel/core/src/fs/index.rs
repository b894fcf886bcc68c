//! A directory held in memory: names to values, with cursors that stay good while it changes.
//!
//! Every entry gets a cursor of its own when it is added, never used again; listing goes by
//! cursors in order. So an entry that is there throughout a listing is seen once, whatever is
//! added or removed meanwhile (readdir(3)). Neighbours: the kernel's RAMFS and procfs.

use crate::num::{low32, low64, u64_of, usize_of32};
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

/// The hash that an entry of the table by names has. (One function, so that the table's code is there once.)
fn hash_of((hash, _): &(u32, u64)) -> u64 {
    for_table(*hash)
}

/// A hash as tables want it: they look at the lowest bits and at the highest.
#[inline]
fn for_table(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

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
            .find(for_table(hash), |(entry_hash, cursor)| {
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
        self.by_name.try_reserve(1, hash_of).map_err(|_| NoMemory)?;
        let (hash, cursor) = (hash_name(name), self.next);
        self.next += 1;
        self.by_name
            .insert_unique(for_table(hash), (hash, cursor), hash_of);
        let name = owned.into_boxed_slice();
        self.by_cursor.insert(cursor, Entry { name, value });
        Ok(None)
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &[u8]) -> Option<T> {
        let cursor = self.cursor(name)?;
        let found = self
            .by_name
            .find_entry(for_table(hash_name(name)), |(_, at)| *at == cursor);
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

/// Bytes of a name that its key holds.
const HEAD: usize = 8;
/// Of the multiplications: the golden ratio as a fraction of 2^64, whose bits spread well.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// What tells most names apart at one look: the hash by which directories and the dentry cache find them, the length,
/// and the first bytes, which of a short name are all there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameKey {
    hash: u32,
    len: u32,
    head: u64,
}

impl NameKey {
    /// A name's key. The hash takes eight bytes a step, multiplied and folded, so that each byte reaches the lowest bits:
    /// a program that hunts collisions slows its own directories only.
    #[must_use]
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let head = head_of(name);
        let mut hash = folded(u64_of(name.len()).rotate_right(8) ^ head);
        if name.len() > HEAD {
            hash = fold_tail(hash, name);
        }
        Self {
            hash: low32(hash),
            len: low32(u64_of(name.len())),
            head,
        }
    }

    /// The hash, as tables want it.
    #[must_use]
    #[inline]
    pub fn hash(self) -> u64 {
        for_table(self.hash)
    }

    /// Whether names with this key are the same for sure.
    #[must_use]
    #[inline]
    pub fn is_whole(self) -> bool {
        usize_of32(self.len) <= HEAD
    }
}

/// The first bytes of a name, or all of a shorter one, which is told apart by them and its length.
#[inline]
fn head_of(name: &[u8]) -> u64 {
    if let Some(word) = name.first_chunk() {
        return u64::from_le_bytes(*word);
    }
    if let (Some(low), Some(high)) = (name.first_chunk(), name.last_chunk()) {
        return u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32;
    }
    let byte = |at: usize| u64::from(name.get(at).copied().unwrap_or(0));
    byte(0) | byte(name.len() / 2) << 8 | byte(name.len().saturating_sub(1)) << 16
}

/// Words of a name behind its head; the last one laps over the one before.
fn tail_of(name: &[u8]) -> impl Iterator<Item = u64> {
    let rest = name.get(HEAD..).unwrap_or(&[]).chunks_exact(HEAD);
    let words = rest.map(|word| <[u8; HEAD]>::try_from(word).map_or(0, u64::from_le_bytes));
    words.chain(name.last_chunk().map(|word| u64::from_le_bytes(*word)))
}

fn fold_tail(hash: u64, name: &[u8]) -> u64 {
    tail_of(name).fold(hash, |hash, word| folded(hash.rotate_left(29) ^ word))
}

/// The product with the factor, both halves of it.
#[inline]
fn folded(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(FACTOR);
    low64(product >> 64) ^ low64(product)
}

/// The hash of a name's [`NameKey`].
#[must_use]
pub fn hash_name(name: &[u8]) -> u32 {
    NameKey::of(name).hash
}

/// Whether two names are the same: a word at a time, as most names are a few words long.
#[must_use]
pub fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && head_of(one) == head_of(other)
        && (one.len() <= HEAD || tail_of(one).eq(tail_of(other)))
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
        fn keys_tell_names_apart(one in "[ab]{0,20}", other in "[ab]{0,20}") {
            let (key, same) = (NameKey::of(one.as_bytes()), one == other);
            let equal = key == NameKey::of(other.as_bytes());
            prop_assert!(equal || !same);
            prop_assert!(!equal || same || !key.is_whole());
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
        // What tables look at: where an entry goes, and its tag. As balls thrown into boxes.
        for form in ["name.", "file-0", "a", "some/longer/name/of.", "x.tar.gz."] {
            let keys = (0..4096).map(|i| NameKey::of(std::format!("{form}{i}").as_bytes()).hash());
            let keys: std::vec::Vec<u64> = keys.collect();
            let kinds = |of: fn(u64) -> u64| {
                keys.iter()
                    .map(|key| of(*key))
                    .collect::<std::collections::HashSet<_>>()
                    .len()
            };
            let (low, high) = (kinds(|key| key & 4095), kinds(|key| key >> 57));
            assert!(low > 2400 && high == 128, "{form}: {low}, {high}");
        }
    }
}
