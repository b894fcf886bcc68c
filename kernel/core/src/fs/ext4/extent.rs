//! Extent trees: the on-disk nodes and the way down to a block. Changes are in `extent_edit`.
//!
//! A node is a header of 12 bytes (`ext4_extent_header`) and entries of 12: in leaves extents
//! (`ext4_extent`), above them pointers to nodes (`ext4_extent_idx`). The root is `i_block`.

use super::Ext4;
use super::buffer::Kind;
use super::bytes::{get16, get32, put16, put32};
use super::device::Device;
use super::error::{Error, Result};
use super::inode::Inode;
use super::map::{Mapping, State};
use crate::num::{low16, low32};

const MAGIC: u16 = 0xF30A;
pub(super) const ENTRY: usize = 12;
/// Levels of index nodes above the leaves.
pub(super) const MAX_DEPTH: usize = 5;
/// Longest written extent; unwritten ones have this added to their length and hold one less.
pub(super) const MAX_WRITTEN: u32 = 0x8000;
pub(super) const MAX_UNWRITTEN: u32 = 0x7FFF;

/// A node's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) entries: usize,
    pub(super) max: usize,
    pub(super) depth: usize,
}

impl Header {
    pub(super) fn parse(b: &[u8], depth: Option<usize>) -> Result<Self> {
        let header = Self {
            entries: usize::from(get16(b, 2)?),
            max: usize::from(get16(b, 4)?),
            depth: usize::from(get16(b, 6)?),
        };
        let room = b.len() / ENTRY - 1;
        let right = get16(b, 0)? == MAGIC
            && header.max <= room
            && header.max > 0
            && header.entries <= header.max
            && depth.is_none_or(|depth| depth == header.depth)
            && header.depth <= MAX_DEPTH
            && (header.depth == 0 || header.entries > 0);
        if right {
            Ok(header)
        } else {
            Err(Error::Corrupt("extent tree"))
        }
    }

    pub(super) fn store(self, b: &mut [u8]) -> Result<()> {
        let small = |value: usize| low16(crate::num::u64_of(value));
        put16(b, 0, MAGIC)?;
        put16(b, 2, small(self.entries))?;
        put16(b, 4, small(self.max))?;
        put16(b, 6, small(self.depth))
    }
}

/// Where a node's checksum stands: behind the room for its entries.
pub(super) fn tail_at(b: &[u8]) -> Result<usize> {
    Ok((usize::from(get16(b, 4)?) + 1) * ENTRY)
}

/// Byte position of entry `index`.
pub(super) fn at(index: usize) -> usize {
    (index + 1) * ENTRY
}

/// One extent: `length` blocks of the file from `first` on lie at `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: u32,
    pub(super) length: u32,
    pub(super) start: u64,
    pub(super) unwritten: bool,
}

impl Extent {
    pub(super) fn parse(b: &[u8], at: usize) -> Result<Self> {
        let raw = u32::from(get16(b, at + 4)?);
        let unwritten = raw > MAX_WRITTEN;
        let high = u64::from(get16(b, at + 6)?);
        Ok(Self {
            first: get32(b, at)?,
            length: if unwritten { raw - MAX_WRITTEN } else { raw },
            start: u64::from(get32(b, at + 8)?) | high << 32,
            unwritten,
        })
    }

    pub(super) fn store(self, b: &mut [u8], at: usize) -> Result<()> {
        let raw = self.length + if self.unwritten { MAX_WRITTEN } else { 0 };
        put32(b, at, self.first)?;
        put16(b, at + 4, low16(u64::from(raw)))?;
        put16(b, at + 6, low16(self.start >> 32))?;
        put32(b, at + 8, low32(self.start))
    }

    /// The block after the last; 64 bits wide, since a file can end at 2^32.
    pub(super) fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.length)
    }
}

/// The node that index entry `at` points to.
pub(super) fn child(b: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from(get32(b, at + 4)?) | u64::from(get16(b, at + 8)?) << 32)
}

pub(super) fn store_index(b: &mut [u8], at: usize, first: u32, node: u64) -> Result<()> {
    put32(b, at, first)?;
    put32(b, at + 4, low32(node))?;
    put16(b, at + 8, low16(node >> 32))?;
    put16(b, at + 10, 0)
}

/// The number of entries whose first block is at most `block`. Entries are in order.
fn rank(b: &[u8], entries: usize, block: u32) -> Result<usize> {
    let (mut low, mut high) = (0, entries);
    while low < high {
        let middle = usize::midpoint(low, high);
        if get32(b, at(middle))? <= block {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// One level of the way from the root to a leaf.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// The node's block; 0 for the root.
    pub(super) node: u64,
    /// The entry taken; in the leaf, the last at or before the block sought.
    pub(super) index: usize,
    pub(super) entries: usize,
    pub(super) max: usize,
}

/// The way from the root to the leaf that holds, or would hold, a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) steps: [Step; MAX_DEPTH + 1],
    pub(super) depth: usize,
    /// The extent at or before the block sought.
    pub(super) found: Option<Extent>,
    /// First block of the next extent in the leaf or, failing that, of the next leaf.
    pub(super) next: Option<u32>,
}

impl Path {
    pub(super) fn step(&self, level: usize) -> Result<Step> {
        self.steps
            .get(level)
            .copied()
            .ok_or(Error::Corrupt("extent tree"))
    }

    pub(super) fn leaf(&self) -> Result<Step> {
        self.step(self.depth)
    }

    fn set(&mut self, level: usize, step: Step) -> Result<()> {
        *self
            .steps
            .get_mut(level)
            .ok_or(Error::Corrupt("extent tree"))? = step;
        Ok(())
    }
}

impl<D: Device> Ext4<D> {
    /// The bytes of a node: the root in the inode, or a block.
    pub(super) fn node<'a>(&'a mut self, inode: &'a Inode, node: u64) -> Result<&'a [u8]> {
        if node == 0 {
            return Ok(&inode.block);
        }
        let slot = self.block(node, Kind::Extents(inode.seed))?;
        Ok(self.cache.data(slot))
    }

    /// The way to `block` in the extent tree of `inode`.
    pub(super) fn path(&mut self, inode: &Inode, block: u32) -> Result<Path> {
        let depth = Header::parse(&inode.block, None)?.depth;
        let mut path = Path {
            steps: [Step::default(); MAX_DEPTH + 1],
            depth,
            found: None,
            next: None,
        };
        let mut node = 0;
        for level in 0..depth {
            let b = self.node(inode, node)?;
            let header = Header::parse(b, Some(depth - level))?;
            let index = rank(b, header.entries, block)?.saturating_sub(1);
            if index + 1 < header.entries {
                path.next = Some(get32(b, at(index + 1))?);
            }
            let below = child(b, at(index))?;
            let Header { entries, max, .. } = header;
            path.set(
                level,
                Step {
                    node,
                    index,
                    entries,
                    max,
                },
            )?;
            if below == 0 {
                return Err(Error::Corrupt("extent tree"));
            }
            node = below;
        }
        let b = self.node(inode, node)?;
        let Header { entries, max, .. } = Header::parse(b, Some(0))?;
        let before = rank(b, entries, block)?;
        if before < entries {
            path.next = Some(get32(b, at(before))?);
        }
        if before > 0 {
            path.found = Some(Extent::parse(b, at(before - 1))?);
        }
        let index = before.saturating_sub(1);
        path.set(
            depth,
            Step {
                node,
                index,
                entries,
                max,
            },
        )?;
        if let Some(extent) = path.found {
            self.check_extent(extent)?;
        }
        Ok(path)
    }

    fn check_extent(&self, extent: Extent) -> Result<()> {
        let right = extent.length > 0
            && extent.end() <= 1 << 32
            && self.sup.has_blocks(extent.start, u64::from(extent.length));
        if right {
            Ok(())
        } else {
            Err(Error::Corrupt("extent"))
        }
    }

    /// Where `block` and the blocks after it lie, at most `most` of them.
    pub(super) fn map_extents(&mut self, inode: &Inode, block: u32, most: u32) -> Result<Mapping> {
        let path = self.path(inode, block)?;
        if let Some(extent) = path.found
            && u64::from(block) < extent.end()
        {
            let into = block - extent.first;
            return Ok(Mapping {
                state: if extent.unwritten {
                    State::Unwritten
                } else {
                    State::Written
                },
                start: extent.start + u64::from(into),
                length: (extent.length - into).min(most),
            });
        }
        let room = path.next.unwrap_or(u32::MAX).saturating_sub(block);
        Ok(Mapping {
            state: State::Hole,
            start: 0,
            length: room.clamp(1, most.max(1)),
        })
    }
}
