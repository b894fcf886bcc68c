//! Files: the mounted tree and everything that opens in it.
//!
//! | module | what |
//! | --- | --- |
//! | [`inode`], [`superblock`] | what a file system implements: [`InodeOps`], [`SuperOps`] |
//! | [`file`] | an open file and its operations: [`File`], [`FileOps`], poll's [`Events`] |
//! | `dentry`, [`mount`], [`context`] | names remembered, mounts, where a process stands |
//! | [`vfs`] | what system calls do with paths: open, make, remove, rename, attributes |
//! | [`fdtable`] | descriptors |
//! | `regular`, `directory`, [`pipe`], [`anon`], [`locks`] | kinds of open files |
//! | [`epoll`], [`eventfd`], [`timerfd`], [`inotify`], [`memfd`], [`splice`] | what Linux has besides |
//! | [`aio`] | contexts of asynchronous input and output |
//! | [`notify`] | telling watchers what happens to files |
//! | [`fasync`], [`dnotify`], [`lease`] | signals of open files, of directories, and of others' openings |
//! | [`devices`] | character and block devices by number; the memory devices |
//! | [`stdio`], [`tty`], [`blockdev`] | the job's streams, terminals, disks as files |
//! | [`ramfs`] | files in memory: the root (seeded from an image), tmpfs |
//! | `overlay` | several directories shown as one |
//! | [`ext4`] | ext2, ext3 and ext4 on disks |
//! | [`devfs`], [`procfs`], [`sysfs`] | `/dev`, `/proc` and `/sys` |
//! | `text` | files whose text is made when they are read |
//!
//! The rules are in `kiln_core::path` (the walk) and `kiln_core::fs` (permissions, flags, pipes,
//! locks, formats), which the host tests; here are the objects, the locks and the waiting.
//!
//! Locks, in this order: a file's position, the file system's rename lock, inodes' locks (a
//! directory before what is in it; two directories: the one above first, else by address), then
//! those of memory and pages. The spin locks of dentries and attributes are leaves.

pub(crate) mod aio;
pub(crate) mod anon;
pub(crate) mod blockdev;
pub(crate) mod clock;
pub(crate) mod context;
mod dentry;
pub(crate) mod devfs;
pub(crate) mod devices;
mod directory;
pub(crate) mod dnotify;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod ext4;
pub(crate) mod fasync;
pub(crate) mod fdtable;
pub(crate) mod file;
pub(crate) mod handle;
pub(crate) mod inode;
pub(crate) mod inotify;
pub(crate) mod lease;
pub(crate) mod limits;
pub(crate) mod locks;
pub(crate) mod memfd;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod notify;
mod overlay;
pub(crate) mod pipe;
pub(crate) mod procfs;
pub(crate) mod ramfs;
mod regular;
pub(crate) mod splice;
mod start;
pub(crate) mod stdio;
pub(crate) mod superblock;
pub(crate) mod sysfs;
pub(crate) mod text;
pub(crate) mod timerfd;
pub(crate) mod tty;
pub(crate) mod vfs;

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::flags::OpenFlags;

pub(crate) use context::{FsContext, Lookup, identity, real_identity};
pub(crate) use dentry::Dentry;
pub(crate) use fdtable::FdTable;
pub(crate) use file::{Events, File, FileOps, Ioctl, MapSource, Watch};
pub(crate) use inode::{Inode, InodeOps, InodeParts};
pub(crate) use mount::{Mount, MountFlags, Namespace, Path};
pub(crate) use start::{init, root_on_disk};
pub(crate) use superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps};

/// The operations of an inode's type: the default of [`InodeOps::open`].
pub(crate) fn open_by_type(
    inode: &Arc<Inode>,
    flags: OpenFlags,
) -> Result<Arc<dyn FileOps>, Errno> {
    if flags.has(abi::O_PATH) {
        return Ok(file::path_ops());
    }
    match inode.kind() {
        FileType::Regular if inode.mapping().is_some() => Ok(regular::ops()),
        // FIFOs are opened by whoever knows for whom.
        FileType::Regular | FileType::Socket | FileType::Fifo => Err(Errno::ENXIO),
        FileType::Directory if flags.has(abi::O_DIRECT) => Err(Errno::EINVAL),
        FileType::Directory => Ok(directory::ops()),
        FileType::CharDevice | FileType::BlockDevice => devices::open(inode, flags),
        FileType::Symlink => Err(Errno::ELOOP),
    }
}
