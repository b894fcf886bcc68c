//! Extended attributes in memory, and the rules of xattr(7) that hold for every file system.

use super::attr::{APPEND_ONLY, Attr, FileType, IMMUTABLE, STICKY};
use super::perm::{Capability, Identity, Want};
use crate::errno::Errno;
use alloc::vec::Vec;

/// Longest name (linux/limits.h).
pub const NAME_MAX: usize = 255;
/// Longest value.
pub const SIZE_MAX: usize = 65536;
/// Longest list of names.
pub const LIST_MAX: usize = 65536;

/// How setting treats an existing value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetMode {
    /// Create or replace.
    Any,
    /// `XATTR_CREATE`: EEXIST when it exists.
    Create,
    /// `XATTR_REPLACE`: ENODATA when it doesn't.
    Replace,
}

/// Names to values.
#[derive(Default)]
pub struct Xattrs {
    list: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Xattrs {
    /// The value of `name`.
    ///
    /// # Errors
    /// ENODATA.
    pub fn get(&self, name: &[u8]) -> Result<&[u8], Errno> {
        self.list
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_slice())
            .ok_or(Errno::ENODATA)
    }

    /// Sets a value.
    ///
    /// # Errors
    /// EEXIST, ENODATA by `mode`; ENOMEM; ENOSPC when the list would no longer be listable.
    pub fn set(&mut self, name: &[u8], value: &[u8], mode: SetMode) -> Result<(), Errno> {
        let at = self.list.iter().position(|(key, _)| key == name);
        match (at, mode) {
            (Some(_), SetMode::Create) => return Err(Errno::EEXIST),
            (None, SetMode::Replace) => return Err(Errno::ENODATA),
            _ => {}
        }
        let value = copy(value)?;
        if let Some(entry) = at.and_then(|at| self.list.get_mut(at)) {
            entry.1 = value;
            return Ok(());
        }
        let listed: usize = self.list.iter().map(|(key, _)| key.len() + 1).sum();
        if listed + name.len() + 1 > LIST_MAX {
            return Err(Errno::ENOSPC);
        }
        let name = copy(name)?;
        self.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.list.push((name, value));
        Ok(())
    }

    /// Removes a value.
    ///
    /// # Errors
    /// ENODATA.
    pub fn remove(&mut self, name: &[u8]) -> Result<(), Errno> {
        let at = self.list.iter().position(|(key, _)| key == name);
        self.list.swap_remove(at.ok_or(Errno::ENODATA)?);
        Ok(())
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter().map(|(key, _)| key.as_slice())
    }
}

fn copy(bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| Errno::ENOMEM)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// What a program's file gives to who executes it (capabilities(7)).
pub const FILE_CAPABILITIES: &[u8] = b"security.capability";

/// Whether `who` may read (`want` READ) or change (`want` WRITE) the attribute `name`.
///
/// # Errors
/// As xattr(7): EOPNOTSUPP for a namespace that isn't, EPERM, EACCES, and for reading ENODATA
/// where the attribute can't exist.
pub fn check(attr: &Attr, who: &Identity<'_>, name: &[u8], want: Want) -> Result<(), Errno> {
    let writes = want.contains(Want::WRITE);
    if writes && attr.has(IMMUTABLE | APPEND_ONLY) {
        return Err(Errno::EPERM);
    }
    let denied = if writes { Errno::EPERM } else { Errno::ENODATA };
    if matches!(name, b"user." | b"trusted." | b"security.") {
        return Err(Errno::EINVAL);
    }
    if name.starts_with(b"user.") {
        if !matches!(attr.kind, FileType::Regular | FileType::Directory) {
            return Err(denied);
        }
        let others_sticky = attr.is_dir() && attr.mode & STICKY != 0 && who.uid != attr.uid;
        if writes && others_sticky && !who.can(Capability::Fowner) {
            return Err(Errno::EPERM);
        }
        return who.check(attr, want);
    }
    if name.starts_with(b"trusted.") {
        return if who.can(Capability::SysAdmin) {
            Ok(())
        } else {
            Err(denied)
        };
    }
    if name.starts_with(b"security.") {
        let needed = if name == FILE_CAPABILITIES {
            Capability::Setfcap
        } else {
            Capability::SysAdmin
        };
        return if !writes || who.can(needed) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        };
    }
    Err(Errno::EOPNOTSUPP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::attr::Timestamp;

    #[test]
    fn set_modes() {
        let mut xattrs = Xattrs::default();
        assert_eq!(
            xattrs.set(b"user.a", b"1", SetMode::Replace),
            Err(Errno::ENODATA)
        );
        assert_eq!(xattrs.set(b"user.a", b"1", SetMode::Create), Ok(()));
        assert_eq!(
            xattrs.set(b"user.a", b"2", SetMode::Create),
            Err(Errno::EEXIST)
        );
        assert_eq!(xattrs.set(b"user.a", b"3", SetMode::Any), Ok(()));
        assert_eq!(xattrs.get(b"user.a"), Ok(&b"3"[..]));
        assert_eq!(xattrs.remove(b"user.a"), Ok(()));
        assert_eq!(xattrs.remove(b"user.a"), Err(Errno::ENODATA));
    }

    #[test]
    fn namespaces() {
        let link = Attr::new(FileType::Symlink, 0o777, 0, 0, Timestamp::default());
        let who = Identity::KERNEL;
        assert_eq!(
            check(&link, &who, b"user.x", Want::WRITE),
            Err(Errno::EPERM)
        );
        assert_eq!(check(&link, &who, b"trusted.x", Want::WRITE), Ok(()));
        assert_eq!(
            check(&link, &who, b"trusted.", Want::WRITE),
            Err(Errno::EINVAL)
        );
        assert_eq!(
            check(&link, &who, b"system.x", Want::READ),
            Err(Errno::EOPNOTSUPP)
        );
    }
}
