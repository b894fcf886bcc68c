//! The job's disks: `/in` and `/out` as ext4 images made for this run, and the caller's `--disk`s.
//!
//! The images have no names: they go when the launcher and QEMU have closed them, however they
//! end. `/out`'s lies in the directory it is delivered to, so that it has the space that directory
//! has.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow, bail};
use kiln_core::job::Disk;

use crate::options::{Options, User};
use crate::qemu::{FIRST_DISK_SLOT, MAX_DISKS};
use crate::root::Root;
use crate::tree::{Content, Tree};
use crate::{cache, ext4, leash, progress, recipe};

const BLOCK: u64 = 4096;
/// The largest `/out`; it takes no more space than what is written to it.
const OUT_SIZE: u64 = 16 << 30;
/// Less isn't worth a file system.
const LEAST_OUT: u64 = 16 << 20;
/// What any file system needs before the first file.
const IN_BASE: u64 = 16 << 20;
/// How often `/in` is made larger when it turns out too small.
const TRIES: u32 = 3;

/// Where a disk's bytes are.
pub enum Image {
    /// A file without a name, made for this run.
    Scratch(File),
    /// The caller's.
    Named(PathBuf),
}

/// One disk.
pub struct JobDisk {
    /// Its bytes.
    pub image: Image,
    /// What the kernel is told.
    pub disk: Disk,
    /// What the job writes to it isn't kept on the host's own disk.
    pub vanishes: bool,
}

/// All disks of a job.
#[derive(Default)]
pub struct Disks {
    /// In the order of their names.
    pub all: Vec<JobDisk>,
    /// `/out`'s image again, and where it is delivered.
    out: Option<(File, PathBuf)>,
}

impl Disks {
    /// Makes the images that `options` ask for; what the job writes to belongs to `user`.
    ///
    /// # Errors
    /// One line with the option it is about.
    pub fn make(options: &Options, root: &Root, user: User) -> Result<Self> {
        let mut disks = Self::default();
        if root.on_disk {
            if options.rw {
                let opened = File::options().read(true).write(true).open(&root.image);
                opened.with_context(|| format!("--root {}", root.image.display()))?;
            }
            disks.add(Image::Named(root.image.clone()), "ext4", false, b"/");
            if let Some(disk) = disks.all.last_mut() {
                disk.vanishes = !options.rw;
            }
        }
        if let Some(dir) = &options.input {
            let image = input(dir).with_context(|| format!("--in {}", dir.display()))?;
            disks.add(Image::Scratch(image), "ext4", true, b"/in");
        }
        if let Some(dir) = &options.output {
            let image = output(dir, user).with_context(|| format!("--out {}", dir.display()))?;
            disks.out = Some((image.try_clone()?, dir.clone()));
            disks.add(Image::Scratch(image), "ext4", false, b"/out");
        }
        for option in &options.disks {
            let context = || format!("--disk {}", option.file.display());
            File::options()
                .read(true)
                .write(!option.read_only)
                .open(&option.file)
                .with_context(context)?;
            let fs_type = if option.mountpoint.is_some() {
                "auto"
            } else {
                ""
            };
            let mountpoint = option.mountpoint.clone().unwrap_or_default();
            let image = Image::Named(option.file.clone());
            disks.add(image, fs_type, option.read_only, &mountpoint);
        }
        if disks.all.len() > MAX_DISKS {
            bail!("{} disks are more than {MAX_DISKS}", disks.all.len());
        }
        Ok(disks)
    }

    fn add(&mut self, image: Image, fs_type: &str, read_only: bool, mountpoint: &[u8]) {
        let slot = u8::try_from(self.all.len()).unwrap_or(u8::MAX);
        self.all.push(JobDisk {
            vanishes: matches!(image, Image::Scratch(_)),
            image,
            disk: Disk {
                slot: FIRST_DISK_SLOT.saturating_add(slot),
                fs_type: fs_type.to_owned(),
                read_only,
                mountpoint: mountpoint.to_vec(),
            },
        });
    }

    /// Brings what the job left in `/out` to the caller. Gives lines for people about what couldn't
    /// come along.
    ///
    /// # Errors
    /// What couldn't be read or written; some of it may have arrived.
    pub fn deliver(&self) -> Result<Vec<String>> {
        let Some((image, dir)) = &self.out else {
            return Ok(vec![]);
        };
        let written = image.metadata()?.blocks() * 512;
        let summary = progress::show("delivering /out", written, || {
            ext4::deliver(&path_of(image), dir)
        })
        .with_context(|| format!("--out {}", dir.display()))?;
        Ok(summary.warnings)
    }
}

/// A name by which other processes of the same user can open a file that has none.
fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        file.as_raw_fd()
    ))
}

/// A read-only file system with the contents of `dir`.
fn input(dir: &Path) -> Result<File> {
    let dir = dir.canonicalize()?;
    let tree = Tree::scan(&dir, &mut DefaultHasher::new())?;
    let image = cache::unnamed(&cache::scratch_dir())?;
    let inodes = tree.nodes().len() + tree.nodes().len() / 8 + 64;
    let mut size = size_for(&tree);
    for attempt in 1.. {
        image.set_len(0)?;
        image.set_len(size)?;
        let count = inodes.to_string();
        let mut args = vec!["-O", "^has_journal,^resize_inode", "-N", &count];
        args.extend(["-E", "lazy_itable_init=1,nodiscard", "-d"]);
        let made = progress::show_growth("copying /in", tree.bytes(), &image, || {
            mke2fs(&args, Some(&dir), &image)
        });
        match made {
            Ok(()) => break,
            Err(error) if attempt == TRIES || !error.to_string().contains("allocat") => {
                return Err(error);
            }
            Err(_) => size *= 2,
        }
    }
    drop_lost_found(&image);
    Ok(image)
}

/// Bytes of a file system that holds `tree`: generous, because what isn't used isn't there.
fn size_for(tree: &Tree) -> u64 {
    let blocks = |bytes: u64| bytes.div_ceil(BLOCK);
    let data: u64 = tree
        .nodes()
        .iter()
        .map(|node| {
            let own = match &node.content {
                Content::File { size, .. } => blocks(*size),
                Content::Piece(piece) => blocks(piece.size()),
                Content::Bytes(bytes) => blocks(bytes.len() as u64),
                // Entries are 8 bytes and the name, rounded up; blocks may be half empty.
                Content::Dir(names) => {
                    let bytes: usize = names.keys().map(|name| name.len() + 12).sum();
                    blocks(bytes as u64 * 2) + 1
                }
                Content::Symlink(_) => 1,
                Content::Special(_) => 0,
            };
            own + 1 + u64::from(!node.xattrs.is_empty())
        })
        .sum();
    let inodes = tree.nodes().len() as u64 * 512;
    IN_BASE + (data * BLOCK + inodes) / 8 * 9
}

/// An empty file system, in `dir`, that belongs to the job's user.
fn output(dir: &Path, user: User) -> Result<File> {
    fs::create_dir_all(dir)?;
    let image = cache::unnamed(dir)?;
    let space = rustix::fs::fstatvfs(&image)?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    // The image and what is delivered from it lie there at the same time.
    let size = (free / 2).min(OUT_SIZE) / BLOCK * BLOCK;
    if size < LEAST_OUT {
        bail!("only {free} bytes are free");
    }
    image.set_len(size)?;
    let extended = format!(
        "lazy_itable_init=1,nodiscard,root_owner={}:{}",
        user.uid, user.gid
    );
    // It is delivered after the job or not at all: nobody ever sees it as a crash leaves it.
    let args = ["-O", "^has_journal", "-E", &extended];
    mke2fs(&args, None, &image)?;
    drop_lost_found(&image);
    Ok(image)
}

/// Makes an ext4 file system on the whole of `image`, with `args` besides the usual.
fn mke2fs(args: &[&str], contents: Option<&Path>, image: &File) -> Result<()> {
    let output = leash::command(recipe::program("mke2fs")?)
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0"])
        .args(args)
        .args(contents)
        .arg(path_of(image))
        .stdin(Stdio::null())
        .output()
        .context("mke2fs")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().rfind(|line| !line.trim().is_empty());
    Err(anyhow!("mke2fs: {}", line.unwrap_or("failed")))
}

/// The job's directories begin empty, without mke2fs's `lost+found`. When it can't be removed the
/// job sees it, which is no reason to fail.
fn drop_lost_found(image: &File) {
    if let Ok(debugfs) = recipe::program("debugfs") {
        let _ = leash::command(debugfs)
            .args(["-w", "-R", "rmdir lost+found"])
            .arg(path_of(image))
            .stdin(Stdio::null())
            .output();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn stdout_of(program: &str, args: &[&str], image: &File) -> String {
        let output = Command::new(recipe::program(program).unwrap())
            .args(args)
            .arg(path_of(image))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn the_input_disk_holds_the_directory() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
        let image = input(&dir).unwrap();
        let listing = stdout_of("debugfs", &["-R", "ls -p /"], &image);
        assert!(
            listing.contains("/busybox/") && !listing.contains("lost+found"),
            "{listing}"
        );
        let wanted = fs::read_to_string(dir.join("busybox/etc/passwd")).unwrap();
        assert_eq!(
            stdout_of("debugfs", &["-R", "cat /busybox/etc/passwd"], &image),
            wanted
        );
    }

    #[test]
    fn the_output_disk_belongs_to_the_user() {
        let image = output(&std::env::temp_dir(), User { uid: 7, gid: 8 }).unwrap();
        let root = stdout_of("debugfs", &["-R", "stat /"], &image);
        assert!(root.contains("User:     7   Group:     8"), "{root}");
    }

    #[test]
    fn the_input_must_be_a_directory() {
        let error = input(Path::new("/etc/passwd")).unwrap_err();
        assert!(error.to_string().contains("isn't a directory"), "{error}");
        assert!(input(Path::new("/no/such")).is_err());
    }
}
