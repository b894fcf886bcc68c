//! Changing extent trees: inserting, with merging, splitting and growing. Taking out is in
//! `extent_cut`.

use super::Ext4;
use super::buffer::Kind;
use super::bytes::{get32, part, put_slice, put32};
use super::device::Device;
use super::error::{Error, Result};
use super::extent::{
    ENTRY, Extent, Header, MAX_DEPTH, MAX_UNWRITTEN, MAX_WRITTEN, Path, Step, at, store_index,
};
use super::inode::Inode;
use core::ops::Range;

const BAD: Error = Error::Corrupt("extent tree");

/// An entry's bytes: an extent, or a pointer to a node.
type Raw = [u8; ENTRY];

/// Makes `i_block` the root of an empty tree.
pub(super) fn init_root(inode: &mut Inode) -> Result<()> {
    inode.block.fill(0);
    let max = inode.block.len() / ENTRY - 1;
    Header {
        entries: 0,
        max,
        depth: 0,
    }
    .store(&mut inode.block)
}

/// `a` followed by `b`, when that is one extent.
fn joined(a: Extent, b: Extent) -> Option<Extent> {
    let most = if a.unwritten {
        MAX_UNWRITTEN
    } else {
        MAX_WRITTEN
    };
    let whole = a.unwritten == b.unwritten
        && a.end() == u64::from(b.first)
        && a.start + u64::from(a.length) == b.start
        && a.length + b.length <= most;
    whole.then(|| Extent {
        length: a.length + b.length,
        ..a
    })
}

impl<D: Device> Ext4<D> {
    /// The bytes `range` of a node, to be changed.
    pub(super) fn edit_node<'a>(
        &'a mut self,
        inode: &'a mut Inode,
        node: u64,
        range: Range<usize>,
    ) -> Result<&'a mut [u8]> {
        if node == 0 {
            return inode.block.get_mut(range).ok_or(BAD);
        }
        let kind = Kind::Extents(inode.seed);
        self.block(node, kind)?;
        self.cache.edit(node, kind, range)
    }

    fn header(&mut self, inode: &Inode, node: u64) -> Result<Header> {
        Header::parse(self.node(inode, node)?, None)
    }

    pub(super) fn entry(&mut self, inode: &Inode, node: u64, index: usize) -> Result<Raw> {
        let bytes = part(self.node(inode, node)?, at(index)..at(index + 1))?;
        bytes.first_chunk().copied().ok_or(BAD)
    }

    fn extent_at(&mut self, inode: &Inode, node: u64, index: usize) -> Result<Extent> {
        Extent::parse(self.node(inode, node)?, at(index))
    }

    pub(super) fn put_extent(
        &mut self,
        inode: &mut Inode,
        node: u64,
        index: usize,
        e: Extent,
    ) -> Result<()> {
        let bytes = self.edit_node(inode, node, at(index)..at(index + 1))?;
        e.store(bytes, 0)
    }

    /// Moves the entries from `index` on up by one and puts `raw` there.
    fn insert_raw(&mut self, inode: &mut Inode, node: u64, index: usize, raw: &Raw) -> Result<()> {
        let mut header = self.header(inode, node)?;
        if header.entries >= header.max || index > header.entries {
            return Err(BAD);
        }
        let bytes = self.edit_node(inode, node, at(index)..at(header.entries + 1))?;
        let length = bytes.len();
        bytes.copy_within(..length - ENTRY, ENTRY);
        put_slice(bytes, 0, raw)?;
        header.entries += 1;
        header.store(self.edit_node(inode, node, 0..ENTRY)?)
    }

    pub(super) fn remove_raw(&mut self, inode: &mut Inode, node: u64, index: usize) -> Result<()> {
        let mut header = self.header(inode, node)?;
        if index >= header.entries {
            return Err(BAD);
        }
        let bytes = self.edit_node(inode, node, at(index)..at(header.entries))?;
        let length = bytes.len();
        bytes.copy_within(ENTRY.., 0);
        put_slice(bytes, length - ENTRY, &[0; ENTRY])?;
        header.entries -= 1;
        header.store(self.edit_node(inode, node, 0..ENTRY)?)
    }

    /// After the first key of the node at `level` became `first`: the same in the nodes above.
    pub(super) fn fix_keys(
        &mut self,
        inode: &mut Inode,
        path: &Path,
        level: usize,
        first: u32,
    ) -> Result<()> {
        for above in (0..level).rev() {
            let Step { node, index, .. } = path.step(above)?;
            let key = self.edit_node(inode, node, at(index)..at(index) + 4)?;
            put32(key, 0, first)?;
            if index > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Adds an extent for blocks that have none yet.
    pub(super) fn insert_extent(&mut self, inode: &mut Inode, new: Extent) -> Result<()> {
        let path = self.path(inode, new.first)?;
        let leaf = path.leaf()?;
        let place = if path.found.is_some() {
            leaf.index + 1
        } else {
            0
        };
        let next = if place < leaf.entries {
            Some(self.extent_at(inode, leaf.node, place)?)
        } else {
            None
        };
        let overlaps = path.found.is_some_and(|e| e.end() > u64::from(new.first))
            || path.next.is_some_and(|next| new.end() > u64::from(next));
        if overlaps {
            return Err(BAD);
        }
        if let Some(mut whole) = path.found.and_then(|e| joined(e, new)) {
            if let Some(wider) = next.and_then(|next| joined(whole, next)) {
                whole = wider;
                self.remove_raw(inode, leaf.node, place)?;
            }
            return self.put_extent(inode, leaf.node, leaf.index, whole);
        }
        if let Some(whole) = next.and_then(|next| joined(new, next)) {
            self.put_extent(inode, leaf.node, place, whole)?;
            if place == 0 {
                self.fix_keys(inode, &path, path.depth, whole.first)?;
            }
            return Ok(());
        }
        let mut raw = [0; ENTRY];
        new.store(&mut raw, 0)?;
        self.insert_entry(inode, path, place, raw)
    }

    /// Puts an entry into the leaf of `path`, splitting full nodes from there upwards.
    fn insert_entry(
        &mut self,
        inode: &mut Inode,
        mut path: Path,
        mut place: usize,
        mut raw: Raw,
    ) -> Result<()> {
        let mut level = path.depth;
        loop {
            let step = path.step(level)?;
            if step.entries < step.max {
                self.insert_raw(inode, step.node, place, &raw)?;
                if place == 0 {
                    self.fix_keys(inode, &path, level, get32(&raw, 0)?)?;
                }
                return Ok(());
            }
            if level == 0 {
                self.grow_tree(inode, &mut path)?;
                level = 1;
                continue;
            }
            let (first, node) = self.split_node(inode, &path, level, place, &raw)?;
            store_index(&mut raw, 0, first, node)?;
            level -= 1;
            place = path.step(level)?.index + 1;
        }
    }

    /// Splits a full node, adding `raw` at `place`; answers first key and block of the new node.
    fn split_node(
        &mut self,
        inode: &mut Inode,
        path: &Path,
        level: usize,
        place: usize,
        raw: &Raw,
    ) -> Result<(u32, u64)> {
        let step = path.step(level)?;
        // An append leaves the old node full, so that files written in order have dense trees.
        let middle = if place == step.entries {
            place
        } else {
            step.entries / 2
        };
        let depth = path.depth - level;
        let right = self.new_node(inode, step.node, depth)?;
        for index in middle..step.entries {
            let entry = self.entry(inode, step.node, index)?;
            self.insert_raw(inode, right, index - middle, &entry)?;
        }
        for index in (middle..step.entries).rev() {
            self.remove_raw(inode, step.node, index)?;
        }
        if place < middle {
            self.insert_raw(inode, step.node, place, raw)?;
            if place == 0 {
                self.fix_keys(inode, path, level, get32(raw, 0)?)?;
            }
        } else {
            self.insert_raw(inode, right, place - middle, raw)?;
        }
        let first = get32(&self.entry(inode, right, 0)?, 0)?;
        Ok((first, right))
    }

    /// Allocates an empty node near `goal`.
    fn new_node(&mut self, inode: &mut Inode, goal: u64, depth: usize) -> Result<u64> {
        let kind = Kind::Extents(inode.seed);
        let node = self.alloc_meta(inode, goal, kind)?;
        let max = self.sup.block_size / ENTRY - 1;
        let bytes = self.cache.edit(node, kind, 0..ENTRY)?;
        Header {
            entries: 0,
            max,
            depth,
        }
        .store(bytes)?;
        Ok(node)
    }

    /// Moves the root's entries into a new node below it.
    fn grow_tree(&mut self, inode: &mut Inode, path: &mut Path) -> Result<()> {
        let root = self.header(inode, 0)?;
        if root.depth >= MAX_DEPTH {
            return Err(Error::TooBig);
        }
        let goal = self.inode_goal(inode);
        let node = self.new_node(inode, goal, root.depth)?;
        let length = at(root.entries);
        let entries = inode.block;
        let bytes = self.edit_node(inode, node, 0..length)?;
        put_slice(bytes, ENTRY, part(&entries, ENTRY..length)?)?;
        let below = Header {
            entries: root.entries,
            max: self.sup.block_size / ENTRY - 1,
            depth: root.depth,
        };
        below.store(self.edit_node(inode, node, 0..ENTRY)?)?;
        let first = get32(&entries, at(0))?;
        let block = &mut inode.block;
        put_slice(block, ENTRY, &[0; super::inode::BLOCK_BYTES - ENTRY])?;
        store_index(block, at(0), first, node)?;
        Header {
            entries: 1,
            depth: root.depth + 1,
            ..root
        }
        .store(block)?;
        path.deepen(node, below.max, root.max)
    }
}

impl Path {
    /// After the root's entries moved into `node`: one level more.
    fn deepen(&mut self, node: u64, max: usize, root_max: usize) -> Result<()> {
        let depth = self.depth;
        if depth >= MAX_DEPTH {
            return Err(BAD);
        }
        self.steps.copy_within(0..=depth, 1);
        let moved = self.steps.get_mut(1).ok_or(BAD)?;
        moved.node = node;
        moved.max = max;
        let root = self.steps.first_mut().ok_or(BAD)?;
        *root = Step {
            node: 0,
            index: 0,
            entries: 1,
            max: root_max,
        };
        self.depth = depth + 1;
        Ok(())
    }
}
