//! Attributes from the core's form to the VFS's, and inodes brought up to date after the core changed them.

use kiln_core::errno::Errno;
use kiln_core::fs::attr::{self, Attr, DIR_SYNCHRONOUS, DeviceNumber, SYNCHRONOUS};
use kiln_core::fs::ext4::{self as core_fs, Error, Ext4, FileType, Ino};

use super::super::disk::Disk;
use super::super::{now, stamp};
use super::node_of;
use crate::fs::inode::Inode;
use crate::fs::mount::MountFlags;

pub(super) fn kind_of(kind: FileType) -> Option<attr::FileType> {
    Some(match kind {
        FileType::Unknown => return None,
        FileType::Regular => attr::FileType::Regular,
        FileType::Directory => attr::FileType::Directory,
        FileType::Char => attr::FileType::CharDevice,
        FileType::Block => attr::FileType::BlockDevice,
        FileType::Fifo => attr::FileType::Fifo,
        FileType::Socket => attr::FileType::Socket,
        FileType::Symlink => attr::FileType::Symlink,
    })
}

/// The core's attributes as the VFS has them.
pub(in crate::fs::ext4) fn attr_of(from: &core_fs::Attr) -> Option<Attr> {
    Some(Attr {
        kind: kind_of(from.kind)?,
        mode: u32::from(from.mode) & attr::MODE_BITS,
        uid: from.uid,
        gid: from.gid,
        nlink: from.links,
        size: from.size,
        blocks: from.sectors,
        rdev: DeviceNumber::decode(from.device),
        atime: stamp(from.atime),
        mtime: stamp(from.mtime),
        ctime: stamp(from.ctime),
        btime: stamp(from.crtime),
        flags: from.flags,
    })
}

/// The number of an inode that may be of any file system.
pub(super) fn number(inode: &Inode) -> Result<Ino, Errno> {
    let node = node_of(inode).ok_or(Errno::EXDEV)?;
    Ok(node.ino)
}

/// Brings a directory up to date after its names changed, and the change to the disk where that is asked for.
pub(super) fn renew_dir(core: &mut Ext4<Disk>, dir: &Inode) -> Result<(), Errno> {
    let from = core.attr(number(dir)?).map_err(Error::errno)?;
    dir.update(|attr| {
        attr.nlink = from.links;
        attr.size = from.size;
        attr.blocks = from.sectors;
        attr.mtime = stamp(from.mtime);
        attr.ctime = stamp(from.ctime);
    });
    let flagged = dir.with_attr(|attr| attr.has(SYNCHRONOUS | DIR_SYNCHRONOUS));
    if flagged || (dir.sb().flags()).intersects(MountFlags::SYNC | MountFlags::DIR_SYNC) {
        core.set_now(now());
        core.sync().map_err(Error::errno)?;
    }
    Ok(())
}

/// Brings an inode's links and change time up to date.
pub(super) fn renew_links(core: &mut Ext4<Disk>, inode: &Inode) -> Result<(), Errno> {
    let from = core.attr(number(inode)?).map_err(Error::errno)?;
    inode.update(|attr| {
        attr.nlink = from.links;
        attr.ctime = stamp(from.ctime);
    });
    Ok(())
}
