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
use kiln_core::num::u64_of;

use super::clock;
use super::inode::{Inode, InodeParts, NewInode};
use super::memory::{try_arc, try_box};
use super::superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps};
use crate::vm::Mapping;
use node::Node;
use room::{Place, Room, memory, root_size};

pub(crate) use seed::{NotAnImage, seeded_root};
pub(crate) use unpack::{BadArchive, unpack};

/// The type `tmpfs`.
pub(crate) const TMPFS: FileSystemType = FileSystemType {
    name: "tmpfs",
    needs_device: false,
    mount: mount_tmpfs,
};

/// The type `ramfs`.
pub(crate) const RAMFS: FileSystemType = FileSystemType {
    name: "ramfs",
    needs_device: false,
    mount: |_: &MountRequest<'_>| root("ramfs", 0o755),
};

/// What a file system in memory keeps as a whole.
struct Super {
    room: Arc<Room>,
}

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        let pages = self.room.pages();
        let blocks = pages.most();
        let free = blocks.saturating_sub(pages.used());
        let files = self.room.most_files();
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
}

/// A new file system that holds `size` bytes at most.
fn file_system(kind: &'static str, size: u64) -> Result<(Arc<SuperBlock>, Arc<Room>), Errno> {
    let room = Room::new(size)?;
    let ops: Box<dyn SuperOps> = try_box(Super {
        room: Arc::clone(&room),
    })?;
    Ok((SuperBlock::new(kind, ops)?, room))
}

/// The root directory of a new, empty file system that may take nearly all of memory.
pub(crate) fn root(kind: &'static str, mode: u32) -> Result<Arc<Inode>, Errno> {
    let (sb, room) = file_system(kind, root_size())?;
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
    let (mut size, mut mode, mut uid, mut gid) = (memory() / 2, 0o1777, 0, 0);
    let options = request.options.split(|byte| *byte == b',');
    for option in options.filter(|option| !option.is_empty()) {
        let text = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match key {
            "size" => size = bytes(value).ok_or(Errno::EINVAL)?,
            "mode" => mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)?,
            "uid" => uid = value.parse().map_err(|_| Errno::EINVAL)?,
            "gid" => gid = value.parse().map_err(|_| Errno::EINVAL)?,
            "nr_blocks" | "nr_inodes" | "huge" | "mpol" | "inode32" | "inode64" => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    let (sb, room) = file_system("tmpfs", size)?;
    directory(sb, &room, mode & 0o7777, uid, gid)
}

/// A size as tmpfs(5) writes it: a number with `k`, `m`, `g` or `%`.
fn bytes(value: &str) -> Option<u64> {
    let (number, unit) = match value.char_indices().next_back()? {
        (at, 'k' | 'K') => (value.get(..at)?, 1 << 10),
        (at, 'm' | 'M') => (value.get(..at)?, 1 << 20),
        (at, 'g' | 'G') => (value.get(..at)?, 1 << 30),
        (at, '%') => (value.get(..at)?, memory() / 100),
        _ => (value, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
