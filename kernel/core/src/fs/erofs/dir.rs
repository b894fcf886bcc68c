//! Directories of an EROFS image: sorted names in blocks that each begin with their entries.

use super::{BLOCK, Erofs, Error, Fields, Inode, Source};
use crate::fs::attr::FileType;
use crate::num::usize_of;
use crate::path::NAME_MAX;
use alloc::vec::Vec;
use core::cmp::Ordering;

const ENTRY: usize = 12;

/// A name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dirent<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The inode it names.
    pub nid: u64,
    /// Its type.
    pub kind: FileType,
}

/// One directory block, in memory.
struct Block(Vec<u8>);

impl Block {
    fn entry(&self, index: usize) -> Result<Dirent<'_>, Error> {
        let record = self
            .0
            .get(index * ENTRY..(index + 1) * ENTRY)
            .ok_or(Error::Corrupt)?;
        let field = Fields(record);
        let start = usize::from(field.u16(8));
        let end = if index + 1 < self.len()? {
            let next = self.0.get((index + 1) * ENTRY..).ok_or(Error::Corrupt)?;
            usize::from(Fields(next).u16(8))
        } else {
            self.0.len()
        };
        let name = self.0.get(start..end).ok_or(Error::Corrupt)?;
        let length = name.iter().position(|byte| *byte == 0);
        let name = name.get(..length.unwrap_or(name.len())).unwrap_or(&[]);
        let bad_name = name.is_empty() || name.len() > NAME_MAX || name.contains(&b'/');
        if bad_name {
            return Err(Error::Corrupt);
        }
        Ok(Dirent {
            name,
            nid: field.u64(0),
            kind: kind(field.u8(10)).ok_or(Error::Corrupt)?,
        })
    }

    /// Entries: the first name begins where they end.
    fn len(&self) -> Result<usize, Error> {
        let first = usize::from(Fields(&self.0).u16(8));
        if first == 0 || !first.is_multiple_of(ENTRY) || first > self.0.len() {
            return Err(Error::Corrupt);
        }
        Ok(first / ENTRY)
    }
}

/// `EROFS_FT_*`.
fn kind(value: u8) -> Option<FileType> {
    Some(match value {
        1 => FileType::Regular,
        2 => FileType::Directory,
        3 => FileType::CharDevice,
        4 => FileType::BlockDevice,
        5 => FileType::Fifo,
        6 => FileType::Socket,
        7 => FileType::Symlink,
        _ => return None,
    })
}

impl<S: Source> Erofs<S> {
    fn block(&self, dir: &Inode, index: u64) -> Result<Block, Error> {
        let left = dir.attr.size.saturating_sub(index * BLOCK).min(BLOCK);
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(usize_of(left))
            .map_err(|_| Error::NoMemory)?;
        bytes.resize(usize_of(left), 0);
        self.read(dir, index * BLOCK, &mut bytes)?;
        Ok(Block(bytes))
    }

    /// The number of the inode that `name` has in `dir`, and its type.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::NoMemory`].
    pub fn lookup(&self, dir: &Inode, name: &[u8]) -> Result<Option<(u64, FileType)>, Error> {
        let (mut low, mut high) = (0, dir.attr.size.div_ceil(BLOCK));
        while low < high {
            let middle = low + (high - low) / 2;
            let block = self.block(dir, middle)?;
            let count = block.len()?;
            if name < block.entry(0)?.name {
                high = middle;
            } else if name > block.entry(count - 1)?.name {
                low = middle + 1;
            } else {
                return Self::search(&block, count, name);
            }
        }
        Ok(None)
    }

    fn search(block: &Block, count: usize, name: &[u8]) -> Result<Option<(u64, FileType)>, Error> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = block.entry(middle)?;
            match name.cmp(entry.name) {
                Ordering::Equal => return Ok(Some((entry.nid, entry.kind))),
                Ordering::Less => high = middle,
                Ordering::Greater => low = middle + 1,
            }
        }
        Ok(None)
    }

    /// Calls `each` with every entry, `.` and `..` left out.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::NoMemory`], and what `each` answers.
    pub fn for_each(
        &self,
        dir: &Inode,
        mut each: impl FnMut(Dirent<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for index in 0..dir.attr.size.div_ceil(BLOCK) {
            let block = self.block(dir, index)?;
            for at in 0..block.len()? {
                let entry = block.entry(at)?;
                if !matches!(entry.name, b"." | b"..") {
                    each(entry)?;
                }
            }
        }
        Ok(())
    }
}
