//! Overlay: several directories shown as one. What is read comes from the topmost layer that has it; what changes is
//! copied up into the upper layer first; what is removed leaves a *whiteout* (a device 0:0) there that hides
//! what lies below (Documentation/filesystems/overlayfs.rst of Linux).
//!
//! | file | what |
//! | --- | --- |
//! | [`layers`] | the layers, and what is done in them as the kernel itself |
//! | [`node`] | an inode: which layers' files it stands for; lookups and attributes |
//! | [`change`] | names made, removed and moved |
//! | [`copy_up`] | copying into the upper layer |
//! | [`listing`] | directories of several layers, listed |
//! | [`file`] | open files, which pass everything on |
//!
//! As Linux's defaults have it: directories that lie below, wholly or in part, don't move (EXDEV), and hard links
//! below are broken when they are copied up. Locks: an inode here before any in the layers; `copying`
//! between them.

mod change;
mod copy_up;
mod file;
mod layers;
mod listing;
mod node;
mod ops;

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::overlay::Options;
use kiln_core::fs::perm::Identity;
use kiln_core::fs::stat::StatFs;

use super::context::FsContext;
use super::inode::Inode;
use super::memory::{append, try_arc, try_box, try_push};
use super::mount::{Mount, MountFlags, Namespace, Path};
use super::superblock::{FileSystemType, MountRequest, SuperBlock, SuperOps};
use super::vfs::{self, Node as NewNode};
use super::{Dentry, Lookup};
use crate::sched::Mutex;
use crate::sync::{Once, SpinLock};
use layers::{Layer, Real};
use node::Node;

/// The type `overlay`.
pub(crate) const TYPE: FileSystemType = FileSystemType {
    name: "overlay",
    driver: None,
    option: None,
    mount,
};

/// A mounted overlay.
struct Overlay {
    /// The upper one first, where there is one.
    layers: Vec<Layer>,
    upper: Option<Upper>,
    /// Inodes of files in the upper layer that are in use, by their number there: all names of a file are
    /// one inode.
    by_upper: SpinLock<BTreeMap<u64, Weak<Inode>>>,
    /// Held while files are copied up.
    copying: Mutex<()>,
    sb: Once<Weak<SuperBlock>>,
    told: Vec<u8>,
}

/// Where changes go.
struct Upper {
    /// Shows both the upper directory and the working directory.
    mount: Arc<Mount>,
    /// Where things are made before they are moved to their places.
    work: Arc<Dentry>,
    /// Numbers the names of what is made there.
    next: AtomicU64,
    /// What the layers' names are looked up with.
    context: Arc<FsContext>,
}

struct Super(Arc<Overlay>);

impl SuperOps for Super {
    fn statfs(&self) -> Result<StatFs, Errno> {
        /// `OVERLAYFS_SUPER_MAGIC` (linux/magic.h).
        const MAGIC: u32 = 0x794c_7630;
        let top = self.0.layers.first().ok_or(Errno::EIO)?;
        let mut stat = top.mount.sb().ops().statfs()?;
        stat.magic = MAGIC;
        stat.id = 0;
        Ok(stat)
    }

    fn sync(&self) -> Result<(), Errno> {
        match &self.0.upper {
            Some(upper) => upper.mount.sb().ops().sync(),
            None => Ok(()),
        }
    }

    fn remount(&self, read_only: bool) -> Result<(), Errno> {
        if !read_only && self.0.upper.is_none() {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    fn options(&self) -> Vec<u8> {
        let mut copy = Vec::new();
        // A line that memory is too short for ends early.
        let _ = append(&mut copy, &self.0.told);
        copy
    }
}

fn directory(lookup: &Lookup<'_>, path: &[u8]) -> Result<Path, Errno> {
    let found = vfs::resolve(lookup, path, true)?;
    if found.inode()?.kind() != FileType::Directory {
        return Err(Errno::EINVAL);
    }
    Ok(found)
}

fn mount(request: &MountRequest<'_>) -> Result<Arc<Inode>, Errno> {
    let lookup = request.lookup.ok_or(Errno::EINVAL)?;
    let options = Options::parse(request.options)?;
    if options.lower.is_empty() || (options.upper.is_some() && options.work.is_none()) {
        return Err(Errno::EINVAL);
    }
    if options.upper.is_none() && options.lower.len() < 2 {
        return Err(Errno::EINVAL);
    }
    let mut roots: Vec<Real> = Vec::new();
    let mut layers = Vec::new();
    let mut upper = None;
    if let (Some(path), Some(work)) = (&options.upper, &options.work) {
        let (path, work) = (directory(lookup, path)?, directory(lookup, work)?);
        let made = Upper::new(&path, &work)?;
        let layer = Layer::new(&layers, Arc::clone(&made.mount));
        try_push(&mut roots, Real::new(0, path.dentry))?;
        try_push(&mut layers, layer)?;
        upper = Some(made);
    }
    for path in &options.lower {
        let path = directory(lookup, path)?;
        let mount = path.mount.copy(Arc::clone(&path.dentry))?;
        try_push(&mut roots, Real::new(layers.len(), path.dentry))?;
        let layer = Layer::new(&layers, mount);
        try_push(&mut layers, layer)?;
    }
    let overlay = try_arc(Overlay {
        layers,
        upper,
        by_upper: SpinLock::new(BTreeMap::new()),
        copying: Mutex::new(()),
        sb: Once::new(),
        told: told(request.options)?,
    })?;
    let sb = SuperBlock::new("overlay", try_box(Super(Arc::clone(&overlay)))?)?;
    overlay.sb.call_once(|| Arc::downgrade(&sb));
    if overlay.upper.is_none() || request.read_only {
        sb.remount(true)?;
    }
    let top = overlay.upper.as_ref().and_then(|_| roots.first().cloned());
    let lowers = roots.split_off(usize::from(top.is_some()));
    Node::inode(&overlay, top.map(|top| top.dentry), lowers, None)
}

/// Options as they are listed: each with a comma in front.
fn told(options: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut told = Vec::new();
    append(&mut told, b",")?;
    append(&mut told, options)?;
    Ok(told)
}

impl Upper {
    /// In the directory `upper`, with the working directory `work`: both of one mount, neither in the
    /// other.
    fn new(upper: &Path, work: &Path) -> Result<Self, Errno> {
        let separate =
            !upper.dentry.is_beneath(&work.dentry) && !work.dentry.is_beneath(&upper.dentry);
        if !Arc::ptr_eq(&upper.mount, &work.mount) || !separate {
            return Err(Errno::EINVAL);
        }
        if upper.mount.check_writable().is_err() {
            return Err(Errno::EINVAL);
        }
        let mount = upper.mount.copy(Arc::clone(upper.mount.root()))?;
        mount.set_flags((upper.mount.flags() - MountFlags::READ_ONLY) | MountFlags::NO_ATIME)?;
        let context = FsContext::new(Namespace::new(Arc::clone(&mount))?)?;
        context.set_umask(0);
        let made = Self {
            work: Arc::clone(&work.dentry),
            mount,
            next: AtomicU64::new(0),
            context,
        };
        let inner = made.inner_work()?;
        Ok(Self {
            work: inner,
            ..made
        })
    }

    /// The directory `work` in the working directory, empty.
    fn inner_work(&self) -> Result<Arc<Dentry>, Errno> {
        let lookup = self.at(&self.work);
        let node = NewNode::new(FileType::Directory, 0);
        match vfs::create(&lookup, b"work", &node) {
            Ok(path) => Ok(path.dentry),
            Err(Errno::EEXIST) => {
                let there = self.work.child(b"work", false)?;
                layers::clear(self, &there)?;
                Ok(there)
            }
            Err(error) => Err(error),
        }
    }

    /// As the kernel itself, in a directory of the upper layer.
    fn at(&self, dir: &Arc<Dentry>) -> Lookup<'_> {
        let path = Path {
            mount: Arc::clone(&self.mount),
            dentry: Arc::clone(dir),
        };
        Lookup::new(&self.context, Identity::KERNEL).at(Some(path))
    }
}

impl Overlay {
    /// Where changes go; EROFS when they can't.
    fn upper(&self) -> Result<&Upper, Errno> {
        self.upper.as_ref().ok_or(Errno::EROFS)
    }

    fn superblock(&self) -> Result<Arc<SuperBlock>, Errno> {
        self.sb.get().and_then(Weak::upgrade).ok_or(Errno::EIO)
    }

    /// The number here of an inode of a layer: the same where all layers are of one file system.
    fn ino(&self, layer: usize, ino: u64) -> u64 {
        /// Numbers of other file systems than the first are told apart by their top bits.
        const SHIFT: u32 = 52;
        let number = self.layers.get(layer).map_or(0, |layer| layer.file_system);
        ino ^ number << SHIFT
    }
}
