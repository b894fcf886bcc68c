//! Extended attributes: in the inode behind its fixed part, and in one block that inodes with the
//! same attributes may share.
//!
//! Layout: `struct ext4_xattr_entry` and `ext4_xattr_header` (Linux, fs/ext4/xattr.h). A set of
//! attributes is read whole, changed in memory and written back.

use super::buffer::Kind;
use super::bytes::{get8, get16, get32, part, put_slice, put8, put16, put32};
use super::device::Device;
use super::error::{Error, Result};
use super::inode::{Ino, Inode};
use super::{Ext4, Time};
use crate::num::{low8, low16, low32, u64_of, usize_of32};
use crate::sort;
use alloc::vec::Vec;

const MAGIC: u32 = 0xEA02_0000;
/// Bytes of the header of a block of attributes.
const BLOCK_HEAD: usize = 32;
const ENTRY_HEAD: usize = 16;
/// Most inodes that may share a block.
const MAX_SHARE: u32 = 1024;
const BAD: Error = Error::Corrupt("extended attributes");

/// Name prefixes that are stored as a number.
const PREFIXES: [(u8, &[u8]); 5] = [
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
];

/// How [`Ext4::set_xattr`] treats what is there already (`XATTR_CREATE`, `XATTR_REPLACE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetMode {
    Any,
    Create,
    Replace,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    index: u8,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Attribute {
    /// Bytes that it takes: its entry, and its value.
    fn size(&self) -> usize {
        entry_size(self.name.len()) + self.value.len().next_multiple_of(4)
    }

    fn is(&self, index: u8, name: &[u8]) -> bool {
        self.index == index && self.name == name
    }

    /// `ext4_xattr_hash_entry`: over the name's characters and the value's words.
    fn hash(&self) -> u32 {
        let named = self
            .name
            .iter()
            .fold(0u32, |hash, byte| hash.rotate_left(5) ^ u32::from(*byte));
        self.value.chunks(4).fold(named, |hash, chunk| {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

fn entry_size(name: usize) -> usize {
    (ENTRY_HEAD + name).next_multiple_of(4)
}

fn copied(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| Error::NoMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Index and rest of a full name; `None` for a name space that isn't stored here.
fn split_name(name: &[u8]) -> Option<(u8, &[u8])> {
    PREFIXES.iter().find_map(|(index, prefix)| {
        let rest = name.strip_prefix(*prefix)?;
        let whole = matches!(index, 2 | 3);
        (whole == rest.is_empty()).then_some((*index, rest))
    })
}

fn prefix_of(index: u8) -> Option<&'static [u8]> {
    PREFIXES
        .iter()
        .find(|(number, _)| *number == index)
        .map(|(_, prefix)| *prefix)
}

/// Reads the entries from byte `first` of `b` on; values lie at offsets from `base`.
fn decode(b: &[u8], first: usize, base: usize) -> Result<Vec<Attribute>> {
    let mut list = Vec::new();
    let mut at = first;
    while get32(b, at)? != 0 {
        let name_length = usize::from(get8(b, at)?);
        let offset = usize::from(get16(b, at + 2)?);
        if get32(b, at + 4)? != 0 {
            return Err(Error::Unsupported("attribute in an inode of its own"));
        }
        let size = usize_of32(get32(b, at + 8)?);
        let name = part(b, at + ENTRY_HEAD..at + ENTRY_HEAD + name_length)?;
        let start = base + offset;
        let value = if size == 0 {
            &[]
        } else {
            part(b, start..start.saturating_add(size))?
        };
        list.try_reserve(1).map_err(|_| Error::NoMemory)?;
        list.push(Attribute {
            index: get8(b, at + 1)?,
            name: copied(name)?,
            value: copied(value)?,
        });
        at += entry_size(name_length);
    }
    Ok(list)
}

/// Whether the attributes fit into `room` bytes, with the four zero bytes that end the entries.
fn fits(list: &[Attribute], room: usize) -> bool {
    list.iter().map(Attribute::size).sum::<usize>() + 4 <= room
}

/// Writes entries from `first` of `b` on and values from its end down; answers their hashes'
/// combination. Entries in an inode carry no hash.
fn encode(
    b: &mut [u8],
    first: usize,
    base: usize,
    list: &[Attribute],
    hashed: bool,
) -> Result<u32> {
    let mut at = first;
    let mut end = b.len();
    let mut all = 0u32;
    for attribute in list {
        let Attribute { index, name, value } = attribute;
        let room = value.len().next_multiple_of(4);
        let start = end.checked_sub(room).ok_or(BAD)?;
        let hash = if hashed { attribute.hash() } else { 0 };
        put8(b, at, low8(u64_of(name.len())))?;
        put8(b, at + 1, *index)?;
        let offset = if value.is_empty() {
            0
        } else {
            start.checked_sub(base).ok_or(BAD)?
        };
        put16(b, at + 2, low16(u64_of(offset)))?;
        put32(b, at + 8, low32(u64_of(value.len())))?;
        put32(b, at + 12, hash)?;
        put_slice(b, at + ENTRY_HEAD, name)?;
        put_slice(b, start, value)?;
        all = if hash == 0 {
            0
        } else {
            all.rotate_left(16) ^ hash
        };
        at += entry_size(name.len());
        end = start;
    }
    Ok(all)
}

/// Both places' attributes.
#[derive(Debug, Default)]
struct Sets {
    inode: Vec<Attribute>,
    block: Vec<Attribute>,
}

impl Sets {
    fn find(&self, index: u8, name: &[u8]) -> Option<&Attribute> {
        self.inode
            .iter()
            .chain(&self.block)
            .find(|attribute| attribute.is(index, name))
    }

    fn remove(&mut self, index: u8, name: &[u8]) {
        self.inode.retain(|attribute| !attribute.is(index, name));
        self.block.retain(|attribute| !attribute.is(index, name));
    }
}

impl<D: Device> Ext4<D> {
    fn read_sets(&mut self, inode: &Inode) -> Result<Sets> {
        let tail = self.inode_tail(inode)?;
        let mut sets = Sets::default();
        if tail.len() >= 8 && get32(&tail, 0)? == MAGIC {
            sets.inode = decode(&tail, 4, 4)?;
        }
        if inode.file_acl != 0 {
            let slot = self.block(inode.file_acl, Kind::Attributes)?;
            let bytes = self.cache.data(slot);
            if get32(bytes, 0)? != MAGIC || get32(bytes, 8)? != 1 {
                return Err(BAD);
            }
            sets.block = decode(bytes, BLOCK_HEAD, 0)?;
        }
        Ok(sets)
    }

    /// The value of attribute `name` of inode `ino`.
    ///
    /// # Errors
    /// [`Error::NoAttribute`], [`Error::NotPermitted`] for a name space that isn't stored.
    pub fn get_xattr(&mut self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        let (index, rest) = split_name(name).ok_or(Error::NotPermitted)?;
        let inode = self.load(ino)?;
        let sets = self.read_sets(&inode)?;
        let found = sets.find(index, rest).ok_or(Error::NoAttribute)?;
        copied(&found.value)
    }

    /// Calls `each` with the full name of every attribute of inode `ino`.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn list_xattr(&mut self, ino: Ino, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let inode = self.load(ino)?;
        let sets = self.read_sets(&inode)?;
        let mut full = Vec::new();
        full.try_reserve_exact(32 + 255)
            .map_err(|_| Error::NoMemory)?;
        for attribute in sets.inode.iter().chain(&sets.block) {
            let Some(prefix) = prefix_of(attribute.index) else {
                continue;
            };
            full.clear();
            full.extend_from_slice(prefix);
            full.extend_from_slice(&attribute.name);
            each(&full);
        }
        Ok(())
    }

    /// Sets attribute `name` of inode `ino`.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when inode and block together are too small for it, [`Error::Exists`],
    /// [`Error::NoAttribute`], [`Error::Range`] for a bad name, [`Error::NotPermitted`] for a name
    /// space that isn't stored.
    pub fn set_xattr(
        &mut self,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        mode: SetMode,
        now: Time,
    ) -> Result<()> {
        let (index, rest) = split_name(name).ok_or(Error::NotPermitted)?;
        if rest.len() > 255 {
            return Err(Error::Range);
        }
        if value.len() > self.sup.block_size {
            return Err(Error::NoSpace);
        }
        let inode = self.load(ino)?;
        let mut sets = self.read_sets(&inode)?;
        match (mode, sets.find(index, rest).is_some()) {
            (SetMode::Create, true) => return Err(Error::Exists),
            (SetMode::Replace, false) => return Err(Error::NoAttribute),
            _ => {}
        }
        sets.remove(index, rest);
        let new = Attribute {
            index,
            name: copied(rest)?,
            value: copied(value)?,
        };
        self.place_attribute(&inode, &mut sets, new)?;
        self.transact(|fs| fs.write_sets(inode, &sets, now))
    }

    /// Removes attribute `name` of inode `ino`.
    ///
    /// # Errors
    /// As [`Ext4::get_xattr`].
    pub fn remove_xattr(&mut self, ino: Ino, name: &[u8], now: Time) -> Result<()> {
        let (index, rest) = split_name(name).ok_or(Error::NotPermitted)?;
        let inode = self.load(ino)?;
        let mut sets = self.read_sets(&inode)?;
        if sets.find(index, rest).is_none() {
            return Err(Error::NoAttribute);
        }
        sets.remove(index, rest);
        self.transact(|fs| fs.write_sets(inode, &sets, now))
    }

    /// Bytes in the inode for attributes, without their magic number.
    fn inode_room(&self, inode: &Inode) -> usize {
        let fixed = 128 + usize::from(inode.extra_isize);
        if inode.extra_isize == 0 {
            return 0;
        }
        self.sup.inode_size.saturating_sub(fixed + 4)
    }

    /// Adds an attribute where it fits: in the inode, else in the block.
    fn place_attribute(&self, inode: &Inode, sets: &mut Sets, new: Attribute) -> Result<()> {
        let room = self.inode_room(inode);
        let list = &mut sets.inode;
        list.try_reserve(1).map_err(|_| Error::NoMemory)?;
        list.push(new);
        if fits(list, room) {
            return Ok(());
        }
        let new = list.pop().ok_or(BAD)?;
        let list = &mut sets.block;
        list.try_reserve(1).map_err(|_| Error::NoMemory)?;
        list.push(new);
        if !fits(list, self.sup.block_size - BLOCK_HEAD) {
            return Err(Error::NoSpace);
        }
        // Linux looks names up in a block in this order.
        sort::by(list, |a, b| {
            (a.index, a.name.len(), &a.name) < (b.index, b.name.len(), &b.name)
        });
        Ok(())
    }

    fn write_sets(&mut self, mut inode: Inode, sets: &Sets, now: Time) -> Result<()> {
        let mut tail = self.inode_tail(&inode)?;
        if tail.len() >= 8 {
            tail.fill(0);
            if !sets.inode.is_empty() {
                put32(&mut tail, 0, MAGIC)?;
                encode(&mut tail, 4, 4, &sets.inode, false)?;
            }
            self.set_inode_tail(&inode, &tail)?;
        }
        self.write_block_set(&mut inode, &sets.block)?;
        inode.ctime = now;
        self.store(&inode)
    }

    /// Writes the block's set: to its own block, a new one, or none.
    fn write_block_set(&mut self, inode: &mut Inode, list: &[Attribute]) -> Result<()> {
        if list.is_empty() {
            return self.drop_attributes(inode);
        }
        if inode.file_acl != 0 {
            let slot = self.block(inode.file_acl, Kind::Attributes)?;
            let bytes = self.cache.data(slot);
            if get32(bytes, 4)? != 1 {
                self.drop_attributes(inode)?;
            } else if decode(bytes, BLOCK_HEAD, 0)? == list {
                return Ok(());
            }
        }
        if inode.file_acl == 0 {
            let goal = self.inode_goal(inode);
            inode.file_acl = self.alloc_meta(inode, goal, Kind::Attributes)?;
        }
        let size = self.sup.block_size;
        let bytes = self.cache.edit(inode.file_acl, Kind::Attributes, 0..size)?;
        bytes.fill(0);
        put32(bytes, 0, MAGIC)?;
        put32(bytes, 4, 1)?;
        put32(bytes, 8, 1)?;
        let hash = encode(bytes, BLOCK_HEAD, 0, list, true)?;
        put32(bytes, 12, hash)
    }

    /// Takes the block of attributes from the inode; the last one to have it frees it.
    pub(super) fn drop_attributes(&mut self, inode: &mut Inode) -> Result<()> {
        let block = inode.file_acl;
        if block == 0 {
            return Ok(());
        }
        let slot = self.block(block, Kind::Attributes)?;
        let bytes = self.cache.data(slot);
        let shared = get32(bytes, 4)?;
        if get32(bytes, 0)? != MAGIC || shared == 0 || shared > MAX_SHARE {
            return Err(BAD);
        }
        inode.file_acl = 0;
        if shared == 1 {
            return self.free_meta(inode, block);
        }
        inode.drop_blocks(&self.sup, 1);
        put32(
            self.cache.edit(block, Kind::Attributes, 4..8)?,
            0,
            shared - 1,
        )
    }
}
