//! Files that are in no directory: pipes, event descriptors, memory files. Each kind has a file
//! system of its own that is mounted nowhere.

use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::stat::StatFs;

use super::clock;
use super::dentry::Dentry;
use super::file::{File, FileOps};
use super::inode::{Inode, InodeOps, InodeParts};
use super::memory::{append, try_arc, try_box, try_copy};
use super::mount::{Mount, MountFlags, Path};
use super::superblock::{SuperBlock, SuperOps};
use crate::sync::Once;
use crate::vm::Mapping;

/// A file system without a tree.
pub(crate) struct Anonymous {
    name: &'static str,
    magic: u32,
    mount: Once<Arc<Mount>>,
}

/// Where pipes live.
pub(crate) static PIPES: Anonymous = Anonymous::new("pipefs", abi::PIPEFS_MAGIC);
/// Where sockets live.
pub(crate) static SOCKETS: Anonymous = Anonymous::new("sockfs", SOCKFS_MAGIC);
/// linux/magic.h.
const SOCKFS_MAGIC: u32 = 0x534F_434B;
/// Where event descriptors and their like live.
pub(crate) static EVENTS: Anonymous = Anonymous::new("anon_inodefs", abi::ANON_INODE_FS_MAGIC);
/// Where memory files live.
pub(crate) static MEMORY: Anonymous = Anonymous::new("tmpfs", abi::TMPFS_MAGIC);

struct Super {
    magic: u32,
}

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs {
            magic: self.magic,
            block_size: 4096,
            name_max: 255,
            ..StatFs::default()
        })
    }
}

/// An inode that only its open files are about.
pub(crate) struct Plain;

impl InodeOps for Plain {}

impl Anonymous {
    pub(super) const fn new(name: &'static str, magic: u32) -> Self {
        Self {
            name,
            magic,
            mount: Once::new(),
        }
    }

    fn mount(&self) -> Result<&Arc<Mount>, Errno> {
        self.mount.try_call_once(|| {
            let sb = SuperBlock::new(self.name, try_box(Super { magic: self.magic })?)?;
            let attr = Attr::new(FileType::Directory, 0o555, 0, 0, clock::now());
            let root = Inode::new(InodeParts {
                ino: sb.new_ino(),
                sb,
                attr,
                mapping: None,
                ops: try_arc(Plain)?,
            })?;
            Mount::new(Dentry::root(root)?, MountFlags::empty(), self.name.into())
        })
    }

    /// A new inode with these attributes.
    pub(crate) fn inode(
        &self,
        attr: Attr,
        mapping: Option<Arc<Mapping>>,
        ops: Arc<dyn InodeOps>,
    ) -> Result<Arc<Inode>, Errno> {
        let sb = Arc::clone(self.mount()?.sb());
        Inode::new(InodeParts {
            ino: sb.new_ino(),
            sb,
            attr,
            mapping,
            ops,
        })
    }

    /// An inode of that number, which stands for what has it.
    pub(super) fn numbered(
        &self,
        ino: u64,
        attr: Attr,
        ops: Arc<dyn InodeOps>,
    ) -> Result<Arc<Inode>, Errno> {
        let sb = Arc::clone(self.mount()?.sb());
        Inode::new(InodeParts {
            ino,
            sb,
            attr,
            mapping: None,
            ops,
        })
    }

    /// Whether the inode is one of these.
    pub(crate) fn has(&self, inode: &Inode) -> bool {
        let mount = self.mount.get();
        mount.is_some_and(|mount| Arc::ptr_eq(mount.sb(), inode.sb()))
    }

    /// An inode as a path of its own.
    pub(crate) fn path(&self, inode: Arc<Inode>, name: &[u8]) -> Result<Path, Errno> {
        Ok(Path {
            mount: Arc::clone(self.mount()?),
            dentry: Dentry::unnamed(inode, name)?,
        })
    }
}

/// An open file of `anon_inodefs` that does `ops`, shown as `anon_inode:NAME`.
pub(crate) fn event_file(
    name: &[u8],
    ops: Arc<dyn FileOps>,
    flags: u32,
) -> Result<Arc<File>, Errno> {
    event_file_for(abi::O_RDWR, name, ops, flags)
}

/// The same, for reading alone or both (`O_RDONLY`, `O_RDWR`).
pub(crate) fn event_file_for(
    access: u32,
    name: &[u8],
    ops: Arc<dyn FileOps>,
    flags: u32,
) -> Result<Arc<File>, Errno> {
    static INODE: Once<Arc<Inode>> = Once::new();
    let inode = INODE.try_call_once(|| {
        let mut attr = Attr::new(FileType::Regular, 0o600, 0, 0, clock::now());
        attr.nlink = 1;
        EVENTS.inode(attr, None, try_arc(Plain)?)
    })?;
    let mut shown = try_copy(b"anon_inode:")?;
    append(&mut shown, name)?;
    let path = EVENTS.path(Arc::clone(inode), &shown)?;
    let raw = access | flags & abi::O_NONBLOCK;
    File::new(path, ops, OpenFlags { raw, mode: 0 })
}
