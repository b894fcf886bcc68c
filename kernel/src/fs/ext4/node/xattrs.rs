//! Extended attributes: access control lists have a form of their own on the disk.

use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::acl::{self, Acl};
use kiln_core::fs::ext4::{self as core_fs, Error};
use kiln_core::fs::xattr;

use super::super::now;
use super::Node;
use super::attributes::renew_links;
use crate::fs::inode::Inode;
use crate::fs::memory::append;

/// Whether an attribute is a list that has a form of its own on disk.
fn is_acl(name: &[u8]) -> bool {
    name == acl::ACCESS || name == acl::DEFAULT
}

impl Node {
    /// The value of an extended attribute.
    pub(super) fn xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let value = self.with(|core| core.get_xattr(self.ino, name))?;
        if is_acl(name) {
            return Acl::from_disk(&value).map_err(|_| Errno::EIO)?.value();
        }
        Ok(value)
    }

    /// Sets or removes one.
    pub(super) fn change_xattr(
        &self,
        inode: &Inode,
        name: &[u8],
        value: Option<&[u8]>,
        mode: xattr::SetMode,
    ) -> Result<(), Errno> {
        let mode = match mode {
            xattr::SetMode::Any => core_fs::SetMode::Any,
            xattr::SetMode::Create => core_fs::SetMode::Create,
            xattr::SetMode::Replace => core_fs::SetMode::Replace,
        };
        let disk = match value {
            Some(value) if is_acl(name) => {
                Acl::parse(value)?.map(|acl| acl.to_disk()).transpose()?
            }
            _ => None,
        };
        let value = disk.as_deref().or(value);
        let mut core = self.volume.core.lock();
        match value {
            Some(value) => core.set_xattr(self.ino, name, value, mode, now()),
            None => core.remove_xattr(self.ino, name, now()),
        }
        .map_err(Error::errno)?;
        renew_links(&mut core, inode)
    }

    /// The names of all, each ended by a zero.
    pub(super) fn xattr_names(&self) -> Result<Vec<u8>, Errno> {
        let mut list = Vec::new();
        let mut result = Ok(());
        self.with(|core| {
            core.list_xattr(self.ino, &mut |name| {
                result = result
                    .and_then(|()| append(&mut list, name))
                    .and_then(|()| append(&mut list, b"\0"));
            })
        })?;
        result.map(|()| list)
    }
}
