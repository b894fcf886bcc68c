//! POSIX access control lists: acl(5), in the form of extended attributes (linux/posix_acl_xattr.h) and in that of
//! ext4's disks.

use super::attr::Attr;
use super::perm::{Identity, Want};
use crate::errno::Errno;
use alloc::vec::Vec;

/// The attribute that says who may do what.
pub const ACCESS: &[u8] = b"system.posix_acl_access";
/// The attribute of a directory that says what is made in it gets.
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

/// Versions of the two forms.
const VERSION: u32 = 2;
const DISK_VERSION: u32 = 1;
/// Bytes of a head and of an entry in an attribute; on disk an entry without an id has half.
const HEAD: usize = 4;
const ENTRY: usize = 8;
/// An id where there is none.
const NO_ID: u32 = u32::MAX;

/// Whom an entry is about; the values are `ACL_*` (linux/posix_acl.h).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub enum Tag {
    /// The owner.
    UserObj = 0x01,
    /// A user by id.
    User = 0x02,
    /// The owning group.
    GroupObj = 0x04,
    /// A group by id.
    Group = 0x08,
    /// The most that users by id and groups may get.
    Mask = 0x10,
    /// Everybody else.
    Other = 0x20,
}

impl Tag {
    fn from_bits(bits: u16) -> Option<Self> {
        [
            Self::UserObj,
            Self::User,
            Self::GroupObj,
            Self::Group,
            Self::Mask,
            Self::Other,
        ]
        .into_iter()
        .find(|tag| *tag as u16 == bits)
    }

    fn has_id(self) -> bool {
        matches!(self, Self::User | Self::Group)
    }
}

/// An entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Whom it is about.
    pub tag: Tag,
    /// Permission bits, as in `rwx`.
    pub perm: u16,
    /// The id of a user or group.
    pub id: u32,
}

/// A list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acl {
    entries: Vec<Entry>,
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes))
}

impl Acl {
    /// From an attribute's value; `None` for a list without an entry.
    ///
    /// # Errors
    /// EINVAL for what is none, EOPNOTSUPP for another version; ENOMEM.
    pub fn parse(value: &[u8]) -> Result<Option<Self>, Errno> {
        let version = long(value, 0).ok_or(Errno::EINVAL)?;
        if version != VERSION {
            return Err(Errno::EOPNOTSUPP);
        }
        let rest = value.get(HEAD..).unwrap_or_default();
        if !rest.len().is_multiple_of(ENTRY) {
            return Err(Errno::EINVAL);
        }
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(rest.len() / ENTRY)
            .map_err(|_| Errno::ENOMEM)?;
        for bytes in rest.chunks_exact(ENTRY) {
            entries.push(entry(bytes, ENTRY).ok_or(Errno::EINVAL)?);
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let acl = Self { entries };
        if acl.is_valid() {
            Ok(Some(acl))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// As an attribute's value.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn value(&self) -> Result<Vec<u8>, Errno> {
        self.write(VERSION, |_| true)
    }

    /// From ext4's form.
    ///
    /// # Errors
    /// EINVAL for what is none; ENOMEM.
    pub fn from_disk(bytes: &[u8]) -> Result<Self, Errno> {
        if long(bytes, 0) != Some(DISK_VERSION) {
            return Err(Errno::EINVAL);
        }
        let mut entries = Vec::new();
        let mut rest = bytes.get(HEAD..).unwrap_or_default();
        while !rest.is_empty() {
            let tag = word(rest, 0).and_then(Tag::from_bits);
            let length = if tag.is_some_and(Tag::has_id) {
                ENTRY
            } else {
                HEAD
            };
            entries.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            entries.push(entry(rest, length).ok_or(Errno::EINVAL)?);
            rest = rest.get(length..).ok_or(Errno::EINVAL)?;
        }
        Ok(Self { entries })
    }

    /// In ext4's form.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn to_disk(&self) -> Result<Vec<u8>, Errno> {
        self.write(DISK_VERSION, Tag::has_id)
    }

    fn write(&self, version: u32, with_id: impl Fn(Tag) -> bool) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(HEAD + self.entries.len() * ENTRY)
            .map_err(|_| Errno::ENOMEM)?;
        bytes.extend_from_slice(&version.to_le_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&(entry.tag as u16).to_le_bytes());
            bytes.extend_from_slice(&entry.perm.to_le_bytes());
            if with_id(entry.tag) {
                bytes.extend_from_slice(&entry.id.to_le_bytes());
            }
        }
        Ok(bytes)
    }

    /// Whether the entries are in order, each of the three classes once, and a mask there where ids are.
    fn is_valid(&self) -> bool {
        let mut last: Option<Tag> = None;
        let ordered = self.entries.iter().all(|entry| {
            let fits =
                last.is_none_or(|last| last < entry.tag || (last == entry.tag && last.has_id()));
            last = Some(entry.tag);
            fits && entry.perm & !7 == 0 && (entry.tag.has_id() == (entry.id != NO_ID))
        });
        let has = |tag: Tag| self.entries.iter().any(|entry| entry.tag == tag);
        let needs_mask = has(Tag::User) || has(Tag::Group);
        ordered
            && has(Tag::UserObj)
            && has(Tag::GroupObj)
            && has(Tag::Other)
            && (!needs_mask || has(Tag::Mask))
    }

    fn perm(&self, tag: Tag) -> Option<u16> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag);
        entry.map(|entry| entry.perm)
    }

    /// The permission bits that say the same, as far as they can: and whether they say all of it.
    #[must_use]
    pub fn mode(&self) -> (u32, bool) {
        let bits = |tag: Tag| u32::from(self.perm(tag).unwrap_or(0));
        let group = match self.perm(Tag::Mask) {
            Some(mask) => u32::from(mask),
            None => bits(Tag::GroupObj),
        };
        let mode = bits(Tag::UserObj) << 6 | group << 3 | bits(Tag::Other);
        let plain = [Tag::UserObj, Tag::GroupObj, Tag::Other];
        let all = self.entries.iter().all(|entry| plain.contains(&entry.tag));
        (mode, all)
    }

    /// Makes the list say what the permission bits of `mode` say (chmod).
    pub fn set_mode(&mut self, mode: u32) {
        let has_mask = self.perm(Tag::Mask).is_some();
        for entry in &mut self.entries {
            let bits = match entry.tag {
                Tag::UserObj => mode >> 6,
                Tag::GroupObj if has_mask => continue,
                Tag::GroupObj | Tag::Mask => mode >> 3,
                Tag::Other => mode,
                Tag::User | Tag::Group => continue,
            };
            entry.perm = crate::num::low16(u64::from(bits & 7));
        }
    }

    /// What something made with `mode` in a directory gets whose default this is: its list, unless bits say it
    /// all, and its mode.
    #[must_use]
    pub fn for_new(&self, mode: u32) -> (Option<Self>, u32) {
        let (most, _) = self.mode();
        let mode = mode & (!0o777 | most);
        let mut list = self.clone();
        list.set_mode(mode);
        let (_, plain) = list.mode();
        ((!plain).then_some(list), mode)
    }

    /// Whether `want` is granted to somebody who isn't the owner.
    ///
    /// # Errors
    /// EACCES.
    pub fn check(&self, who: &Identity<'_>, attr: &Attr, want: Want) -> Result<(), Errno> {
        let granted = |perm: u16| want.bits() & !u32::from(perm) & 7 == 0;
        let mask = self.perm(Tag::Mask).unwrap_or(7);
        let answer = |yes: bool| yes.then_some(()).ok_or(Errno::EACCES);
        let named = self
            .entries
            .iter()
            .find(|entry| entry.tag == Tag::User && entry.id == who.uid);
        if let Some(entry) = named {
            return answer(granted(entry.perm & mask));
        }
        let mut in_a_group = false;
        for entry in &self.entries {
            let gid = match entry.tag {
                Tag::GroupObj => attr.gid,
                Tag::Group => entry.id,
                _ => continue,
            };
            if who.in_group(gid) {
                in_a_group = true;
                if granted(entry.perm) {
                    return answer(granted(entry.perm & mask));
                }
            }
        }
        answer(!in_a_group && granted(self.perm(Tag::Other).unwrap_or(0)))
    }
}

fn entry(bytes: &[u8], length: usize) -> Option<Entry> {
    let tag = Tag::from_bits(word(bytes, 0)?)?;
    let id = if length == ENTRY && tag.has_id() {
        long(bytes, 4)?
    } else {
        NO_ID
    };
    Some(Entry {
        tag,
        perm: word(bytes, 2)?,
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::attr::{FileType, Timestamp};

    fn list(entries: &[(Tag, u16, u32)]) -> Acl {
        let entry = |(tag, perm, id): &(Tag, u16, u32)| Entry {
            tag: *tag,
            perm: *perm,
            id: *id,
        };
        Acl {
            entries: entries.iter().map(entry).collect(),
        }
    }

    fn sample() -> Acl {
        list(&[
            (Tag::UserObj, 6, NO_ID),
            (Tag::User, 7, 1000),
            (Tag::GroupObj, 4, NO_ID),
            (Tag::Group, 6, 50),
            (Tag::Mask, 5, NO_ID),
            (Tag::Other, 0, NO_ID),
        ])
    }

    fn may(acl: &Acl, uid: u32, gid: u32, want: Want) -> bool {
        let attr = Attr::new(FileType::Regular, 0o650, 1, 20, Timestamp::default());
        let who = Identity {
            user: uid,
            uid,
            gid,
            groups: &[],
            capabilities: 0,
        };
        acl.check(&who, &attr, want).is_ok()
    }

    #[test]
    fn forms() {
        let acl = sample();
        let value = acl.value().unwrap();
        assert_eq!(value.len(), 4 + 6 * 8);
        assert_eq!(Acl::parse(&value), Ok(Some(acl.clone())));
        let disk = acl.to_disk().unwrap();
        assert_eq!(disk.len(), 4 + 4 * 4 + 2 * 8);
        assert_eq!(Acl::from_disk(&disk), Ok(acl));
        assert_eq!(Acl::parse(&[2, 0, 0, 0]), Ok(None));
        assert_eq!(Acl::parse(&[1, 0, 0, 0]), Err(Errno::EOPNOTSUPP));
        assert_eq!(Acl::parse(&[2, 0]), Err(Errno::EINVAL));
    }

    #[test]
    fn broken_lists() {
        let parse = |acl: Acl| Acl::parse(&acl.value().unwrap());
        assert!(parse(sample()).is_ok());
        let mut no_mask = sample();
        no_mask.entries.remove(4);
        assert_eq!(parse(no_mask), Err(Errno::EINVAL));
        let mut disorder = sample();
        disorder.entries.swap(0, 1);
        assert_eq!(parse(disorder), Err(Errno::EINVAL));
        let mut many = sample();
        many.entries.push(many.entries[5]);
        assert_eq!(parse(many), Err(Errno::EINVAL));
    }

    #[test]
    fn who_may() {
        let acl = sample();
        assert!(may(&acl, 1000, 1, Want::READ | Want::EXEC));
        assert!(!may(&acl, 1000, 1, Want::WRITE), "the mask");
        assert!(may(&acl, 5, 20, Want::READ));
        assert!(!may(&acl, 5, 20, Want::EXEC));
        assert!(may(&acl, 5, 50, Want::READ));
        assert!(!may(&acl, 5, 50, Want::WRITE), "the mask");
        assert!(!may(&acl, 5, 5, Want::READ));
    }

    #[test]
    fn modes() {
        let mut acl = sample();
        assert_eq!(acl.mode(), (0o650, false));
        acl.set_mode(0o741);
        assert_eq!(acl.mode(), (0o741, false));
        assert_eq!(
            acl.perm(Tag::GroupObj),
            Some(4),
            "the mask changes in its place"
        );
        let (new, mode) = sample().for_new(0o777);
        assert_eq!(mode, 0o650);
        assert_eq!(new.map(|new| new.mode()), Some((0o650, false)));
        let plain = list(&[
            (Tag::UserObj, 7, NO_ID),
            (Tag::GroupObj, 5, NO_ID),
            (Tag::Other, 4, NO_ID),
        ]);
        assert_eq!(plain.for_new(0o666), (None, 0o644));
    }
}
