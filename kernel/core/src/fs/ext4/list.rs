//! Listing directories, in the order that Linux lists them: by hash where the directory has an
//! index or could have one, else as the entries lie.
//!
//! The order by hash makes cursors stable while names come and go: a cursor is the place of a
//! name in the order of hashes (31 bits of the major hash, 24 of the minor), and below that the
//! number among names of one place.

use super::Ext4;
use super::FileType;
use super::buffer::Kind;
use super::device::Device;
use super::dir::{Record, Records, leaf_end};
use super::error::{Error, Result};
use super::hash::{Hash, Hasher};
use super::inode::{Ino, Inode};
use super::superblock::Compat;
use crate::num::{high32, low32, low64, u64_of, usize_of, usize_of32};
use crate::sort;
use alloc::vec::Vec;

const BAD: Error = Error::Corrupt("directory index");
/// Bits of a cursor that number the names of one place.
const NUMBER_BITS: u32 = 8;
/// Leaves gathered because names of one hash go on in the next: no sound directory comes near.
const MAX_CHAIN: usize = 16;

/// An entry, as listing a directory gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub ino: Ino,
    /// [`FileType::Unknown`] where the file system doesn't note it.
    pub kind: FileType,
    pub name: &'a [u8],
    /// The cursor with which listing goes on behind this entry.
    pub next: u64,
}

/// What is called with each entry; false stops.
type Each<'a> = dyn FnMut(Entry<'_>) -> bool + 'a;

/// An entry to be listed, one number to be quickly sorted by: its hash, the number of its leaf among those gathered, and
/// where it lies there. So names of one hash stay in the order of the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item(u128);

impl Item {
    fn new(hash: Hash, leaf: usize, at: usize) -> Self {
        let place = low32(u64_of(leaf << 16 | at));
        let hash = u64::from(hash.major) << 32 | u64::from(hash.minor);
        Self(u128::from(hash) << 32 | u128::from(place))
    }

    fn hash(self) -> Hash {
        let hash = low64(self.0 >> 32);
        Hash {
            major: high32(hash),
            minor: low32(hash),
        }
    }

    /// The number of its leaf, and where it lies there.
    fn place(self) -> (usize, usize) {
        let place = low32(low64(self.0));
        (usize_of32(place >> 16), usize_of32(place & 0xFFFF))
    }
}

/// Entries gathered to be listed together.
#[derive(Default)]
struct Gathered {
    items: Vec<Item>,
    /// Their leaves' blocks.
    leaves: Vec<u64>,
}

impl Gathered {
    /// Another leaf, whose entries come; its number.
    fn leaf(&mut self, block: u64) -> Result<usize> {
        self.leaves.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.leaves.push(block);
        Ok(self.leaves.len() - 1)
    }

    fn push(&mut self, item: Item) -> Result<()> {
        self.items.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.items.push(item);
        Ok(())
    }

    fn clear(&mut self) {
        self.items.clear();
        self.leaves.clear();
    }
}

fn place(hash: Hash) -> u64 {
    u64::from(hash.major >> 1) << 24 | u64::from(hash.minor >> 8)
}

/// Sends items on that lie at or behind a cursor, numbering those of one place.
struct Sender {
    cursor: u64,
    /// Place and number of the item before.
    last: Option<(u64, u64)>,
}

impl Sender {
    /// The cursor behind this item, if the item is to be listed.
    fn pass(&mut self, hash: Hash) -> Option<u64> {
        let place = place(hash);
        let number = match self.last {
            Some((last, number)) if last == place => number + 1,
            _ => 0,
        };
        self.last = Some((place, number));
        let most = (1 << NUMBER_BITS) - 1;
        let at = place << NUMBER_BITS | number.min(most);
        (at >= self.cursor).then(|| at + 1)
    }
}

impl<D: Device> Ext4<D> {
    /// Lists directory `dir` from `cursor` on (0: the start) until `each` answers false.
    ///
    /// # Errors
    /// [`Error::NotDirectory`], or when the directory can't be read.
    pub fn read_dir(
        &mut self,
        dir: Ino,
        cursor: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        let dir = self.load_dir(dir)?;
        if dir.is_indexed(&self.sup) {
            return self.list_indexed(&dir, cursor, each);
        }
        let could_be =
            self.sup.compat.contains(Compat::DIR_INDEX) && self.sup.dir_blocks(&dir) == 1;
        match self.sup.hasher() {
            Some(hasher) if could_be => self.list_single(&dir, &hasher, cursor, each),
            _ => self.list_linear(&dir, cursor, each),
        }
    }

    /// Lists a directory of one block.
    fn list_single(
        &mut self,
        dir: &Inode,
        hasher: &Hasher,
        cursor: u64,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let mut items = Gathered::default();
        self.gather_names(dir, 0, hasher, &mut items, true)?;
        let mut sender = Sender { cursor, last: None };
        self.send(dir, &mut items, &mut sender, each)?;
        Ok(())
    }

    /// Lists by the leaves of the index, each sorted.
    fn list_indexed(&mut self, dir: &Inode, cursor: u64, each: &mut Each<'_>) -> Result<()> {
        let hasher = self.hasher(dir)?;
        let mut sender = Sender { cursor, last: None };
        let mut items = Gathered::default();
        if cursor >> 32 <= 1 {
            self.gather_dots(dir, &mut items)?;
            if !self.send(dir, &mut items, &mut sender, each)? {
                return Ok(());
            }
        }
        let start = low32(cursor >> 32).wrapping_shl(1);
        let mut way = self.probe(dir, start)?;
        loop {
            let mut chain = 0;
            let end = loop {
                self.gather_names(dir, way.leaf, &hasher, &mut items, false)?;
                chain += 1;
                match self.next_leaf(dir, &mut way)? {
                    Some(next) if next & 1 != 0 && chain < MAX_CHAIN => {}
                    next => break next.is_none(),
                }
            };
            if !self.send(dir, &mut items, &mut sender, each)? || end {
                return Ok(());
            }
        }
    }

    /// `.` and `..` of an indexed directory come first.
    fn gather_dots(&mut self, dir: &Inode, items: &mut Gathered) -> Result<()> {
        let (block, _) = self.dir_block(dir, 0)?.ok_or(BAD)?;
        let leaf = items.leaf(block)?;
        for (major, at) in [(0, 0), (2, 12)] {
            items.push(Item::new(Hash { major, minor: 0 }, leaf, at))?;
        }
        Ok(())
    }

    /// Adds the entries of one block to `items`.
    fn gather_names(
        &mut self,
        dir: &Inode,
        number: u32,
        hasher: &Hasher,
        items: &mut Gathered,
        dots: bool,
    ) -> Result<()> {
        let (block, slot) = self.dir_block(dir, number)?.ok_or(BAD)?;
        let leaf = items.leaf(block)?;
        for record in Records::new(self.cache.data(slot), false) {
            let Record { at, ino, name, .. } = record?;
            if ino == 0 || (!dots && (name == b"." || name == b"..")) {
                continue;
            }
            items.push(Item::new(hasher.hash(name), leaf, at))?;
        }
        Ok(())
    }

    /// Lists gathered items in their order; false when `each` had enough.
    fn send(
        &mut self,
        dir: &Inode,
        items: &mut Gathered,
        sender: &mut Sender,
        each: &mut Each<'_>,
    ) -> Result<bool> {
        sort::by(&mut items.items, |a, b| a < b);
        let typed = self.sup.has_types();
        let mut open = None;
        for item in &items.items {
            let Some(next) = sender.pass(item.hash()) else {
                continue;
            };
            let (leaf, at) = item.place();
            let (slot, end) = match open {
                Some((number, slot, end)) if number == leaf => (slot, end),
                _ => {
                    let block = items.leaves.get(leaf).copied().ok_or(BAD)?;
                    let slot = self.block(block, Kind::Directory(dir.seed))?;
                    (slot, leaf_end(self.cache.data(slot)))
                }
            };
            open = Some((leaf, slot, end));
            let Record {
                ino, kind, name, ..
            } = Record::parse(self.cache.data(slot), at, end, typed)?;
            if !each(Entry {
                ino,
                kind,
                name,
                next,
            }) {
                return Ok(false);
            }
        }
        items.clear();
        Ok(true)
    }

    /// Lists in the order of the blocks; the cursor is a byte position. Entries may have been
    /// joined since it was given out, so each block is walked from its start.
    fn list_linear(&mut self, dir: &Inode, cursor: u64, each: &mut Each<'_>) -> Result<()> {
        let bits = self.sup.block_bits;
        let first = cursor >> bits;
        for number in 0..self.sup.dir_blocks(dir) {
            if u64::from(number) < first {
                continue;
            }
            let Some((_, slot)) = self.dir_block(dir, number)? else {
                continue;
            };
            let base = u64::from(number) << bits;
            let least = usize_of(cursor.saturating_sub(base));
            for record in Records::new(self.cache.data(slot), self.sup.has_types()) {
                let Record {
                    at,
                    length,
                    ino,
                    kind,
                    name,
                } = record?;
                let next = base + u64_of(at + length);
                if ino != 0
                    && at >= least
                    && !each(Entry {
                        ino,
                        kind,
                        name,
                        next,
                    })
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
