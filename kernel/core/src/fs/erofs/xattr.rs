//! Extended attributes of an EROFS image: in the inode, or shared in an area of their own.

use super::{Erofs, Error, Fields, Inode, Source};
use crate::num::{align_up, u64_of};
use alloc::vec::Vec;

/// What a name's index stands for (`EROFS_XATTR_INDEX_*`).
fn prefix(index: u8) -> Option<&'static [u8]> {
    Some(match index {
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        6 => b"security.",
        _ => return None,
    })
}

impl<S: Source> Erofs<S> {
    /// Calls `each` with the name and value of every attribute of a kind it knows.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::NoMemory`], and what `each` answers.
    pub fn xattrs(
        &self,
        inode: &Inode,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if inode.xattr_len == 0 {
            return Ok(());
        }
        let end = inode.xattr_at + inode.xattr_len;
        let head: [u8; 12] = self.bytes(inode.xattr_at)?;
        let shared = u64::from(Fields(&head).u8(4));
        let mut at = inode.xattr_at + 12;
        for _ in 0..shared {
            let id = u32::from_le_bytes(self.bytes(at)?);
            self.xattr(self.xattrs + u64::from(id) * 4, &mut each)?;
            at += 4;
        }
        while at + 4 <= end {
            at += self.xattr(at, &mut each)?;
        }
        Ok(())
    }

    /// One attribute; answers the bytes it takes.
    fn xattr(
        &self,
        at: u64,
        each: &mut impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let head: [u8; 4] = self.bytes(at)?;
        let field = Fields(&head);
        let (name_len, value_len) = (usize::from(field.u8(0)), usize::from(field.u16(2)));
        let mut bytes = Vec::new();
        let prefix = prefix(field.u8(1));
        let prefix_len = prefix.map_or(0, <[u8]>::len);
        bytes
            .try_reserve_exact(prefix_len + name_len + value_len)
            .map_err(|_| Error::NoMemory)?;
        bytes.extend_from_slice(prefix.unwrap_or(&[]));
        bytes.resize(prefix_len + name_len + value_len, 0);
        let rest = bytes.get_mut(prefix_len..).ok_or(Error::Corrupt)?;
        if !self.source.read(at + 4, rest) {
            return Err(Error::Corrupt);
        }
        if prefix.is_some()
            && let Some((name, value)) = bytes.split_at_checked(prefix_len + name_len)
        {
            each(name, value)?;
        }
        align_up(4 + u64_of(name_len + value_len), 4).ok_or(Error::Corrupt)
    }
}
