//! The tree at boot: the root, `/dev` and `/proc`.

use alloc::sync::Arc;
use kiln_core::addr::PhysAddr;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Identity;

use super::ramfs::{self, BadArchive, NotAnImage};
use super::superblock::FileSystemType;
use super::vfs::{self, Node};
use super::{
    FsContext, Inode, Lookup, Mount, MountFlags, Namespace, devfs, ext4, overlay, procfs,
    superblock, sysfs, tty,
};

/// The kinds of file systems that this room has.
pub(super) static TYPES: [FileSystemType; 10] = [
    devfs::TYPE,
    procfs::TYPE,
    sysfs::TYPE,
    tty::devpts::TYPE,
    ramfs::TMPFS,
    ramfs::RAMFS,
    overlay::TYPE,
    ext4::EXT4,
    ext4::EXT3,
    ext4::EXT2,
];

/// Why there is no root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadRoot {
    /// The image can't be used.
    Image(NotAnImage),
    /// The archive can't.
    Archive(BadArchive),
    /// Something failed that has nothing to do with either.
    Failed(Errno),
}

impl core::fmt::Display for BadRoot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Image(error) => write!(f, "the root image can't be used: {error:?}"),
            Self::Archive(error) => write!(f, "the root archive can't be used: {error}"),
            Self::Failed(error) => write!(f, "the root can't be made: {error}"),
        }
    }
}

impl From<Errno> for BadRoot {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

/// Makes the tree. The root comes from the boot module at that address and of that length, an
/// EROFS image or a cpio archive; without one it is empty.
pub(crate) fn init(module: Option<(PhysAddr, u64)>) -> Result<Arc<Namespace>, BadRoot> {
    crate::vm::reclaim::on_shrinking(super::dentry::shrink_hard);
    tty::console::init()?;
    let (root, archive) = match module {
        None => (empty()?, None),
        Some((start, len)) => match ramfs::seeded_root(start, len) {
            Ok(root) => (root, None),
            Err(NotAnImage::OtherFormat) => (empty()?, Some((start, len))),
            Err(error) => return Err(BadRoot::Image(error)),
        },
    };
    let mount = Mount::new(
        superblock::root_of(root)?,
        MountFlags::RELATIME,
        b"tmpfs".into(),
    )?;
    let namespace = Namespace::new(mount)?;
    let context = FsContext::new(Arc::clone(&namespace))?;
    context.set_umask(0);
    let lookup = Lookup::new(&context, Identity::KERNEL);
    if let Some((start, len)) = archive {
        ramfs::unpack(&lookup, start, len).map_err(BadRoot::Archive)?;
    }
    furnish(&lookup)?;
    Ok(namespace)
}

/// Makes another tree, whose root is the file system of type `kind` on the disk at `source`.
pub(crate) fn root_on_disk(
    lookup: &Lookup<'_>,
    source: &[u8],
    kind: &[u8],
    flags: MountFlags,
) -> Result<Arc<Namespace>, Errno> {
    let namespace = vfs::tree_on(lookup, source, kind, flags)?;
    let context = FsContext::new(Arc::clone(&namespace))?;
    context.set_umask(0);
    furnish(&Lookup::new(&context, Identity::KERNEL))?;
    Ok(namespace)
}

/// What every tree has besides its root, each mounted when it is first looked at.
fn furnish(lookup: &Lookup<'_>) -> Result<(), Errno> {
    const IN_DEV: &[(&[u8], FileSystemType)] = &[(b"pts", tty::devpts::USUAL)];
    show(lookup, devfs::TYPE, b"/dev", true, IN_DEV)?;
    show(lookup, procfs::TYPE, b"/proc", true, &[])?;
    show(lookup, sysfs::TYPE, b"/sys", false, &[])
}

fn empty() -> Result<Arc<Inode>, Errno> {
    ramfs::root("tmpfs", 0o755)
}

/// Has a file system of the type mounted at a directory; where that is missing, it is made if it `must`
/// be there. `inside` are others, mounted on directories of its root.
fn show(
    lookup: &Lookup<'_>,
    kind: FileSystemType,
    at: &[u8],
    must: bool,
    inside: &'static [(&'static [u8], FileSystemType)],
) -> Result<(), Errno> {
    let place = match vfs::resolve(lookup, at, true) {
        Err(Errno::ENOENT) if must => {
            vfs::create(lookup, at, &Node::new(FileType::Directory, 0o755))?
        }
        Err(Errno::ENOENT) => return Ok(()),
        found => found?,
    };
    if place.inode()?.kind() != FileType::Directory {
        return if must { Err(Errno::ENOTDIR) } else { Ok(()) };
    }
    lookup.fs.namespace().mount_late(place, kind, inside)
}
