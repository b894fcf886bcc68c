//! Putting one file, symlink or directory into an open directory.
//!
//! Files are made under a temporary name, given their attributes, and renamed over what was there
//! before, so that nobody sees half of one.

use super::Image;
use crate::progress;
use anyhow::{Context, Result, anyhow, bail};
use kiln_core::fs::ext4::{Attr, Ext4, State, Time};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getegid, geteuid, getrlimit, setrlimit};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// How much is copied at once.
const CHUNK: usize = 1 << 20;
const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What placing files needs from one to the next.
pub(super) struct Place {
    buffer: Vec<u8>,
    counter: u64,
    uid: u32,
    gid: u32,
}

/// Lets this process have as many open files as it may: one for each level of the tree.
pub(super) fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// Whether after this error nothing else can be delivered either.
pub(super) fn is_hopeless(error: &anyhow::Error) -> bool {
    let number = error.chain().find_map(|cause| {
        let number = cause.downcast_ref::<Errno>().copied();
        let io = cause.downcast_ref::<std::io::Error>();
        number.or_else(|| io.and_then(Errno::from_io_error))
    });
    matches!(number, Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS))
}

/// Gives the file that lies at `first` beneath `root` the name `name` in `target`; false when the
/// file system can't, and a copy has to do.
pub(super) fn link(
    root: &OwnedFd,
    first: &[Vec<u8>],
    target: &OwnedFd,
    name: &[u8],
) -> Result<bool> {
    let Some((file, parents)) = first.split_last() else {
        return Ok(false);
    };
    let mut dir = root.try_clone()?;
    for parent in parents {
        dir = rustix::fs::openat(&dir, parent.as_slice(), DIR_FLAGS, Mode::empty())?;
    }
    let temporary = format!(".kiln-{}-link", std::process::id());
    let _ = rustix::fs::unlinkat(target, &temporary, AtFlags::empty());
    let file = file.as_slice();
    match rustix::fs::linkat(&dir, file, target, &temporary, AtFlags::empty()) {
        Ok(()) => {}
        Err(Errno::XDEV | Errno::PERM | Errno::MLINK | Errno::OPNOTSUPP | Errno::NOENT) => {
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    put_in_place(target, &temporary, name)?;
    // Renaming one name of a file over another of the same file does nothing.
    let _ = rustix::fs::unlinkat(target, &temporary, AtFlags::empty());
    Ok(true)
}

/// Renames a finished file over `name`.
fn put_in_place(target: &OwnedFd, temporary: &str, name: &[u8]) -> Result<()> {
    let Err(error) = rustix::fs::renameat(target, temporary, target, name) else {
        return Ok(());
    };
    let _ = rustix::fs::unlinkat(target, temporary, AtFlags::empty());
    if error == Errno::ISDIR {
        bail!("a directory is in the way");
    }
    Err(error.into())
}

fn times(attr: &Attr) -> Timestamps {
    let spec = |time: Time| Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanos),
    };
    Timestamps {
        last_access: spec(attr.atime),
        last_modification: spec(attr.mtime),
    }
}

impl Place {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            counter: 0,
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
        }
    }

    fn is_root(&self) -> bool {
        self.uid == 0
    }

    fn temporary(&mut self) -> String {
        self.counter += 1;
        format!(".kiln-{}-{}", std::process::id(), self.counter)
    }

    /// The permissions to set. Set-ID bits only mean the same with the same owner.
    fn mode(&self, attr: &Attr) -> Mode {
        let same = self.is_root() || (attr.uid == self.uid && attr.gid == self.gid);
        let kept = if same { 0o7777 } else { 0o1777 };
        Mode::from_raw_mode(u32::from(attr.mode) & kept)
    }

    /// Sets owner (as root), mode and times of what `file` is.
    pub(super) fn attributes(&self, file: impl AsFd, attr: &Attr) -> Result<()> {
        if self.is_root() {
            let uid = rustix::fs::Uid::from_raw(attr.uid);
            let gid = rustix::fs::Gid::from_raw(attr.gid);
            rustix::fs::fchown(&file, Some(uid), Some(gid)).context("owner")?;
        }
        rustix::fs::fchmod(&file, self.mode(attr)).context("mode")?;
        rustix::fs::futimens(&file, &times(attr)).context("times")?;
        Ok(())
    }

    /// Makes or takes the directory `name`; it can be written into, whatever its mode will be.
    pub(super) fn directory(&self, target: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
        match rustix::fs::mkdirat(target, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let opened = match rustix::fs::openat(target, name, DIR_FLAGS, Mode::empty()) {
            Err(Errno::ACCESS) => {
                open_up(target, name)?;
                rustix::fs::openat(target, name, DIR_FLAGS, Mode::empty())
            }
            other => other,
        };
        let dir = match opened {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                bail!("something else than a directory is in the way")
            }
            other => other?,
        };
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&dir)?.st_mode);
        if !self.is_root() && !mode.contains(Mode::RWXU) {
            // Not ours to change: then writing into it fails, and says so.
            let _ = rustix::fs::fchmod(&dir, mode | Mode::RWXU);
        }
        Ok(dir)
    }

    pub(super) fn symlink(
        &mut self,
        target: &OwnedFd,
        name: &[u8],
        link: &[u8],
        attr: &Attr,
    ) -> Result<()> {
        let temporary = self.temporary();
        rustix::fs::symlinkat(link, target, &temporary)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        if self.is_root() {
            let uid = Some(rustix::fs::Uid::from_raw(attr.uid));
            let gid = Some(rustix::fs::Gid::from_raw(attr.gid));
            let _ = rustix::fs::chownat(target, &temporary, uid, gid, flags);
        }
        let _ = rustix::fs::utimensat(target, &temporary, &times(attr), flags);
        put_in_place(target, &temporary, name)
    }

    pub(super) fn fifo(&mut self, target: &OwnedFd, name: &[u8], attr: &Attr) -> Result<()> {
        let temporary = self.temporary();
        rustix::fs::mknodat(target, &temporary, FileType::Fifo, Mode::RUSR, 0)?;
        // By name: opening a FIFO waits for its other end. The name is ours, and fresh.
        let _ = rustix::fs::chmodat(target, &temporary, self.mode(attr), AtFlags::empty());
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let _ = rustix::fs::utimensat(target, &temporary, &times(attr), flags);
        put_in_place(target, &temporary, name)
    }

    /// Delivers a regular file; answers the bytes copied.
    pub(super) fn file(
        &mut self,
        fs: &mut Ext4<Image>,
        target: &OwnedFd,
        name: &[u8],
        attr: &Attr,
    ) -> Result<u64> {
        let temporary = self.temporary();
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(rustix::fs::openat(target, &temporary, flags, mode)?);
        let filled = self.fill(fs, &file, attr).and_then(|bytes| {
            copy_user_attributes(fs, &file, attr);
            self.attributes(&file, attr)?;
            Ok(bytes)
        });
        if filled.is_err() {
            let _ = rustix::fs::unlinkat(target, &temporary, AtFlags::empty());
        }
        let bytes = filled?;
        put_in_place(target, &temporary, name)?;
        Ok(bytes)
    }

    /// Copies the contents; holes stay holes.
    fn fill(&mut self, fs: &mut Ext4<Image>, file: &File, attr: &Attr) -> Result<u64> {
        let size = fs.block_size() as u64;
        file.set_len(attr.size)?;
        self.buffer.resize(CHUNK, 0);
        let blocks = attr.size.div_ceil(size);
        let (mut block, mut copied) = (0u64, 0u64);
        while block < blocks {
            let most = u32::try_from(blocks - block).unwrap_or(u32::MAX);
            let first = u32::try_from(block).context("too large")?;
            let mapping = fs
                .map(attr.ino, first, most)
                .map_err(|error| anyhow!("{error}"))?;
            let end = (block + u64::from(mapping.length)) * size;
            if mapping.state == State::Written {
                copied += self.copy(fs, file, attr, block * size, end.min(attr.size))?;
            }
            block += u64::from(mapping.length);
        }
        Ok(copied)
    }

    fn copy(
        &mut self,
        fs: &mut Ext4<Image>,
        file: &File,
        attr: &Attr,
        from: u64,
        to: u64,
    ) -> Result<u64> {
        let mut at = from;
        while at < to {
            let length = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            let chunk = self.buffer.get_mut(..length).context("buffer")?;
            let read = fs
                .read(attr.ino, at, chunk)
                .map_err(|error| anyhow!("{error}"))?;
            let chunk = chunk.get(..read).filter(|chunk| !chunk.is_empty());
            file.write_all_at(chunk.context("ends early")?, at)?;
            progress::count(read);
            at += read as u64;
        }
        Ok(to.saturating_sub(from))
    }
}

/// Extended attributes of users go along where the file system takes them.
fn copy_user_attributes(fs: &mut Ext4<Image>, file: &File, attr: &Attr) {
    let mut names = Vec::new();
    let listed = fs.list_xattr(attr.ino, &mut |name| {
        if name.starts_with(b"user.") {
            names.push(name.to_vec());
        }
    });
    if listed.is_err() {
        return;
    }
    for name in names {
        if let Ok(value) = fs.get_xattr(attr.ino, &name) {
            let _ = rustix::fs::fsetxattr(file, name.as_slice(), &value, XattrFlags::empty());
        }
    }
}

/// Lets the owner into a directory that can't even be opened.
fn open_up(target: &OwnedFd, name: &[u8]) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(target, name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
    rustix::fs::chmodat(CWD, path, Mode::RWXU, AtFlags::empty())?;
    Ok(())
}
