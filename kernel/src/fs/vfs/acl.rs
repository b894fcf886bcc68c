//! Access control lists: what new files inherit, and lists that are set or follow a file's mode (acl(5)).

use alloc::sync::Arc;
use kiln_core::errno::Errno;
use kiln_core::fs::acl::{self, Acl};
use kiln_core::fs::attr::{APPEND_ONLY, FileType, IMMUTABLE, SETGID, SetAttr};
use kiln_core::fs::perm::{Capability, Identity};
use kiln_core::fs::xattr::SetMode;

use crate::fs::inode::Inode;

/// Whether the attribute is a list.
pub(super) fn is_list(name: &[u8]) -> bool {
    name == acl::ACCESS || name == acl::DEFAULT
}

/// What is made in a directory gets.
pub(super) fn default_of(dir: &Arc<Inode>) -> Result<Option<Acl>, Errno> {
    match dir.ops().get_xattr(dir, acl::DEFAULT) {
        Ok(value) => Acl::parse(&value),
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The mode of something new: the umask counts only where the directory has no default.
pub(super) fn mode_for_new(default: Option<&Acl>, mode: u32, umask: u32) -> u32 {
    match default {
        Some(default) => default.for_new(mode).1,
        None => mode & !umask,
    }
}

/// Gives what was just made with `mode` the list, and a directory the default.
pub(super) fn inherit(default: Option<&Acl>, made: &Arc<Inode>, mode: u32) -> Result<(), Errno> {
    let Some(default) = default else {
        return Ok(());
    };
    let set = |name: &[u8], list: &Acl| {
        let value = list.value()?;
        made.ops().set_xattr(made, name, Some(&value), SetMode::Any)
    };
    let _guard = made.lock.lock();
    if let (Some(list), _) = default.for_new(mode) {
        set(acl::ACCESS, &list)?;
        made.forget_access_list();
    }
    if made.kind() == FileType::Directory {
        set(acl::DEFAULT, default)?;
    }
    Ok(())
}

/// The mode was changed: the list says the same from now on.
pub(super) fn follow_mode(inode: &Arc<Inode>) -> Result<(), Errno> {
    let Some(list) = inode.access_list()? else {
        return Ok(());
    };
    let _guard = inode.lock.lock();
    let mut list = Acl::clone(&list);
    list.set_mode(inode.with_attr(|attr| attr.mode));
    let value = list.value()?;
    let ops = inode.ops();
    ops.set_xattr(inode, acl::ACCESS, Some(&value), SetMode::Any)?;
    inode.forget_access_list();
    Ok(())
}

/// Sets a list, or takes it away. The inode is locked.
pub(super) fn set(
    who: &Identity<'_>,
    inode: &Arc<Inode>,
    name: &[u8],
    value: Option<&[u8]>,
) -> Result<(), Errno> {
    let attr = inode.attr();
    let is_default = name == acl::DEFAULT;
    let list = match value {
        Some(value) => Acl::parse(value)?,
        None => None,
    };
    if attr.kind == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    if is_default && !attr.is_dir() {
        return list.map_or(Ok(()), |_| Err(Errno::EACCES));
    }
    if attr.has(IMMUTABLE | APPEND_ONLY) || !who.owns(&attr) {
        return Err(Errno::EPERM);
    }
    let mut list = list;
    if let Some(wanted) = list.as_ref().filter(|_| !is_default) {
        let (bits, says_all) = wanted.mode();
        let mut mode = attr.mode & !0o777 | bits;
        if !who.in_group(attr.gid) && !who.can(Capability::Fsetid) {
            mode &= !SETGID;
        }
        inode.set_attr(SetAttr {
            mode: (mode != attr.mode).then_some(mode),
            ..SetAttr::default()
        })?;
        if says_all {
            list = None;
        }
    }
    let value = list.map(|list| list.value()).transpose()?;
    let mode = if value.is_some() {
        SetMode::Any
    } else {
        SetMode::Replace
    };
    let done = inode.ops().set_xattr(inode, name, value.as_deref(), mode);
    inode.forget_access_list();
    match done {
        // Taking away what isn't there is no error here.
        Err(Errno::ENODATA) if value.is_none() => Ok(()),
        done => done,
    }
}
