//! Hash trees of directories: reading the index. A root in block 0, at most two levels of index
//! nodes below it, and leaves that are ordinary directory blocks, each holding a range of hashes.

use super::Ext4;
use super::bytes::{get8, get16, get32};
use super::device::Device;
use super::dir::{Place, index_at};
use super::error::{Error, Result};
use super::hash::Hasher;
use super::inode::Inode;
use super::superblock::{Incompat, Super};

const BAD: Error = Error::Corrupt("directory index");
/// Levels of the index, the root's included: three with the feature large_dir.
pub(super) const MAX_LEVELS: usize = 3;
/// Byte positions within the root.
const HASH_VERSION: usize = 28;
pub(super) const LEVELS: usize = 30;

/// One index block on the way to a leaf.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    /// The block within the directory, and on the device.
    pub(super) number: u32,
    pub(super) block: u64,
    /// Where limit and count stand; the entries begin here, the first one's hash is 0.
    pub(super) at: usize,
    pub(super) limit: usize,
    pub(super) count: usize,
    /// The entry taken.
    pub(super) index: usize,
}

/// The way from the root to a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) frames: [Frame; MAX_LEVELS],
    /// Frames used: 1 to 3.
    pub(super) levels: usize,
    /// The leaf's block within the directory.
    pub(super) leaf: u32,
}

impl Way {
    pub(super) fn frame(&self, level: usize) -> Result<Frame> {
        self.frames.get(level).copied().ok_or(BAD)
    }

    pub(super) fn set(&mut self, level: usize, frame: Frame) -> Result<()> {
        *self.frames.get_mut(level).ok_or(BAD)? = frame;
        Ok(())
    }
}

/// Reads limit and count of an index block.
fn frame_of(b: &[u8], number: u32, block: u64) -> Result<Frame> {
    let at = index_at(b)?.ok_or(BAD)?;
    let limit = usize::from(get16(b, at)?);
    let count = usize::from(get16(b, at + 2)?);
    if count == 0 || count > limit || at + limit * 8 > b.len() {
        return Err(BAD);
    }
    Ok(Frame {
        number,
        block,
        at,
        limit,
        count,
        index: 0,
    })
}

/// The hash with which entry `index` begins; the first one has none, which is 0.
pub(super) fn entry_hash(b: &[u8], frame: &Frame, index: usize) -> Result<u32> {
    if index == 0 {
        Ok(0)
    } else {
        get32(b, frame.at + index * 8)
    }
}

pub(super) fn entry_block(b: &[u8], frame: &Frame, index: usize) -> Result<u32> {
    Ok(get32(b, frame.at + index * 8 + 4)? & 0x0FFF_FFFF)
}

/// The last entry whose hash is at most `hash`.
fn rank(b: &[u8], frame: &Frame, hash: u32) -> Result<usize> {
    let (mut low, mut high) = (1, frame.count);
    while low < high {
        let middle = usize::midpoint(low, high);
        if entry_hash(b, frame, middle)? <= hash {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low - 1)
}

impl Super {
    pub(super) fn max_levels(&self) -> usize {
        if self.incompat.contains(Incompat::LARGEDIR) {
            3
        } else {
            2
        }
    }
}

impl<D: Device> Ext4<D> {
    /// How the indexed directory `dir` hashes its names.
    pub(super) fn hasher(&mut self, dir: &Inode) -> Result<Hasher> {
        let (_, slot) = self.dir_block(dir, 0)?.ok_or(BAD)?;
        let b = self.cache.data(slot);
        if index_at(b)? != Some(32) {
            return Err(BAD);
        }
        let version = get8(b, HASH_VERSION)?;
        Hasher::new(version, self.sup.hash_unsigned, self.sup.hash_seed)
            .ok_or(Error::Unsupported("directory hash"))
    }

    /// The way to the leaf for `hash`.
    pub(super) fn probe(&mut self, dir: &Inode, hash: u32) -> Result<Way> {
        let mut way = Way {
            frames: [Frame::default(); MAX_LEVELS],
            levels: 0,
            leaf: 0,
        };
        let most = self.sup.max_levels();
        let blocks = self.sup.dir_blocks(dir);
        let mut number = 0;
        let mut levels = 1;
        while way.levels < levels {
            let (block, slot) = self.dir_block(dir, number)?.ok_or(BAD)?;
            let b = self.cache.data(slot);
            let mut frame = frame_of(b, number, block)?;
            if way.levels == 0 {
                levels = usize::from(get8(b, LEVELS)?) + 1;
                if levels > most || frame.at != 32 {
                    return Err(BAD);
                }
            }
            frame.index = rank(b, &frame, hash)?;
            number = entry_block(b, &frame, frame.index)?;
            if number == 0 || number >= blocks {
                return Err(BAD);
            }
            way.set(way.levels, frame)?;
            way.levels += 1;
        }
        way.leaf = number;
        Ok(way)
    }

    /// Moves `way` to the next leaf; answers the hash with which that begins, or `None` at the
    /// end of the directory.
    pub(super) fn next_leaf(&mut self, dir: &Inode, way: &mut Way) -> Result<Option<u32>> {
        let mut level = way.levels;
        let mut frame = loop {
            let Some(up) = level.checked_sub(1) else {
                return Ok(None);
            };
            level = up;
            let mut frame = way.frame(level)?;
            frame.index += 1;
            if frame.index < frame.count {
                break frame;
            }
        };
        let (_, slot) = self.dir_block(dir, frame.number)?.ok_or(BAD)?;
        let b = self.cache.data(slot);
        let hash = entry_hash(b, &frame, frame.index)?;
        let mut number = entry_block(b, &frame, frame.index)?;
        way.set(level, frame)?;
        for below in level + 1..way.levels {
            let (block, slot) = self.dir_block(dir, number)?.ok_or(BAD)?;
            let b = self.cache.data(slot);
            frame = frame_of(b, number, block)?;
            number = entry_block(b, &frame, 0)?;
            way.set(below, frame)?;
        }
        if number == 0 || number >= self.sup.dir_blocks(dir) {
            return Err(BAD);
        }
        way.leaf = number;
        Ok(Some(hash))
    }

    pub(super) fn find_indexed(&mut self, dir: &Inode, name: &[u8]) -> Result<Option<Place>> {
        let hash = self.hasher(dir)?.hash(name).major;
        let mut way = self.probe(dir, hash)?;
        loop {
            let (block, slot) = self.dir_block(dir, way.leaf)?.ok_or(BAD)?;
            if let Some(place) = self.search_block(block, slot, name)? {
                return Ok(Some(place));
            }
            // Names of one hash may go on in the next leaf, whose entry then has bit 0 set.
            match self.next_leaf(dir, &mut way)? {
                Some(next) if next & 1 != 0 && next & !1 == hash => {}
                _ => return Ok(None),
            }
        }
    }
}
