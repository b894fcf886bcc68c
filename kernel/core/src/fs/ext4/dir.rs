//! Directory blocks: the entries in them, searched and listed in the order they lie.
//!
//! An entry is `ext4_dir_entry_2`: inode, record length, name length, type, name. Indexed
//! directories (`htree`) hide their index in entries that look unused, so all of this works on
//! them too.

use super::buffer::{Kind, Slot};
use super::bytes::{get8, get16, get32, part, put8, put16, put32};
use super::csum::crc32c;
use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::map::State;
use super::superblock::{Incompat, Super};
use super::{Ext4, FileType, NAME_MAX};
use crate::num::{low8, low16, low32, u64_of};

const BAD: Error = Error::Corrupt("directory entry");
/// Bytes of an entry before its name.
pub(super) const HEAD: usize = 8;
/// Length of the entry that holds a block's checksum.
pub(super) const TAIL: usize = 12;

/// An entry within its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) at: usize,
    pub(super) length: usize,
    /// 0 when unused.
    pub(super) ino: Ino,
    pub(super) kind: FileType,
    pub(super) name: &'a [u8],
}

/// Bytes that an entry with a name of `length` needs.
pub(super) fn needed(length: usize) -> usize {
    (HEAD + length + 3) & !3
}

/// The fixed fields of an entry: enough to go on to the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    ino: Ino,
    pub(super) length: usize,
    name_length: usize,
    kind: u8,
}

impl Head {
    #[inline]
    pub(super) fn parse(b: &[u8], at: usize, end: usize) -> Result<Self> {
        let bytes = b.get(at..).and_then(|rest| rest.first_chunk::<HEAD>());
        let [i0, i1, i2, i3, l0, l1, name, kind] = *bytes.ok_or(BAD)?;
        let head = Self {
            ino: u32::from_le_bytes([i0, i1, i2, i3]),
            length: usize::from(u16::from_le_bytes([l0, l1])),
            name_length: usize::from(name),
            kind,
        };
        // Of a multiple of 4 it is all the same whether the name is rounded up.
        let right = head.length >= TAIL
            && head.length.is_multiple_of(4)
            && head.length >= HEAD + head.name_length
            && at + head.length <= end
            && (head.ino == 0 || head.name_length > 0);
        if right { Ok(head) } else { Err(BAD) }
    }
}

/// What a search looks at of each entry on its way. What it takes is checked as a whole.
pub(super) struct Glance {
    ino: Ino,
    pub(super) length: usize,
    name_length: usize,
}

impl Glance {
    #[inline(always)]
    pub(super) fn at(b: &[u8], at: usize) -> Result<Self> {
        let bytes = b.get(at..).and_then(|rest| rest.first_chunk::<HEAD>());
        let word = u64::from_le_bytes(*bytes.ok_or(BAD)?);
        let length = usize::from(low16(word >> 32));
        if length < TAIL {
            return Err(BAD);
        }
        Ok(Self {
            ino: low32(word),
            length,
            name_length: usize::from(low8(word >> 48)),
        })
    }

    /// Bytes of it that are in use; a new entry could have the others.
    #[inline(always)]
    pub(super) fn used(&self) -> usize {
        if self.ino == 0 {
            0
        } else {
            needed(self.name_length)
        }
    }
}

impl<'a> Record<'a> {
    pub(super) fn parse(b: &'a [u8], at: usize, end: usize, typed: bool) -> Result<Self> {
        let head = Head::parse(b, at, end)?;
        let kind = if typed {
            FileType::of_entry(head.kind)
        } else {
            FileType::Unknown
        };
        Ok(Self {
            at,
            length: head.length,
            ino: head.ino,
            kind,
            name: part(b, at + HEAD..at + HEAD + head.name_length)?,
        })
    }
}

/// The entries of one block, used or not, without the checksum's.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    typed: bool,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8], typed: bool) -> Self {
        Self {
            bytes,
            at: 0,
            end: leaf_end(bytes),
            typed,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let record = Record::parse(self.bytes, self.at, self.end, self.typed);
        self.at = match &record {
            Ok(record) => self.at + record.length,
            Err(_) => self.end,
        };
        Some(record)
    }
}

/// Where a block's entries end: before the checksum, if it has one.
pub(super) fn leaf_end(b: &[u8]) -> usize {
    if is_leaf_with_tail(b) {
        b.len() - TAIL
    } else {
        b.len()
    }
}

/// Whether the block ends with the entry that holds a leaf's checksum: unused, type 0xDE. Linux
/// leaves it behind when it turns a leaf into an index block, so those come first.
fn is_leaf_with_tail(b: &[u8]) -> bool {
    let at = b.len().saturating_sub(TAIL);
    get32(b, at) == Ok(0)
        && get32(b, at + 4) == Ok(0xDE00_000C)
        && index_at(b).is_ok_and(|index| index.is_none())
}

/// Writes an entry's fields.
pub(super) fn put_record(
    b: &mut [u8],
    at: usize,
    length: usize,
    ino: Ino,
    kind: u8,
    name: &[u8],
) -> Result<()> {
    put32(b, at, ino)?;
    put16(b, at + 4, low16(u64_of(length)))?;
    put8(b, at + 6, low8(u64_of(name.len())))?;
    put8(b, at + 7, kind)?;
    super::bytes::put_slice(b, at + HEAD, name)
}

/// Makes `b` an empty leaf.
pub(super) fn init_leaf(b: &mut [u8], csum: bool) -> Result<()> {
    let end = b.len() - if csum { TAIL } else { 0 };
    put_record(b, 0, end, 0, 0, b"")?;
    if csum {
        put32(b, end + 4, 0xDE00_000C)?;
    }
    Ok(())
}

/// Where `limit` and `count` of an index block stand, if `b` is one.
pub(super) fn index_at(b: &[u8]) -> Result<Option<usize>> {
    let size = b.len();
    let first = usize::from(get16(b, 4)?);
    if first == size && get32(b, 0)? == 0 {
        return Ok(Some(8));
    }
    let second = usize::from(get16(b, 12 + 4)?);
    let root = first == 12 && second == size - 12 && get32(b, 24)? == 0 && get8(b, 29)? == 8;
    Ok(root.then_some(32))
}

/// Place and right value of a directory block's checksum.
pub(super) fn checksum(seed: u32, b: &[u8]) -> Result<(usize, u32)> {
    if is_leaf_with_tail(b) {
        let covered = part(b, 0..b.len() - TAIL)?;
        return Ok((b.len() - 4, crc32c(seed, covered)));
    }
    let Some(at) = index_at(b)? else {
        return Err(Error::Corrupt("directory block without a checksum"));
    };
    let limit = usize::from(get16(b, at)?);
    let count = usize::from(get16(b, at + 2)?);
    let tail = at + limit * 8;
    if count > limit {
        return Err(Error::Corrupt("directory index"));
    }
    let crc = crc32c(seed, part(b, 0..at + count * 8)?);
    let crc = crc32c(crc, part(b, tail..tail + 4)?);
    Ok((tail + 4, crc32c(crc, &[0; 4])))
}

impl Super {
    pub(super) fn has_types(&self) -> bool {
        self.incompat.contains(Incompat::FILETYPE)
    }

    /// Blocks of a directory of this size.
    pub(super) fn dir_blocks(&self, dir: &Inode) -> u32 {
        low32((dir.size >> self.block_bits).min(u64::from(u32::MAX)))
    }
}

/// Where an entry was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) ino: Ino,
    /// The directory block, on the device.
    pub(super) block: u64,
    pub(super) at: usize,
}

impl<D: Device> Ext4<D> {
    /// The device block and buffer of block `number` of a directory; `None` for a hole.
    pub(super) fn dir_block(&mut self, dir: &Inode, number: u32) -> Result<Option<(u64, Slot)>> {
        let mapping = self.map_inode(dir, number, 1)?;
        match mapping.state {
            State::Hole => Ok(None),
            State::Unwritten => Err(Error::Corrupt("directory block never written")),
            State::Written => {
                let slot = self.block(mapping.start, Kind::Directory(dir.seed))?;
                Ok(Some((mapping.start, slot)))
            }
        }
    }

    /// The entry `name` in the directory block in `slot`.
    pub(super) fn search_block(
        &self,
        block: u64,
        slot: Slot,
        name: &[u8],
    ) -> Result<Option<Place>> {
        let b = self.cache.data(slot);
        let end = leaf_end(b);
        let last = name.len().saturating_sub(1);
        let mut at = 0;
        while at < end {
            let glance = Glance::at(b, at)?;
            // Most names of one length differ in the last letter.
            if glance.name_length == name.len()
                && b.get(at + HEAD + last) == name.get(last)
                && b.get(at + HEAD..at + HEAD + name.len()) == Some(name)
                && glance.ino != 0
            {
                let Head { ino, .. } = Head::parse(b, at, end)?;
                if ino > self.sup.inodes {
                    return Err(BAD);
                }
                return Ok(Some(Place { ino, block, at }));
            }
            at += glance.length;
        }
        Ok(None)
    }

    /// Where the entry `name` of directory `dir` lies.
    pub(super) fn find(&mut self, dir: &Inode, name: &[u8]) -> Result<Option<Place>> {
        if name.len() > NAME_MAX {
            return Err(Error::NameTooLong);
        }
        // `..` of an indexed directory stands in its root block, outside the hash order.
        if dir.is_indexed(&self.sup) && name != b"." && name != b".." {
            return self.find_indexed(dir, name);
        }
        self.find_linear(dir, name)
    }

    pub(super) fn find_linear(&mut self, dir: &Inode, name: &[u8]) -> Result<Option<Place>> {
        for number in 0..self.sup.dir_blocks(dir) {
            if let Some((block, slot)) = self.dir_block(dir, number)?
                && let Some(place) = self.search_block(block, slot, name)?
            {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The inode that `name` in directory `dir` names, if any.
    ///
    /// # Errors
    /// [`Error::NotDirectory`], [`Error::NameTooLong`], or when the directory can't be read.
    pub fn lookup(&mut self, dir: Ino, name: &[u8]) -> Result<Option<Ino>> {
        let dir = self.load_dir(dir)?;
        let found = self.find(&dir, name)?;
        Ok(found.map(|place| place.ino))
    }
}
