//! Extended attributes: xattr(7).

use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::{Identity, Want};
use kiln_core::fs::xattr::{self, SetMode};

use crate::fs::mount::Path;
use crate::fs::notify;

/// The value of the attribute `name`.
pub(crate) fn get_xattr(who: &Identity<'_>, path: &Path, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let inode = path.inode()?;
    if super::acl::is_list(name) {
        if inode.kind() == FileType::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
    } else {
        inode.with_attr(|attr| xattr::check(attr, who, name, Want::READ))?;
    }
    inode.ops().get_xattr(inode, name)
}

/// Sets the attribute `name`.
pub(crate) fn set_xattr(
    who: &Identity<'_>,
    path: &Path,
    name: &[u8],
    value: &[u8],
    mode: SetMode,
) -> Result<(), Errno> {
    change(who, path, name, Some(value), mode)
}

/// Removes the attribute `name`.
pub(crate) fn remove_xattr(who: &Identity<'_>, path: &Path, name: &[u8]) -> Result<(), Errno> {
    change(who, path, name, None, SetMode::Replace)
}

fn change(
    who: &Identity<'_>,
    path: &Path,
    name: &[u8],
    value: Option<&[u8]>,
    mode: SetMode,
) -> Result<(), Errno> {
    path.mount.check_writable()?;
    let inode = path.inode()?;
    let _guard = inode.lock.lock();
    if super::acl::is_list(name) {
        super::acl::set(who, inode, name, value)?;
    } else {
        inode.with_attr(|attr| xattr::check(attr, who, name, Want::WRITE))?;
        inode.set_xattr(name, value, mode)?;
    }
    inode.changed();
    notify::path(path, kiln_core::abi::IN_ATTRIB);
    Ok(())
}

/// The names of all attributes that `who` may know of, each ended by a NUL.
pub(crate) fn list_xattr(who: &Identity<'_>, path: &Path) -> Result<Vec<u8>, Errno> {
    let inode = path.inode()?;
    let mut names = inode.ops().list_xattr(inode)?;
    if !who.can(kiln_core::fs::perm::Capability::SysAdmin) {
        let mut shown = Vec::new();
        shown
            .try_reserve_exact(names.len())
            .map_err(|_| Errno::ENOMEM)?;
        let visible = names
            .split_inclusive(|byte| *byte == 0)
            .filter(|name| !name.starts_with(b"trusted."));
        visible.for_each(|name| shown.extend_from_slice(name));
        names = shown;
    }
    Ok(names)
}
