//! `/dev`: a file system in memory with the nodes and links that programs expect.

use alloc::sync::Arc;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType};
use kiln_core::fs::perm::Identity;

use super::context::{FsContext, Lookup};
use super::inode::Inode;
use super::mount::Path;
use super::superblock::{self, FileSystemType, MountRequest};
use super::vfs::{self, Node};
use super::{Mount, MountFlags, Namespace, ramfs};
use crate::sync::Once;

/// The type `devtmpfs`: every mount shows the same tree.
pub(crate) const TYPE: FileSystemType = FileSystemType {
    name: "devtmpfs",
    driver: None,
    option: None,
    mount: |_: &MountRequest<'_>| tree().map(Arc::clone),
};

/// Character devices: name, mode, major, minor.
const CHARS: [(&[u8], u32, u32, u32); 9] = [
    (b"/null", 0o666, 1, 3),
    (b"/zero", 0o666, 1, 5),
    (b"/full", 0o666, 1, 7),
    (b"/random", 0o666, 1, 8),
    (b"/urandom", 0o666, 1, 9),
    (b"/tty", 0o666, 5, 0),
    (b"/console", 0o600, 5, 1),
    (b"/ptmx", 0o666, 5, 2),
    (b"/loop-control", 0o660, 10, 237),
];

/// Links: name, target.
const LINKS: [(&[u8], &[u8]); 4] = [
    (b"/fd", b"/proc/self/fd"),
    (b"/stdin", b"/proc/self/fd/0"),
    (b"/stdout", b"/proc/self/fd/1"),
    (b"/stderr", b"/proc/self/fd/2"),
];

fn tree() -> Result<&'static Arc<Inode>, Errno> {
    static TREE: Once<Arc<Inode>> = Once::new();
    TREE.try_call_once(|| {
        let root = ramfs::root("devtmpfs", 0o755)?;
        in_tree(&root, |lookup| {
            for (name, mode, major, minor) in CHARS {
                let node = Node {
                    rdev: DeviceNumber::new(major, minor),
                    ..Node::new(FileType::CharDevice, mode)
                };
                vfs::create(lookup, name, &node)?;
            }
            for (name, target) in LINKS {
                vfs::symlink(lookup, target, name)?;
            }
            for (name, mode) in [(&b"/shm"[..], 0o1777), (b"/pts", 0o755)] {
                vfs::create(lookup, name, &Node::new(FileType::Directory, mode))?;
            }
            Ok(())
        })?;
        Ok(root)
    })
}

/// Adds a device file to `/dev`: block devices, when they are found.
pub(crate) fn add(name: &[u8], node: &Node<'_>) -> Result<(), Errno> {
    in_tree(tree()?, |lookup| {
        vfs::create(lookup, name, node).map(|_| ())
    })
}

/// Takes a device file out of `/dev`.
pub(crate) fn remove(name: &[u8]) -> Result<(), Errno> {
    in_tree(tree()?, |lookup| match vfs::unlink(lookup, name) {
        Err(Errno::ENOENT) => Ok(()),
        done => done,
    })
}

/// Works on a tree that is mounted nowhere, as the kernel itself.
fn in_tree(
    root: &Arc<Inode>,
    work: impl FnOnce(&Lookup<'_>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let dentry = superblock::root_of(Arc::clone(root))?;
    let mount = Mount::new(dentry, MountFlags::empty(), alloc::vec::Vec::new())?;
    let context = FsContext::new(Namespace::new(Arc::clone(&mount))?)?;
    context.set_umask(0);
    let lookup = Lookup::new(&context, Identity::KERNEL).at(Some(Path::root_of(&mount)));
    work(&lookup)
}
