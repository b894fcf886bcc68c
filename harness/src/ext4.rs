//! Delivering what a job left on an ext4 image into a directory, without root rights: the
//! counterpart of `mke2fs -d`.
//!
//! [`deliver`] walks the image's tree with kiln-core's ext4 and merges it into the directory.
//! `place` puts single files where they belong. Both know directories only by open descriptors
//! and take names one component at a time, never following a symlink: whatever the image or the
//! directory holds, nothing outside the directory is touched.

mod place;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, anyhow, bail};
use kiln_core::fs::ext4::{Attr, Device, DeviceError, Error, Ext4, FileType, Ino, Options, ROOT};
use place::Place;
use rustix::fs::{Mode, OFlags};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub files: u64,
    pub directories: u64,
    pub symlinks: u64,
    /// Further names of files that have several.
    pub hard_links: u64,
    /// Bytes of contents, holes not counted.
    pub bytes: u64,
    /// Device nodes and sockets, which are left out.
    pub skipped: u64,
    /// Lines for standard error.
    pub warnings: Vec<String>,
}

/// An image file as the file system's device.
struct Image {
    file: File,
    size: u64,
}

impl Device for Image {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|_| DeviceError)
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        Err(DeviceError)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// A directory that is being delivered.
struct Level {
    target: OwnedFd,
    /// From the delivered directory on, for messages and to find hard-linked files again.
    path: Vec<Vec<u8>>,
    /// Entries still to do, the next one last.
    entries: Vec<(Vec<u8>, Ino)>,
    /// What to set when all entries are done; nothing for the top.
    attr: Option<Attr>,
}

struct Delivery {
    fs: Ext4<Image>,
    root: OwnedFd,
    place: Place,
    summary: Summary,
    /// Where the first name of a file with several was put.
    first_names: HashMap<Ino, Vec<Vec<u8>>>,
    seen: HashSet<Ino>,
    errors: Vec<anyhow::Error>,
}

/// Delivers the tree on the ext4 image `image` into `dir`, which is made if it isn't there; what
/// it holds already stays, unless the image has something else by the same name.
///
/// Goes on after a failure with what can be delivered.
///
/// # Errors
/// When the image can't be read, or with the path of the first file that couldn't be delivered.
pub fn deliver(image: &Path, dir: &Path) -> Result<Summary> {
    let file = File::open(image).with_context(|| format!("{}", image.display()))?;
    let size = file.metadata()?.len() / 512 * 512;
    let options = Options {
        read_only: true,
        cache_bytes: 16 << 20,
        ..Options::default()
    };
    let fs = Ext4::mount(Image { file, size }, &options)
        .map_err(|error| anyhow!("{}: {error}", image.display()))?;
    fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(dir, flags, Mode::empty())
        .with_context(|| format!("{}", dir.display()))?;
    place::allow_many_files();
    let mut delivery = Delivery {
        fs,
        root,
        place: Place::new(),
        summary: Summary::default(),
        first_names: HashMap::new(),
        seen: HashSet::new(),
        errors: Vec::new(),
    };
    delivery
        .walk()
        .with_context(|| format!("delivering into {}", dir.display()))?;
    Ok(delivery.finish())
}

/// A path as people read it.
fn shown(path: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&path.join(&b'/')).into_owned()
}

impl Delivery {
    fn walk(&mut self) -> Result<()> {
        let top = self.root.try_clone()?;
        let mut stack = vec![self.enter(ROOT, top, Vec::new(), None)?];
        while let Some(level) = stack.last_mut() {
            let Some((name, ino)) = level.entries.pop() else {
                if let Some(done) = stack.pop() {
                    self.leave(&done);
                }
                continue;
            };
            match self.entry(level, &name, ino) {
                Ok(Some(below)) => stack.push(below),
                Ok(None) => {}
                Err(error) if place::is_hopeless(&error) => return Err(error),
                Err(error) => self.errors.push(error),
            }
        }
        let count = self.errors.len();
        if count == 0 {
            return Ok(());
        }
        let first = self.errors.swap_remove(0);
        if count == 1 {
            return Err(first);
        }
        Err(first.context(format!("{count} files couldn't be delivered; the first")))
    }

    fn finish(mut self) -> Summary {
        if self.summary.skipped > 0 {
            let line = format!(
                "{} device nodes or sockets were not delivered",
                self.summary.skipped
            );
            self.summary.warnings.push(line);
        }
        self.summary
    }

    /// Reads a directory of the image, to be delivered into `target`.
    fn enter(
        &mut self,
        ino: Ino,
        target: OwnedFd,
        path: Vec<Vec<u8>>,
        attr: Option<Attr>,
    ) -> Result<Level> {
        if !self.seen.insert(ino) {
            bail!("{}: the image has this directory twice", shown(&path));
        }
        let mut entries = Vec::new();
        self.fs
            .read_dir(ino, 0, &mut |entry| {
                if entry.name != b"." && entry.name != b".." {
                    entries.push((entry.name.to_vec(), entry.ino));
                }
                true
            })
            .map_err(|error| anyhow!("{}: {error}", shown(&path)))?;
        if path.is_empty() {
            entries.retain(|(name, ino)| !self.is_lost_and_found(name, *ino));
        }
        entries.reverse();
        Ok(Level {
            target,
            path,
            entries,
            attr,
        })
    }

    /// mke2fs's own directory, unless the job put something there.
    fn is_lost_and_found(&mut self, name: &[u8], ino: Ino) -> bool {
        if name != b"lost+found" || ino > 11 {
            return false;
        }
        let mut empty = true;
        let listed = self.fs.read_dir(ino, 0, &mut |entry| {
            empty = entry.name == b"." || entry.name == b"..";
            empty
        });
        listed.is_ok() && empty
    }

    /// Delivers one entry; a directory is answered, to be gone through next.
    fn entry(&mut self, level: &Level, name: &[u8], ino: Ino) -> Result<Option<Level>> {
        let mut path = level.path.clone();
        path.push(name.to_vec());
        if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            bail!("{}: no file can have this name", shown(&path));
        }
        let said = |error: Error| anyhow!("{}: {error}", shown(&path));
        let attr = self.fs.attr(ino).map_err(said)?;
        let target = &level.target;
        match attr.kind {
            FileType::Directory => {
                let below = self
                    .place
                    .directory(target, name)
                    .with_context(|| shown(&path))?;
                self.summary.directories += 1;
                return self.enter(ino, below, path, Some(attr)).map(Some);
            }
            FileType::Regular => self.file(target, name, &attr, &path)?,
            FileType::Symlink => {
                let link = self.fs.read_link(ino).map_err(said)?;
                self.place
                    .symlink(target, name, &link, &attr)
                    .with_context(|| shown(&path))?;
                self.summary.symlinks += 1;
            }
            FileType::Fifo => {
                self.place
                    .fifo(target, name, &attr)
                    .with_context(|| shown(&path))?;
                self.summary.files += 1;
            }
            _ => self.summary.skipped += 1,
        }
        Ok(None)
    }

    fn file(&mut self, target: &OwnedFd, name: &[u8], attr: &Attr, path: &[Vec<u8>]) -> Result<()> {
        if let Some(first) = self.first_names.get(&attr.ino)
            && place::link(&self.root, first, target, name).with_context(|| shown(path))?
        {
            self.summary.hard_links += 1;
            return Ok(());
        }
        let bytes = self
            .place
            .file(&mut self.fs, target, name, attr)
            .with_context(|| shown(path))?;
        self.summary.files += 1;
        self.summary.bytes += bytes;
        if attr.links > 1 {
            self.first_names.insert(attr.ino, path.to_vec());
        }
        Ok(())
    }

    /// All entries are there: now the directory's own mode and times.
    fn leave(&mut self, level: &Level) {
        if let Some(attr) = &level.attr
            && let Err(error) = self.place.attributes(&level.target, attr)
        {
            self.errors.push(error.context(shown(&level.path)));
        }
    }
}
