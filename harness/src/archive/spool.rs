//! [`Spool`]: one file without a name that keeps the bytes of an archive's files until the root's
//! image is written; a [`Piece`] is one file's part of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::cache;
use crate::progress::Counted;

/// Bytes of one file.
#[derive(Clone, Debug)]
pub struct Piece {
    file: Arc<File>,
    at: u64,
    size: u64,
}

/// Two are equal when they are the same bytes of the same spool.
impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file) && (self.at, self.size) == (other.at, other.size)
    }
}

impl Eq for Piece {}

impl Piece {
    /// How many bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads them.
    #[must_use]
    pub fn reader(&self) -> impl Read {
        Reader(self.clone())
    }
}

struct Reader(Piece);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Reader(rest) = self;
        let most = usize::try_from(rest.size)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = rest
            .file
            .read_at(buffer.get_mut(..most).unwrap_or_default(), rest.at)?;
        rest.at += kiln_core::num::u64_of(count);
        rest.size -= kiln_core::num::u64_of(count);
        Ok(count)
    }
}

/// The file and how much of it is used.
pub struct Spool {
    file: Arc<File>,
    used: u64,
    limit: u64,
}

impl Spool {
    /// An empty one that takes `limit` bytes.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn new(limit: u64) -> Result<Self> {
        Ok(Self {
            file: Arc::new(cache::unnamed(&cache::scratch_dir())?),
            used: 0,
            limit,
        })
    }

    /// Takes in `size` bytes.
    ///
    /// # Errors
    /// When there are fewer, when it is full, and those of the file.
    pub fn take(&mut self, bytes: impl Read, size: u64) -> Result<Piece> {
        if size > self.limit - self.used {
            bail!("it unpacks to more than {} MiB", self.limit >> 20);
        }
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.used))?;
        let count =
            io::copy(&mut Counted(bytes.take(size)), &mut file).context("a file's bytes")?;
        file.flush()?;
        if count != size {
            bail!("it is cut short");
        }
        let piece = Piece {
            file: Arc::clone(&self.file),
            at: self.used,
            size,
        };
        self.used += size;
        Ok(piece)
    }
}
