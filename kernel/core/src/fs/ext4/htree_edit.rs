//! Hash trees of directories: making one, and adding names to it.

use super::Ext4;
use super::buffer::Kind;
use super::bytes::{part, put_slice, put8, put16, put32};
use super::device::Device;
use super::dir::{HEAD, Records, init_leaf, leaf_end, needed, put_record};
use super::dir_edit::NewEntry;
use super::error::{Error, Result};
use super::hash::{Hash, Hasher};
use super::htree::{Frame, LEVELS, MAX_LEVELS, Way};
use super::inode::Inode;
use crate::num::{low8, low16, u64_of};
use crate::sort;
use alloc::vec::Vec;

const BAD: Error = Error::Corrupt("directory index");
/// Bytes of an index entry: hash and block.
const ENTRY: usize = 8;
/// Where the entries begin in a root and in a node.
const ROOT_AT: usize = 32;
const NODE_AT: usize = 8;

/// An entry of a leaf that is being split.
#[derive(Clone, Copy, Debug)]
struct Item {
    hash: Hash,
    at: usize,
    size: usize,
}

impl<D: Device> Ext4<D> {
    /// Index entries that fit behind `at`; checksums take one's room.
    fn index_limit(&self, at: usize) -> usize {
        let tail = usize::from(self.sup.has_csum());
        (self.sup.block_size - at) / ENTRY - tail
    }

    /// Enters a name into an indexed directory.
    pub(super) fn add_indexed(&mut self, dir: &mut Inode, new: NewEntry<'_>) -> Result<()> {
        let hasher = self.hasher(dir)?;
        let hash = hasher.hash(new.name).major;
        // One round per level that has to grow or split, one for the leaf, one to succeed.
        for _ in 0..2 * MAX_LEVELS + 3 {
            let way = self.probe(dir, hash)?;
            if self.add_to_block(dir, way.leaf, new)? {
                return Ok(());
            }
            let last = way.frame(way.levels - 1)?;
            if last.count >= last.limit {
                self.make_room(dir, &way)?;
            } else {
                self.split_leaf(dir, &way, &hasher)?;
            }
        }
        Err(Error::NoSpace)
    }

    fn edit_frame(&mut self, dir: &Inode, frame: &Frame) -> Result<&mut [u8]> {
        let kind = Kind::Directory(dir.seed);
        let size = self.sup.block_size;
        self.cache.edit(frame.block, kind, 0..size)
    }

    /// Adds an index entry behind the one that `frame` took.
    fn insert_index(&mut self, dir: &Inode, frame: &Frame, hash: u32, block: u32) -> Result<()> {
        let Frame {
            at,
            count,
            limit,
            index,
            ..
        } = *frame;
        if count >= limit || index >= count {
            return Err(BAD);
        }
        let bytes = self.edit_frame(dir, frame)?;
        let place = at + (index + 1) * ENTRY;
        let end = at + count * ENTRY;
        if end + ENTRY > bytes.len() || place > end {
            return Err(BAD);
        }
        bytes.copy_within(place..end, place + ENTRY);
        put32(bytes, place, hash)?;
        put32(bytes, place + 4, block)?;
        put16(bytes, at + 2, low16(u64_of(count + 1)))
    }

    /// Makes room in the lowest index block of `way` by splitting the highest full block whose
    /// parent has room, or by growing the tree.
    fn make_room(&mut self, dir: &mut Inode, way: &Way) -> Result<()> {
        let is_full = |frame: &Frame| frame.count >= frame.limit;
        let mut level = way.levels - 1;
        while level > 0 && is_full(&way.frame(level - 1)?) {
            level -= 1;
        }
        if level == 0 {
            return self.grow_index(dir, way);
        }
        self.split_index(dir, &way.frame(level - 1)?, &way.frame(level)?)
    }

    /// Moves the upper half of a full index block to a new one.
    fn split_index(&mut self, dir: &mut Inode, parent: &Frame, full: &Frame) -> Result<()> {
        let middle = full.count / 2;
        let moved = self.index_entries(dir, full, middle..full.count)?;
        let first = super::bytes::get32(&moved, 0)?;
        let number = self.new_index_block(dir, &moved)?;
        let bytes = self.edit_frame(dir, full)?;
        put16(bytes, full.at + 2, low16(u64_of(middle)))?;
        self.insert_index(dir, parent, first, number)
    }

    /// The bytes of some entries of an index block.
    fn index_entries(
        &mut self,
        dir: &Inode,
        frame: &Frame,
        range: core::ops::Range<usize>,
    ) -> Result<Vec<u8>> {
        let slot = self.block(frame.block, Kind::Directory(dir.seed))?;
        let from = frame.at + range.start * ENTRY..frame.at + range.end * ENTRY;
        let bytes = part(self.cache.data(slot), from)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())
            .map_err(|_| Error::NoMemory)?;
        copy.extend_from_slice(bytes);
        Ok(copy)
    }

    /// Appends an index node with these entries (the first one's hash isn't kept).
    fn new_index_block(&mut self, dir: &mut Inode, entries: &[u8]) -> Result<u32> {
        let limit = self.index_limit(NODE_AT);
        let count = entries.len() / ENTRY;
        if count > limit {
            return Err(BAD);
        }
        let (number, block) = self.append_raw_block(dir)?;
        let size = self.sup.block_size;
        let bytes = self.cache.edit(block, Kind::Directory(dir.seed), 0..size)?;
        put16(bytes, 4, low16(u64_of(size)))?;
        put_slice(bytes, NODE_AT, entries)?;
        put16(bytes, NODE_AT, low16(u64_of(limit)))?;
        put16(bytes, NODE_AT + 2, low16(u64_of(count)))?;
        Ok(number)
    }

    /// Puts a level between the root and what it points to.
    fn grow_index(&mut self, dir: &mut Inode, way: &Way) -> Result<()> {
        if way.levels >= self.sup.max_levels() {
            return Err(Error::NoSpace);
        }
        let root = way.frame(0)?;
        let entries = self.index_entries(dir, &root, 0..root.count)?;
        let number = self.new_index_block(dir, &entries)?;
        let bytes = self.edit_frame(dir, &root)?;
        put16(bytes, ROOT_AT + 2, 1)?;
        put32(bytes, ROOT_AT + 4, number)?;
        put8(bytes, LEVELS, low8(u64_of(way.levels)))
    }

    /// Moves the names with the higher hashes of a full leaf to a new one.
    fn split_leaf(&mut self, dir: &mut Inode, way: &Way, hasher: &Hasher) -> Result<()> {
        let (old, slot) = self.dir_block(dir, way.leaf)?.ok_or(BAD)?;
        let data = self.cache.data(slot);
        let mut copy = Vec::new();
        copy.try_reserve_exact(data.len())
            .map_err(|_| Error::NoMemory)?;
        copy.extend_from_slice(data);
        let items = sorted(&copy, hasher)?;
        let middle = middle(&items, copy.len()).ok_or(BAD)?;
        let (low, high) = items.split_at_checked(middle).ok_or(BAD)?;
        let (Some(last), Some(first)) = (low.last(), high.first()) else {
            return Err(BAD);
        };
        let goes_on = u32::from(last.hash.major == first.hash.major);
        let hash = first.hash.major | goes_on;
        let (number, new) = self.append_raw_block(dir)?;
        self.write_leaf(dir, new, &copy, high)?;
        self.write_leaf(dir, old, &copy, low)?;
        let frame = way.frame(way.levels - 1)?;
        self.insert_index(dir, &frame, hash, number)
    }

    /// Writes a leaf that holds `items` of the leaf `from`.
    fn write_leaf(&mut self, dir: &Inode, block: u64, from: &[u8], items: &[Item]) -> Result<()> {
        let csum = self.sup.has_csum();
        let size = self.sup.block_size;
        let bytes = self.cache.edit(block, Kind::Directory(dir.seed), 0..size)?;
        fill_leaf(bytes, csum, from, items.iter())
    }

    /// Turns a directory of one full block into an indexed one; false when that block isn't laid
    /// out as an index needs it.
    pub(super) fn make_index(&mut self, dir: &mut Inode) -> Result<bool> {
        let version = self.sup.hash_version;
        let Some(hasher) = self.sup.hasher() else {
            return Ok(false);
        };
        let (root, slot) = self.dir_block(dir, 0)?.ok_or(BAD)?;
        let data = self.cache.data(slot);
        let mut copy = Vec::new();
        copy.try_reserve_exact(data.len())
            .map_err(|_| Error::NoMemory)?;
        copy.extend_from_slice(data);
        let Some(parent) = parent_of(&copy)? else {
            return Ok(false);
        };
        let items = sorted(&copy, &hasher)?;
        let (number, leaf) = self.append_raw_block(dir)?;
        self.write_leaf(dir, leaf, &copy, &items)?;
        let (ino, byte) = (dir.ino, self.kind_byte(super::FileType::Directory));
        let limit = self.index_limit(ROOT_AT);
        let size = self.sup.block_size;
        let bytes = self.cache.edit(root, Kind::Directory(dir.seed), 0..size)?;
        bytes.fill(0);
        put_record(bytes, 0, 12, ino, byte, b".")?;
        put_record(bytes, 12, size - 12, parent, byte, b"..")?;
        put8(bytes, 28, version)?;
        put8(bytes, 29, 8)?;
        put16(bytes, ROOT_AT, low16(u64_of(limit)))?;
        put16(bytes, ROOT_AT + 2, 1)?;
        put32(bytes, ROOT_AT + 4, number)?;
        dir.flags |= super::inode::FLAG_INDEX;
        Ok(true)
    }
}

/// The parent that `..` names, when `.` and `..` lie as an index needs them.
fn parent_of(b: &[u8]) -> Result<Option<u32>> {
    let mut records = Records::new(b, false);
    let (Some(dot), Some(dots)) = (records.next(), records.next()) else {
        return Ok(None);
    };
    let (dot, dots) = (dot?, dots?);
    let right = dot.name == b"." && dots.name == b".." && dots.at == 12;
    Ok(right.then_some(dots.ino))
}

/// The used entries of a leaf in the order of their hashes, without `.` and `..`.
fn sorted(b: &[u8], hasher: &Hasher) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    items
        .try_reserve_exact(b.len() / (HEAD + 4))
        .map_err(|_| Error::NoMemory)?;
    for record in Records::new(b, false) {
        let record = record?;
        if record.ino != 0 && record.name != b"." && record.name != b".." {
            items.push(Item {
                hash: hasher.hash(record.name),
                at: record.at,
                size: needed(record.name.len()),
            });
        }
    }
    sort::by_key(&mut items, |item| (item.hash, item.at));
    Ok(items)
}

/// Where to split: so that each part has about half of the bytes, and at least one entry.
fn middle(items: &[Item], block: usize) -> Option<usize> {
    let mut size = 0;
    let moved = items
        .iter()
        .rev()
        .take_while(|item| {
            let fits = size + item.size / 2 <= block / 2;
            size += item.size;
            fits
        })
        .count();
    let most = items.len().checked_sub(1).filter(|most| *most > 0)?;
    Some(items.len() - moved.clamp(1, most))
}

/// Fills a leaf with entries that lie in `from`.
fn fill_leaf<'a>(
    bytes: &mut [u8],
    csum: bool,
    from: &[u8],
    items: impl Iterator<Item = &'a Item>,
) -> Result<()> {
    bytes.fill(0);
    init_leaf(bytes, csum)?;
    let end = leaf_end(bytes);
    let mut at = 0;
    let mut last = None;
    for item in items {
        put_slice(bytes, at, part(from, item.at..item.at + item.size)?)?;
        put16(bytes, at + 4, low16(u64_of(item.size)))?;
        last = Some(at);
        at += item.size;
    }
    if let Some(last) = last {
        put16(bytes, last + 4, low16(u64_of(end - last)))?;
    }
    Ok(())
}
