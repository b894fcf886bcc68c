//! Writes a [`Tree`] as an EROFS image: uncompressed, 4 KiB blocks, the data of every regular file
//! in whole blocks of its own, so that the kernel can map its pages where they lie.
//!
//! The format is that of Linux's `fs/erofs/erofs_fs.h`. Layout: the superblock at 1024, all inodes
//! behind it (each followed by its attributes and, for links and small directories, its content),
//! then the blocks of large directories, then file data. [`write`] plans, then streams.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use anyhow::{Context, Result, anyhow, bail};
use kiln_core::num::{u64_of, usize_of};

use crate::progress::Counted;
use crate::tree::{Content, Node, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Tree};

const BLOCK: u64 = 4096;
const SUPER_AT: u64 = 1024;
const SUPER_LEN: u64 = 128;
const MAGIC: u32 = 0xE0F5_E1E2;
/// Feature: the superblock has a checksum.
const COMPAT_SB_CHKSUM: u32 = 1;
/// An inode's number counts slots of this size.
const SLOT: u64 = 32;
const INODE_LEN: u64 = 64;
const DIRENT_LEN: usize = 12;
/// Data in whole blocks.
const FLAT_PLAIN: u16 = 0;
/// The same, with the last part behind the inode.
const FLAT_INLINE: u16 = 2;
/// Content up to this length goes behind its inode.
const MOST_INLINE: u64 = 2048;

/// Where one node goes.
struct Place {
    nid: u64,
    /// Attributes, ready to be written behind the inode.
    xattrs: Vec<u8>,
    /// What isn't file data: a link's target, a directory's entries (filled in when all numbers
    /// are known).
    body: Vec<u8>,
    inline: bool,
    /// First block of its data; 0: none.
    block: u64,
}

impl Place {
    fn meta_len(&self) -> u64 {
        let inline = if self.inline { self.body.len() } else { 0 };
        INODE_LEN + u64_of(self.xattrs.len() + inline)
    }
}

/// Writes the image of `tree` to `out`, which is empty.
///
/// # Errors
/// One line with the path of a file that can't be read or has changed, or what `out` says.
pub fn write(tree: &Tree, out: &mut File) -> Result<()> {
    let mut places = places(tree)?;
    fill_directories(tree, &mut places)?;
    let (data_at, blocks) = place_data(tree, &mut places)?;
    let meta = metadata(tree, &places, data_at, blocks)?;
    let mut out = BufWriter::with_capacity(1 << 20, out);
    out.write_all(&meta)?;
    for place in places.iter().filter(|place| !place.inline) {
        out.write_all(&place.body)?;
        pad(&mut out, u64_of(place.body.len()))?;
    }
    for node in tree.nodes() {
        write_data(node, &mut out)?;
    }
    out.flush()?;
    Ok(())
}

/// Numbers all inodes, the root's first, and sizes what goes behind them.
fn places(tree: &Tree) -> Result<Vec<Place>> {
    let mut at = (SUPER_AT + SUPER_LEN).next_multiple_of(SLOT);
    let mut places = Vec::new();
    for node in tree.nodes() {
        let body = match &node.content {
            Content::Symlink(target) => target.clone(),
            Content::Dir(names) => {
                let own: [&[u8]; 2] = [b".", b".."];
                let names = names.keys().map(Vec::as_slice);
                pack_dir(own.into_iter().chain(names).map(|name| (name, 0, 0)))
            }
            _ => vec![],
        };
        let body_len = u64_of(body.len());
        let mut place = Place {
            nid: 0,
            xattrs: xattr_area(node)?,
            body,
            inline: body_len > 0 && body_len <= MOST_INLINE,
            block: 0,
        };
        place.inline &= place.meta_len() <= BLOCK;
        // Inline content must not cross a block's end, and the inode itself needn't.
        let room = BLOCK - at % BLOCK;
        let need = if place.inline {
            place.meta_len()
        } else {
            INODE_LEN
        };
        if need > room {
            at += room;
        }
        place.nid = at / SLOT;
        at = (at + place.meta_len()).next_multiple_of(SLOT);
        places.push(place);
    }
    Ok(places)
}

/// The blocks of a directory with these names, inode numbers and file types. Entries are sorted by name across all blocks; each block
/// holds the fixed-size parts, then the names.
fn pack_dir<'a>(names: impl Iterator<Item = (&'a [u8], u64, u8)>) -> Vec<u8> {
    let mut entries: Vec<_> = names.collect();
    entries.sort_unstable();
    let mut out = Vec::new();
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let mut used = 0;
        let fits = rest
            .iter()
            .take_while(|(name, ..)| {
                used += DIRENT_LEN + name.len();
                u64_of(used) <= BLOCK
            })
            .count();
        let (block, later) = rest.split_at(fits);
        out.resize(out.len().next_multiple_of(usize_of(BLOCK)), 0);
        let mut name_at = block.len() * DIRENT_LEN;
        for (name, nid, kind) in block {
            out.extend(nid.to_le_bytes());
            // Below 4096: the names lie in the block.
            out.extend(kiln_core::num::low16(u64_of(name_at)).to_le_bytes());
            out.extend([*kind, 0]);
            name_at += name.len();
        }
        block.iter().for_each(|(name, ..)| out.extend(*name));
        rest = later;
    }
    out
}

/// Puts the inodes' numbers into the directories.
fn fill_directories(tree: &Tree, places: &mut [Place]) -> Result<()> {
    let lost = || anyhow!("the tree leads out of itself");
    let mut parents = vec![0; places.len()];
    for (index, node) in tree.nodes().iter().enumerate() {
        let Content::Dir(names) = &node.content else {
            continue;
        };
        let mut entries = Vec::with_capacity(names.len() + 2);
        for (name, child) in names {
            let target = tree.nodes().get(*child).ok_or_else(lost)?;
            let place = places.get(*child).ok_or_else(lost)?;
            entries.push((name.as_slice(), place.nid, file_type(target.mode)));
            if target.mode & S_IFMT == S_IFDIR {
                *parents.get_mut(*child).ok_or_else(lost)? = index;
            }
        }
        // A directory's own parent came before it.
        let parent = parents.get(index).copied().ok_or_else(lost)?;
        let number = |at: usize| places.get(at).map(|place| place.nid).ok_or_else(lost);
        entries.push((b".", number(index)?, file_type(S_IFDIR)));
        entries.push((b"..", number(parent)?, file_type(S_IFDIR)));
        places.get_mut(index).ok_or_else(lost)?.body = pack_dir(entries.into_iter());
    }
    Ok(())
}

/// A directory entry's file type.
fn file_type(mode: u32) -> u8 {
    match mode & S_IFMT {
        S_IFREG => 1,
        S_IFDIR => 2,
        0o020_000 => 3, // character device
        0o060_000 => 4, // block device
        0o010_000 => 5, // FIFO
        0o140_000 => 6, // socket
        S_IFLNK => 7,
        _ => 0,
    }
}

/// Deals out blocks behind the inodes; gives the first one and the image's length, in blocks.
fn place_data(tree: &Tree, places: &mut [Place]) -> Result<(u64, u64)> {
    let end = places
        .last()
        .map_or(SUPER_AT, |place| place.nid * SLOT + place.meta_len());
    let first = end.div_ceil(BLOCK);
    let mut next = first;
    for place in places
        .iter_mut()
        .filter(|place| !place.inline && !place.body.is_empty())
    {
        place.block = next;
        next += u64_of(place.body.len()).div_ceil(BLOCK);
    }
    for (node, place) in tree.nodes().iter().zip(places) {
        let size = data_len(node);
        if size > 0 {
            place.block = next;
            next += size.div_ceil(BLOCK);
        }
    }
    if u32::try_from(next).is_err() {
        bail!("the root is larger than 16 TiB");
    }
    Ok((first, next))
}

fn data_len(node: &Node) -> u64 {
    match &node.content {
        Content::File { size, .. } => *size,
        Content::Piece(piece) => piece.size(),
        Content::Bytes(bytes) => u64_of(bytes.len()),
        _ => 0,
    }
}

/// Everything before the data: the superblock and the inodes with what is behind them.
fn metadata(tree: &Tree, places: &[Place], data_at: u64, blocks: u64) -> Result<Vec<u8>> {
    let mut meta = vec![0; usize_of(data_at * BLOCK)];
    for (number, (node, place)) in (1..).zip(tree.nodes().iter().zip(places)) {
        let mut bytes = inode(node, place, number)?;
        bytes.extend(&place.xattrs);
        if place.inline {
            bytes.extend(&place.body);
        }
        put(&mut meta, place.nid * SLOT, &bytes)?;
    }
    let root = places.first().map_or(0, |place| place.nid);
    let count = u64_of(places.len());
    put(&mut meta, SUPER_AT, &superblock(root, count, blocks)?)?;
    let summed = meta.get(usize_of(SUPER_AT)..usize_of(BLOCK));
    let sum = crc32c(summed.unwrap_or_default());
    put(&mut meta, SUPER_AT + 4, &sum.to_le_bytes())?;
    Ok(meta)
}

/// CRC-32C as the superblock has it: from all ones, not inverted at the end.
fn crc32c(bytes: &[u8]) -> u32 {
    // The Castagnoli polynomial, bits reversed.
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg())
        })
    })
}

fn put(meta: &mut [u8], at: u64, bytes: &[u8]) -> Result<()> {
    let at = usize_of(at);
    meta.get_mut(at..at + bytes.len())
        .ok_or_else(|| anyhow!("the image's plan is wrong"))?
        .copy_from_slice(bytes);
    Ok(())
}

fn superblock(root: u64, count: u64, blocks: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.extend(MAGIC.to_le_bytes());
    out.extend([0; 4]); // checksum, later
    out.extend(COMPAT_SB_CHKSUM.to_le_bytes());
    out.extend([12, 0]); // log2 of the block size; no extension slots
    out.extend(u16::try_from(root)?.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend([0; 12]); // build time: the same tree gives the same image
    out.extend(u32::try_from(blocks)?.to_le_bytes());
    out.resize(usize_of(SUPER_LEN), 0); // inodes and attributes count from block 0; no features
    Ok(out)
}

/// An extended inode.
fn inode(node: &Node, place: &Place, number: u32) -> Result<Vec<u8>> {
    let layout = if place.inline {
        FLAT_INLINE
    } else {
        FLAT_PLAIN
    };
    let size = u64_of(place.body.len()) + data_len(node);
    let mut out = Vec::with_capacity(usize_of(place.meta_len()));
    out.extend((1 | layout << 1).to_le_bytes());
    let xattr_count = match place.xattrs.len() {
        0 => 0,
        len => u16::try_from((len - XATTR_HEADER) / 4 + 1)?,
    };
    out.extend(xattr_count.to_le_bytes());
    out.extend(u16::try_from(node.mode)?.to_le_bytes());
    out.extend([0; 2]);
    out.extend(size.to_le_bytes());
    let union = match node.content {
        Content::Special(device) => device,
        _ => u32::try_from(place.block)?,
    };
    out.extend(union.to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend(node.uid.to_le_bytes());
    out.extend(node.gid.to_le_bytes());
    out.extend(node.mtime.0.to_le_bytes());
    out.extend(node.mtime.1.to_le_bytes());
    out.extend(node.nlink.to_le_bytes());
    out.resize(usize_of(INODE_LEN), 0);
    Ok(out)
}

/// Bytes before the first attribute.
const XATTR_HEADER: usize = 12;

/// The attributes as they go behind the inode: a header, then each entry on a multiple of 4.
fn xattr_area(node: &Node) -> Result<Vec<u8>> {
    let mut out = vec![0; XATTR_HEADER];
    for (name, value) in &node.xattrs {
        let Some((prefix, rest)) = split_name(name) else {
            continue;
        };
        let shown = || format!("attribute {} is too long", String::from_utf8_lossy(name));
        out.push(u8::try_from(rest.len()).with_context(shown)?);
        out.push(prefix);
        out.extend(
            u16::try_from(value.len())
                .with_context(shown)?
                .to_le_bytes(),
        );
        out.extend(rest);
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    if out.len() == XATTR_HEADER {
        out.clear();
    }
    Ok(out)
}

/// The prefix's number and the rest of a name; `None` for those EROFS can't hold.
fn split_name(name: &[u8]) -> Option<(u8, &[u8])> {
    let whole: [(u8, &[u8]); 2] = [
        (2, b"system.posix_acl_access"),
        (3, b"system.posix_acl_default"),
    ];
    let prefixes: [(u8, &[u8]); 3] = [(1, b"user."), (4, b"trusted."), (6, b"security.")];
    if let Some((number, _)) = whole.iter().find(|(_, full)| *full == name) {
        return Some((*number, &[]));
    }
    prefixes
        .iter()
        .find_map(|(number, prefix)| Some((*number, name.strip_prefix(*prefix)?)))
}

fn write_data(node: &Node, out: &mut impl Write) -> Result<()> {
    match &node.content {
        Content::Bytes(bytes) => {
            out.write_all(bytes)?;
            pad(out, u64_of(bytes.len()))?;
        }
        Content::Piece(piece) => {
            io::copy(&mut Counted(piece.reader()), out)?;
            pad(out, piece.size())?;
        }
        Content::File { path, size } => {
            let shown = || path.display().to_string();
            let mut file = File::open(path).with_context(shown)?.take(*size);
            let copied = io::copy(&mut Counted(&mut file), out).with_context(shown)?;
            if copied != *size {
                bail!("{} was cut short while it was packed", path.display());
            }
            pad(out, *size)?;
        }
        _ => {}
    }
    Ok(())
}

/// Fills up the block after `len` bytes.
fn pad(out: &mut impl Write, len: u64) -> io::Result<()> {
    let short = len.next_multiple_of(BLOCK) - len;
    io::copy(&mut io::repeat(0).take(short), out).map(drop)
}

#[cfg(test)]
mod tests;
