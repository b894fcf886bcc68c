//! Roots that come as archives: [`open`] reads a tar, plain or compressed, or a container image
//! (what `docker save` writes, or the OCI layout, as an archive or a directory) and gives its
//! [`Tree`] and what the image says about the job ([`Defaults`]).
//!
//! `stream` decompresses, `layer` lays one tar over a tree, `container` finds the layers and checks
//! their digests, `config` reads what the image wants to run, [`Spool`] keeps the files' bytes.

mod config;
mod container;
mod layer;
mod spool;
mod stream;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};

pub use config::Defaults;
pub use spool::{Piece, Spool};

use crate::cache;
use crate::tree::Tree;
use container::Blobs;

/// How many times the job's memory all layers together may take: what a later layer replaces is
/// unpacked for nothing.
const LAYERS_LIMIT: u64 = 4;

/// What an archive holds.
pub struct Root {
    /// Its files.
    pub tree: Tree,
    /// What an image says of the job; nothing for a mere tar.
    pub defaults: Defaults,
}

/// What kind of file begins so; `None`: no archive that [`open`] or [`plain_cpio`] reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A tar or an image.
    Tar,
    /// A cpio, compressed in a way that the kernel doesn't know.
    PackedCpio,
}

/// Looks at what an archive begins with, decompressed.
///
/// # Errors
/// Those of reading it.
pub fn kind(path: &Path) -> Result<Option<Kind>> {
    let file = File::open(path)?;
    let (mut bytes, packed) = stream::plain(BufReader::new(file))?;
    let mut head = Vec::new();
    // What can't be decompressed is no archive.
    let _ = bytes.by_ref().take(512).read_to_end(&mut head);
    let magic =
        |at: usize, magic: &[u8]| head.get(at..).is_some_and(|head| head.starts_with(magic));
    Ok(if magic(257, b"ustar") {
        Some(Kind::Tar)
    } else if packed && (magic(0, b"070701") || magic(0, b"070702")) {
        Some(Kind::PackedCpio)
    } else {
        None
    })
}

/// Whether the directory is an OCI image layout rather than a root.
#[must_use]
pub fn is_layout(dir: &Path) -> bool {
    dir.join("oci-layout").is_file() && dir.join("index.json").is_file()
}

/// Reads a tar, a container image archive, or the directory of an OCI image. Nothing that unpacks
/// to more than `limit` bytes is unpacked any further.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn open(path: &Path, limit: u64) -> Result<Root> {
    let mut spool = Spool::new(limit.saturating_mul(LAYERS_LIMIT))?;
    if path.is_dir() {
        return container::read(&Blobs::directory(path), &mut spool, limit);
    }
    let mut file = seekable(path, limit)?;
    let blobs = Blobs::archive(file.try_clone()?)?;
    if blobs.are_an_image() {
        return container::read(&blobs, &mut spool, limit);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut tree = Tree::default();
    let bytes = stream::Limited::new(BufReader::new(file), limit);
    layer::apply(bytes, &mut tree, &mut spool, false)?;
    Ok(Root {
        tree: tree.compacted(),
        defaults: Defaults::default(),
    })
}

/// The archive itself, or a decompressed copy without a name.
fn seekable(path: &Path, limit: u64) -> Result<File> {
    let (bytes, packed) = stream::plain(BufReader::new(File::open(path)?))?;
    if !packed {
        return Ok(File::open(path)?);
    }
    let mut copy = cache::unnamed(&cache::scratch_dir())?;
    let limit = limit.saturating_mul(LAYERS_LIMIT);
    std::io::copy(&mut stream::Limited::new(bytes, limit), &mut copy)
        .context("it can't be decompressed")?;
    copy.seek(SeekFrom::Start(0))?;
    Ok(copy)
}

/// Writes what a compressed cpio holds to `out`.
///
/// # Errors
/// As [`open`].
pub fn plain_cpio(path: &Path, limit: u64, out: &mut File) -> Result<()> {
    let (bytes, _) = stream::plain(BufReader::new(File::open(path)?))?;
    std::io::copy(&mut stream::Limited::new(bytes, limit), out)
        .context("it can't be decompressed")?;
    Ok(())
}
