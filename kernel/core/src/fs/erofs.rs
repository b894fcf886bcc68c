//! Reading an EROFS image without compression: the indexed root that nothing unpacks.
//!
//! [`Erofs`] finds inodes by number ("nid", in units of 32 bytes), names by binary search, and
//! tells where a file's whole blocks lie ([`Erofs::extent`]), so that the kernel uses them as
//! page-cache pages where they are. On-disk format: Linux's Documentation/filesystems/erofs.rst
//! and fs/erofs/erofs_fs.h. Every value from the image is checked before it is used.

use super::attr::{Attr, DeviceNumber, FileType, Timestamp};
use crate::num::{u64_of, usize_of};
use alloc::vec::Vec;

mod dir;
mod xattr;
pub use dir::Dirent;

const SUPERBLOCK_AT: u64 = 1024;
const MAGIC: u32 = 0xE0F5_E1E2;
const SLOT: u64 = 32;
/// The only block size taken: the page's, so that blocks can be pages.
const BLOCK_BITS: u8 = 12;
/// Bytes in a block.
pub const BLOCK: u64 = 1 << BLOCK_BITS;

/// Bytes of an image.
pub trait Source {
    /// Fills `buf` from `offset`; `false` beyond the end.
    fn read(&self, offset: u64, buf: &mut [u8]) -> bool;
}

impl Source for [u8] {
    fn read(&self, offset: u64, buf: &mut [u8]) -> bool {
        let from = usize_of(offset);
        let bytes = from
            .checked_add(buf.len())
            .and_then(|to| self.get(from..to));
        bytes.map(|bytes| buf.copy_from_slice(bytes)).is_some()
    }
}

/// Why an image, or a part of it, can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Not an EROFS image.
    NotErofs,
    /// It needs something this reader lacks: compression, chunks, other block sizes, devices.
    Unsupported,
    /// It ends before it should, or contradicts itself.
    Corrupt,
    /// Memory is out.
    NoMemory,
}

/// An image and what its superblock says.
pub struct Erofs<S: ?Sized> {
    root: u64,
    meta: u64,
    xattrs: u64,
    inodes: u64,
    blocks: u64,
    built: Timestamp,
    source: S,
}

/// How a file's bytes lie in the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// In blocks, one after the other.
    Plain,
    /// The same, but the last, partial block follows the inode.
    Inline,
}

/// An inode of the image.
#[derive(Clone, Copy, Debug)]
pub struct Inode {
    /// Its number.
    pub nid: u64,
    /// Its attributes.
    pub attr: Attr,
    layout: Layout,
    /// First block of the data.
    start: u64,
    /// Where extended attributes begin, and how many bytes they take.
    xattr_at: u64,
    xattr_len: u64,
}

impl<S: Source> Erofs<S> {
    /// Reads the superblock.
    ///
    /// # Errors
    /// [`Error::NotErofs`] without the magic number; [`Error::Unsupported`], [`Error::Corrupt`].
    pub fn open(source: S) -> Result<Self, Error> {
        let mut raw = [0; 128];
        if !source.read(SUPERBLOCK_AT, &mut raw) {
            return Err(Error::NotErofs);
        }
        let field = Fields(&raw);
        if field.u32(0) != MAGIC {
            return Err(Error::NotErofs);
        }
        // Incompatible features all change how data is found; directory blocks of another size,
        // extra devices and packed tails likewise.
        let plain = field.u32(80) == 0 && field.u16(86) == 0 && field.u8(90) == 0;
        if !plain || field.u8(12) != BLOCK_BITS {
            return Err(Error::Unsupported);
        }
        let image = Self {
            root: u64::from(field.u16(14)),
            inodes: field.u64(16),
            built: Timestamp {
                sec: field.u64(24).cast_signed(),
                nsec: field.u32(32),
            },
            blocks: u64::from(field.u32(36)),
            meta: u64::from(field.u32(40)) * BLOCK,
            xattrs: u64::from(field.u32(44)) * BLOCK,
            source,
        };
        let last = (image.blocks * BLOCK)
            .checked_sub(1)
            .ok_or(Error::Corrupt)?;
        let _: [u8; 1] = image.bytes(last)?;
        if !image.inode(image.root)?.attr.is_dir() {
            return Err(Error::Corrupt);
        }
        Ok(image)
    }

    /// Number of the root directory.
    #[must_use]
    pub const fn root(&self) -> u64 {
        self.root
    }

    /// Where the image's bytes come from.
    #[must_use]
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Inodes in the image.
    #[must_use]
    pub const fn inodes(&self) -> u64 {
        self.inodes
    }

    /// Blocks in the image.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    fn bytes<const N: usize>(&self, offset: u64) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        if self.source.read(offset, &mut bytes) {
            Ok(bytes)
        } else {
            Err(Error::Corrupt)
        }
    }

    /// The inode `nid`.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unsupported`].
    pub fn inode(&self, nid: u64) -> Result<Inode, Error> {
        let at = nid
            .checked_mul(SLOT)
            .and_then(|offset| self.meta.checked_add(offset))
            .ok_or(Error::Corrupt)?;
        let head: [u8; 2] = self.bytes(at)?;
        let format = u16::from_le_bytes(head);
        let layout = match (format >> 1) & 7 {
            0 => Layout::Plain,
            2 => Layout::Inline,
            _ => return Err(Error::Unsupported),
        };
        let (attr, raw_start, size) = if format & 1 == 0 {
            self.compact(at)?
        } else {
            self.extended(at)?
        };
        let count: [u8; 2] = self.bytes(at + 2)?;
        let xattr_len = match u64::from(u16::from_le_bytes(count)) {
            0 => 0,
            count => 12 + (count - 1) * 4,
        };
        Ok(Inode {
            nid,
            attr,
            layout,
            start: u64::from(raw_start),
            xattr_at: at + size,
            xattr_len,
        })
    }

    fn compact(&self, at: u64) -> Result<(Attr, u32, u64), Error> {
        let raw: [u8; 32] = self.bytes(at)?;
        let field = Fields(&raw);
        let mut attr = self.attr(&field, u32::from(field.u16(24)), u32::from(field.u16(26)))?;
        attr.nlink = u32::from(field.u16(6));
        attr.size = u64::from(field.u32(8));
        Ok(Self::finish(attr, field.u32(16), 32))
    }

    fn extended(&self, at: u64) -> Result<(Attr, u32, u64), Error> {
        let raw: [u8; 64] = self.bytes(at)?;
        let field = Fields(&raw);
        let mut attr = self.attr(&field, field.u32(24), field.u32(28))?;
        attr.size = field.u64(8);
        let time = Timestamp {
            sec: field.u64(32).cast_signed(),
            nsec: field.u32(40),
        };
        (attr.atime, attr.mtime, attr.ctime, attr.btime) = (time, time, time, time);
        attr.nlink = field.u32(44);
        Ok(Self::finish(attr, field.u32(16), 64))
    }

    fn attr(&self, field: &Fields<'_>, uid: u32, gid: u32) -> Result<Attr, Error> {
        let mode = u32::from(field.u16(4));
        let kind = FileType::from_mode(mode).ok_or(Error::Corrupt)?;
        Ok(Attr::new(kind, mode, uid, gid, self.built))
    }

    /// The union in the inode is a device number or the first block.
    fn finish(mut attr: Attr, union: u32, size: u64) -> (Attr, u32, u64) {
        if attr.kind.is_device() {
            attr.rdev = DeviceNumber::decode(union);
            return (attr, 0, size);
        }
        attr.blocks = attr.size.div_ceil(512);
        (attr, union, size)
    }

    /// Where the file's block `index` lies in the image, when it is stored as a block of its own;
    /// `None`: beyond the end, or in the inode's tail (use [`Self::read`]). What follows the end
    /// of the file in its last block is zero in an image made as it should be.
    #[must_use]
    pub fn extent(&self, inode: &Inode, index: u64) -> Option<u64> {
        let whole = match inode.layout {
            Layout::Plain => inode.attr.size.div_ceil(BLOCK),
            Layout::Inline => inode.attr.size / BLOCK,
        };
        (index < whole).then(|| (inode.start + index).checked_mul(BLOCK))?
    }

    /// Reads from a file, directory or link: bytes read, 0 at the end.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the image ends first.
    pub fn read(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let left = inode.attr.size.saturating_sub(offset);
        let len = buf.len().min(usize_of(left));
        let mut done = 0;
        while done < len {
            let at = offset + u64_of(done);
            let within = at % BLOCK;
            let step = (len - done).min(usize_of(BLOCK - within));
            let from = match self.extent(inode, at / BLOCK) {
                Some(block) => block.checked_add(within),
                None => (inode.xattr_at + inode.xattr_len).checked_add(within),
            };
            let piece = buf.get_mut(done..done + step).ok_or(Error::Corrupt)?;
            if !from.is_some_and(|from| self.source.read(from, piece)) {
                return Err(Error::Corrupt);
            }
            done += step;
        }
        Ok(len)
    }

    /// All of a small file's or link's bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`], also when it has more than `limit` bytes; [`Error::NoMemory`].
    pub fn read_all(&self, inode: &Inode, limit: usize) -> Result<Vec<u8>, Error> {
        let len = usize_of(inode.attr.size);
        if len > limit {
            return Err(Error::Corrupt);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Error::NoMemory)?;
        bytes.resize(len, 0);
        self.read(inode, 0, &mut bytes)?;
        Ok(bytes)
    }
}

/// Little-endian fields of a record; a field beyond its end reads as zero.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0
            .get(offset..offset + N)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; N])
    }

    fn u8(&self, offset: usize) -> u8 {
        u8::from_le_bytes(self.at(offset))
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.at(offset))
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.at(offset))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.at(offset))
    }
}

#[cfg(test)]
mod tests;
