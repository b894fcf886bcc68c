//! [`Path`]: a dentry seen through a mount, and the names that this gives.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;

use super::{Mount, MountFlags};
use crate::fs::dentry::Dentry;
use crate::fs::inode::Inode;
use crate::fs::memory::append;

/// A dentry seen through a mount.
#[derive(Clone)]
pub(crate) struct Path {
    /// The mount.
    pub(crate) mount: Arc<Mount>,
    /// The dentry.
    pub(crate) dentry: Arc<Dentry>,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

impl Path {
    /// The root of a mount.
    pub(crate) fn root_of(mount: &Arc<Mount>) -> Self {
        Self {
            mount: Arc::clone(mount),
            dentry: Arc::clone(&mount.root),
        }
    }

    /// The inode; ENOENT when the name isn't there.
    pub(crate) fn inode(&self) -> Result<&Arc<Inode>, Errno> {
        self.dentry.inode().ok_or(Errno::ENOENT)
    }

    /// The same mount's path of another dentry.
    pub(crate) fn with(&self, dentry: Arc<Dentry>) -> Self {
        Self {
            mount: Arc::clone(&self.mount),
            dentry,
        }
    }

    /// Whether it is the root of its mount.
    pub(crate) fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, &self.mount.root)
    }

    /// Whether nothing may be executed from here.
    pub(crate) fn is_no_exec(&self) -> bool {
        self.mount.has(MountFlags::NO_EXEC)
    }

    /// The directory above, across mounts; the path itself at the very top.
    pub(crate) fn parent(&self) -> Self {
        let mut at = self.clone();
        while at.is_mount_root() {
            match at.mount.place() {
                Some(place) => at = place,
                None => return at,
            }
        }
        match at.dentry.parent() {
            Some(parent) => at.with(parent),
            None => at,
        }
    }

    /// The path as seen from `root`: `/a/b`. `reachable` is false when it isn't beneath `root`.
    pub(crate) fn name_from(&self, root: &Self) -> Result<Name, Errno> {
        let mut reversed = Vec::new();
        let mut at = self.clone();
        let mut reachable = true;
        while at != *root {
            if at.is_mount_root() {
                match at.mount.place() {
                    Some(place) => at = place,
                    None => {
                        reachable = false;
                        break;
                    }
                }
                continue;
            }
            match at.dentry.prepend_name(&mut reversed)? {
                Some(parent) => at = at.with(parent),
                None => {
                    // Pipes and their like: a name without a slash.
                    reversed.pop();
                    break;
                }
            }
        }
        if reversed.is_empty() {
            append(&mut reversed, b"/")?;
        }
        reversed.reverse();
        Ok(Name {
            bytes: reversed,
            reachable,
            deleted: !self.dentry.is_hashed(),
        })
    }

    /// What `/proc` shows: the name from `root`, ` (deleted)` behind it when it is gone.
    pub(crate) fn display_from(&self, root: &Self) -> Result<Vec<u8>, Errno> {
        let mut name = self.name_from(root)?;
        if name.deleted {
            append(&mut name.bytes, b" (deleted)")?;
        }
        Ok(name.bytes)
    }
}

/// A path as bytes.
pub(crate) struct Name {
    /// `/a/b`
    pub(crate) bytes: Vec<u8>,
    /// It leads there from the root it was made for.
    pub(crate) reachable: bool,
    /// The last component is gone.
    pub(crate) deleted: bool,
}
