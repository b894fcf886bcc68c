//! Files in memory: the root, `tmpfs`, `/dev`. A [`Node`] is what the file system keeps of each
//! inode; contents are pages of a mapping with nothing behind it.
//!
//! The root may be *seeded* from an EROFS image that lies in memory: a directory's children come
//! to be when they are first looked up, all their names are taken over when the directory is first
//! listed or changed, and a file's pages are the image's own, used where they lie.

mod node;
mod room;
mod seed;
mod unpack;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::stat::StatFs;
use kiln_core::fs::tmpfs::Options;
use kiln_core::num::u64_of;

use super::clock;
use super::inode::{Inode, InodeParts, NewInode};
use super::memory::{try_arc, try_box};
use super::superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps};
use super::text::Text;
use crate::sync::SpinLock;
use crate::vm::Mapping;
use node::Node;
use room::{NO_LIMIT, Place, Room, memory, root_size};

pub(crate) use seed::{NotAnImage, seeded_root};
pub(crate) use unpack::{BadArchive, unpack};

/// The type `tmpfs`.
pub(crate) const TMPFS: FileSystemType = FileSystemType {
    name: "tmpfs",
    driver: None,
    option: Some(|key, value| Options::default().set(key, value, 1)),
    mount: mount_tmpfs,
};

/// The type `ramfs`.
pub(crate) const RAMFS: FileSystemType = FileSystemType {
    name: "ramfs",
    driver: None,
    option: None,
    mount: mount_ramfs,
};

/// What a file system in memory keeps as a whole.
struct Super {
    room: Arc<Room>,
    /// What it was mounted with, for those who list mounts.
    told: SpinLock<Options>,
}

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        let limited = |most: u64| if most == NO_LIMIT { 0 } else { most };
        let pages = self.room.pages();
        let blocks = limited(pages.most());
        let free = blocks.saturating_sub(pages.used());
        let files = limited(self.room.most_files());
        Ok(StatFs {
            magic: abi::TMPFS_MAGIC,
            block_size: 4096,
            blocks,
            free,
            available: free,
            files,
            files_free: files.saturating_sub(self.room.files()),
            name_max: 255,
            ..StatFs::default()
        })
    }

    fn reconfigure(&self, options: &[u8]) -> Result<(), Errno> {
        let new = Options::parse(options, room::pages_for(memory()))?;
        let (pages, room) = (self.room.pages(), &self.room);
        // What was without a limit stays so: nobody has counted.
        let limits = |new: Option<u64>, most: u64, used: u64| match new {
            Some(limit @ 1..) if most == NO_LIMIT || limit < used => Err(Errno::EINVAL),
            Some(0) => Ok(NO_LIMIT),
            Some(limit) => Ok(limit),
            None => Ok(most),
        };
        let most_pages = limits(new.pages, pages.most(), pages.used())?;
        let most_files = limits(new.inodes, room.most_files(), room.files())?;
        pages.set_most(most_pages);
        room.set_most_files(most_files);
        let mut told = self.told.lock();
        told.pages = new.pages.or(told.pages);
        told.inodes = new.inodes.or(told.inodes);
        told.huge = new.huge.or(told.huge);
        Ok(())
    }

    fn options(&self) -> Vec<u8> {
        let told = *self.told.lock();
        let mut text = Text::default();
        // A line that memory is too short for ends early.
        let _ = write_options(&told, &mut text);
        text.into_bytes()
    }
}

fn write_options(told: &Options, out: &mut Text) -> Result<(), Errno> {
    if let Some(pages) = told.pages {
        out.put(format_args!(",size={}k", pages * 4))?;
    }
    if let Some(inodes) = told.inodes {
        out.put(format_args!(",nr_inodes={inodes}"))?;
    }
    if let Some(mode) = told.mode {
        out.put(format_args!(",mode={mode:03o}"))?;
    }
    for (name, id) in [("uid", told.uid), ("gid", told.gid)] {
        if let Some(id @ 1..) = id {
            out.put(format_args!(",{name}={id}"))?;
        }
    }
    if let Some(huge) = told.huge.filter(|huge| *huge != "never") {
        out.put(format_args!(",huge={huge}"))?;
    }
    Ok(())
}

/// Permissions of a tmpfs's root unless something else is asked for.
const TMPFS_MODE: u32 = 0o1777;

/// A new file system of so many pages and files at most.
fn file_system(
    kind: &'static str,
    pages: u64,
    files: u64,
) -> Result<(Arc<SuperBlock>, Arc<Room>), Errno> {
    told_file_system(kind, Room::new(pages, files)?, Options::default())
}

fn told_file_system(
    kind: &'static str,
    room: Arc<Room>,
    told: Options,
) -> Result<(Arc<SuperBlock>, Arc<Room>), Errno> {
    let ops: Box<dyn SuperOps> = try_box(Super {
        room: Arc::clone(&room),
        told: SpinLock::new(told),
    })?;
    Ok((SuperBlock::new(kind, ops)?, room))
}

/// The root directory of a new, empty file system that may take nearly all of memory.
pub(crate) fn root(kind: &'static str, mode: u32) -> Result<Arc<Inode>, Errno> {
    let (sb, room) = file_system(kind, room::pages_for(root_size()), room::default_files())?;
    directory(sb, &room, mode, 0, 0)
}

fn directory(
    sb: Arc<SuperBlock>,
    room: &Arc<Room>,
    mode: u32,
    uid: u32,
    gid: u32,
) -> Result<Arc<Inode>, Errno> {
    let attr = Attr::new(FileType::Directory, mode, uid, gid, clock::now());
    new_inode(sb, room, attr, Vec::new())
}

/// A new inode; `target` is a link's text.
fn new_inode(
    sb: Arc<SuperBlock>,
    room: &Arc<Room>,
    mut attr: Attr,
    target: Vec<u8>,
) -> Result<Arc<Inode>, Errno> {
    let place = Place::new(room)?;
    let mapping = match attr.kind {
        FileType::Regular => Some(Mapping::in_memory(Arc::clone(room.pages()))?),
        _ => None,
    };
    if attr.kind == FileType::Symlink {
        attr.size = u64_of(target.len());
    }
    let ino = sb.new_ino();
    Inode::new(InodeParts {
        sb,
        ino,
        attr,
        mapping,
        ops: try_arc(Node::new(target, place))?,
    })
}

/// What `new` asks for, in the file system of `dir`.
fn make(dir: &Inode, room: &Arc<Room>, new: &NewInode<'_>) -> Result<Arc<Inode>, Errno> {
    let mut attr = Attr::new(new.kind, new.mode, new.uid, new.gid, clock::now());
    attr.rdev = new.rdev;
    let target = super::memory::try_copy(new.target)?;
    new_inode(Arc::clone(dir.sb()), room, attr, target)
}

fn mount_tmpfs(request: &MountRequest<'_>) -> Result<Arc<Inode>, Errno> {
    let mut options = Options::parse(request.options, room::pages_for(memory()))?;
    let mode = options.mode.unwrap_or(TMPFS_MODE);
    options.mode = Some(mode).filter(|mode| *mode != TMPFS_MODE);
    let most = |limit: Option<u64>, default: u64| match limit {
        Some(0) => NO_LIMIT,
        limit => limit.unwrap_or(default),
    };
    let room = Room::new(
        most(options.pages, room::pages_for(memory() / 2)),
        most(options.inodes, room::default_files()),
    )?;
    let (sb, room) = told_file_system("tmpfs", room, options)?;
    let (uid, gid) = (options.uid.unwrap_or(0), options.gid.unwrap_or(0));
    directory(sb, &room, mode, uid, gid)
}

/// ramfs takes every option, and knows one: the root's permissions.
fn mount_ramfs(request: &MountRequest<'_>) -> Result<Arc<Inode>, Errno> {
    const RAMFS_MODE: u32 = 0o755;
    let mut told = Options::default();
    for option in request.options.split(|byte| *byte == b',') {
        if let Some(mode) = option.strip_prefix(b"mode=") {
            told.set(b"mode", Some(mode), 0)?;
        }
    }
    let mode = told.mode.unwrap_or(RAMFS_MODE);
    told.mode = Some(mode).filter(|mode| *mode != RAMFS_MODE);
    let room = Room::new(room::pages_for(root_size()), room::default_files())?;
    let (sb, room) = told_file_system("ramfs", room, told)?;
    directory(sb, &room, mode, 0, 0)
}
