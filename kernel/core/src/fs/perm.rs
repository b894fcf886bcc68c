//! Who may do what to an inode: permission bits, ownership, capabilities.
//!
//! The rules of path_resolution(7), chmod(2), chown(2), unlink(2), utimensat(2) and
//! capabilities(7). An [`Identity`] is the part of a task's credentials that files look at.

use super::attr::{
    APPEND_ONLY, Attr, FileType, GROUP_EXEC, IMMUTABLE, MODE_BITS, SETGID, STICKY, SetAttr,
};
use crate::errno::Errno;
use bitflags::bitflags;

bitflags! {
    /// What is wanted of an inode; the values are those of `access(2)` and of mode bits.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Want: u32 {
        /// Reading; listing for a directory.
        const READ = 4;
        /// Writing; adding and removing names for a directory.
        const WRITE = 2;
        /// Executing; looking names up for a directory.
        const EXEC = 1;
    }
}

/// Capabilities that files ask for, by number (linux/capability.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Capability {
    /// Change owners at will.
    Chown = 0,
    /// Pass by the permission bits.
    DacOverride = 1,
    /// Read and search by them.
    DacReadSearch = 2,
    /// Act as the owner of any file.
    Fowner = 3,
    /// Keep setuid and setgid bits through changes.
    Fsetid = 4,
    /// Make files immutable, or not.
    LinuxImmutable = 9,
    /// Ports below 1024.
    NetBindService = 10,
    /// Change how networks work.
    NetAdmin = 12,
    /// Protocols by hand.
    NetRaw = 13,
    /// Change the root directory.
    SysChroot = 18,
    /// Mount, and much else.
    SysAdmin = 21,
    /// Go beyond reserved space and limits.
    SysResource = 24,
    /// Make device nodes.
    Mknod = 27,
    /// Give capabilities to files.
    Setfcap = 31,
}

/// Whose request it is, as far as files care.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The real user, whom what is bounded for each user counts for.
    pub user: u32,
    /// The file-system user (for `access(2)`: the real one).
    pub uid: u32,
    /// The file-system group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: &'a [u32],
    /// Effective capabilities, one bit each.
    pub capabilities: u64,
}

impl Identity<'static> {
    /// The kernel's own requests: root with everything.
    pub const KERNEL: Self = Self {
        user: 0,
        uid: 0,
        gid: 0,
        groups: &[],
        capabilities: u64::MAX,
    };
}

impl Identity<'_> {
    /// Whether the capability is effective.
    #[must_use]
    #[inline]
    pub const fn can(&self, capability: Capability) -> bool {
        self.capabilities & (1 << capability as u8) != 0
    }

    /// Whether `gid` is among the groups.
    #[must_use]
    #[inline]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Whether it is the owner's, or may act as the owner.
    #[must_use]
    pub fn owns(&self, attr: &Attr) -> bool {
        self.uid == attr.uid || self.can(Capability::Fowner)
    }

    /// Whether `want` is granted on an inode.
    ///
    /// # Errors
    /// EACCES; EPERM for writing what is immutable.
    #[inline]
    pub fn check(&self, attr: &Attr, want: Want) -> Result<(), Errno> {
        if attr.has(IMMUTABLE) && want.contains(Want::WRITE) {
            return Err(Errno::EPERM);
        }
        let bits = if self.uid == attr.uid {
            attr.mode >> 6
        } else if attr.mode & 0o070 != (attr.mode & 0o007) << 3 && self.in_group(attr.gid) {
            // Where group and others have the same rights, the groups needn't be searched.
            attr.mode >> 3
        } else {
            attr.mode
        };
        if want.bits() & !bits & 7 == 0 || self.overrides(attr, want) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// Whether an access control list counts: not for the owner, nor where the group's bits, its
    /// mask, are all off, nor for those who pass by permissions.
    #[must_use]
    #[inline]
    pub fn heeds_acl(&self, attr: &Attr, want: Want) -> bool {
        self.uid != attr.uid && attr.mode & 0o070 != 0 && !self.overrides(attr, want)
    }

    /// Whether every directory may be searched, whatever it says itself.
    #[must_use]
    #[inline]
    pub fn searches_everything(&self) -> bool {
        self.can(Capability::DacReadSearch) || self.can(Capability::DacOverride)
    }

    fn overrides(&self, attr: &Attr, want: Want) -> bool {
        if attr.is_dir() {
            return self.can(Capability::DacOverride)
                || (!want.contains(Want::WRITE) && self.can(Capability::DacReadSearch));
        }
        let executable = attr.mode & 0o111 != 0;
        (self.can(Capability::DacOverride) && (!want.contains(Want::EXEC) || executable))
            || (want == Want::READ && self.can(Capability::DacReadSearch))
    }

    /// Whether the name of `victim` may be taken out of `dir`, which `check` has let be written.
    ///
    /// # Errors
    /// EPERM in a sticky directory of others; ENOTDIR and EISDIR when `victim` is not what the
    /// call removes (`want_dir`: it removes directories).
    pub fn may_remove(&self, dir: &Attr, victim: &Attr, want_dir: bool) -> Result<(), Errno> {
        let sticky = dir.mode & STICKY != 0 && self.uid != victim.uid && self.uid != dir.uid;
        let stays = dir.has(APPEND_ONLY) || victim.has(APPEND_ONLY | IMMUTABLE);
        if stays || sticky && !self.can(Capability::Fowner) {
            return Err(Errno::EPERM);
        }
        match (want_dir, victim.is_dir()) {
            (true, false) => Err(Errno::ENOTDIR),
            (false, true) => Err(Errno::EISDIR),
            _ => Ok(()),
        }
    }

    /// Owner, group and mode of something made in `dir` (inode(7) on set-group-ID directories).
    #[must_use]
    pub fn for_new(&self, dir: &Attr, kind: FileType, mode: u32) -> (u32, u32, u32) {
        let mode = mode & MODE_BITS;
        if dir.mode & SETGID == 0 {
            return (self.uid, self.gid, mode);
        }
        let mode = if kind == FileType::Directory {
            mode | SETGID
        } else if mode & (SETGID | GROUP_EXEC) == SETGID | GROUP_EXEC
            && !self.in_group(dir.gid)
            && !self.can(Capability::Fsetid)
        {
            mode & !SETGID
        } else {
            mode
        };
        (self.uid, dir.gid, mode)
    }

    /// The change that `chmod` to `mode` makes.
    ///
    /// # Errors
    /// EPERM for those who don't own the inode.
    pub fn chmod(&self, attr: &Attr, mode: u32) -> Result<SetAttr, Errno> {
        if !self.owns(attr) || attr.has(IMMUTABLE | APPEND_ONLY) {
            return Err(Errno::EPERM);
        }
        let mut mode = mode & MODE_BITS;
        if !self.in_group(attr.gid) && !self.can(Capability::Fsetid) {
            mode &= !SETGID;
        }
        Ok(SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        })
    }

    /// The change that `chown` makes; `None` leaves that one alone.
    ///
    /// # Errors
    /// EPERM unless it is privileged or gives an own file to an own group.
    pub fn chown(&self, attr: &Attr, uid: Option<u32>, gid: Option<u32>) -> Result<SetAttr, Errno> {
        let owner = self.uid == attr.uid;
        let uid_ok = uid.is_none_or(|uid| owner && uid == attr.uid);
        let gid_ok = gid.is_none_or(|gid| owner && (gid == attr.gid || self.in_group(gid)));
        let allowed = uid_ok && gid_ok || self.can(Capability::Chown);
        if !allowed || attr.has(IMMUTABLE | APPEND_ONLY) {
            return Err(Errno::EPERM);
        }
        let mut mode = None;
        if !attr.is_dir() {
            let mut stripped = attr.mode_without_privilege();
            if !self.in_group(attr.gid) && !self.can(Capability::Fsetid) {
                stripped &= !SETGID;
            }
            mode = (stripped != attr.mode).then_some(stripped);
        }
        Ok(SetAttr {
            uid,
            gid,
            mode,
            ..SetAttr::default()
        })
    }

    /// Whether the times may be set: to given values (`exact`), or both to now.
    ///
    /// # Errors
    /// EPERM or EACCES, as utimensat(2) tells them apart.
    pub fn may_set_times(&self, attr: &Attr, exact: bool) -> Result<(), Errno> {
        if attr.has(IMMUTABLE) || exact && attr.has(APPEND_ONLY) {
            return Err(Errno::EPERM);
        }
        match (self.owns(attr), exact) {
            (true, _) => Ok(()),
            (false, true) => Err(Errno::EPERM),
            (false, false) => self.check(attr, Want::WRITE),
        }
    }

    /// The mode a file keeps once this identity has written to it; `None`: as it is.
    #[must_use]
    pub fn mode_after_write(&self, attr: &Attr) -> Option<u32> {
        if attr.kind != FileType::Regular || self.can(Capability::Fsetid) {
            return None;
        }
        let mode = attr.mode_without_privilege();
        (mode != attr.mode).then_some(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::attr::Timestamp;

    fn file(kind: FileType, mode: u32, uid: u32, gid: u32) -> Attr {
        Attr::new(kind, mode, uid, gid, Timestamp::default())
    }

    fn user(uid: u32, gid: u32, groups: &[u32]) -> Identity<'_> {
        Identity {
            user: uid,
            uid,
            gid,
            groups,
            capabilities: 0,
        }
    }

    #[test]
    fn owner_group_and_others_each_have_their_bits_only() {
        let attr = file(FileType::Regular, 0o077, 10, 20);
        assert_eq!(
            user(10, 20, &[]).check(&attr, Want::READ),
            Err(Errno::EACCES)
        );
        assert_eq!(user(11, 20, &[]).check(&attr, Want::all()), Ok(()));
        let attr = file(FileType::Regular, 0o604, 10, 20);
        assert_eq!(
            user(11, 1, &[20]).check(&attr, Want::READ),
            Err(Errno::EACCES)
        );
        assert_eq!(user(11, 1, &[21]).check(&attr, Want::READ), Ok(()));
    }

    #[test]
    fn root_needs_an_execute_bit_to_execute() {
        let root = Identity::KERNEL;
        let attr = file(FileType::Regular, 0o600, 10, 20);
        assert_eq!(root.check(&attr, Want::READ | Want::WRITE), Ok(()));
        assert_eq!(root.check(&attr, Want::EXEC), Err(Errno::EACCES));
        assert_eq!(
            root.check(&file(FileType::Directory, 0, 10, 20), Want::all()),
            Ok(())
        );
        assert_eq!(
            root.check(&file(FileType::Regular, 0o001, 10, 20), Want::EXEC),
            Ok(())
        );
    }

    #[test]
    fn sticky_directories_keep_others_files() {
        let dir = file(FileType::Directory, 0o1777, 0, 0);
        let victim = file(FileType::Regular, 0o666, 10, 20);
        assert_eq!(
            user(11, 11, &[]).may_remove(&dir, &victim, false),
            Err(Errno::EPERM)
        );
        assert_eq!(user(10, 11, &[]).may_remove(&dir, &victim, false), Ok(()));
        assert_eq!(
            user(10, 11, &[]).may_remove(&dir, &victim, true),
            Err(Errno::ENOTDIR)
        );
    }

    #[test]
    fn setgid_directories_hand_their_group_down() {
        let dir = file(FileType::Directory, 0o2775, 0, 50);
        let me = user(10, 20, &[]);
        assert_eq!(me.for_new(&dir, FileType::Regular, 0o644), (10, 50, 0o644));
        assert_eq!(
            me.for_new(&dir, FileType::Directory, 0o755),
            (10, 50, 0o2755)
        );
        assert_eq!(me.for_new(&dir, FileType::Regular, 0o2755), (10, 50, 0o755));
    }

    #[test]
    fn changing_owners_drops_privileged_bits() {
        let attr = file(FileType::Regular, 0o6755, 10, 20);
        let change = Identity::KERNEL.chown(&attr, Some(0), None);
        assert_eq!(change.map(|change| change.mode), Ok(Some(0o755)));
        assert_eq!(
            user(10, 20, &[]).chown(&attr, Some(11), None),
            Err(Errno::EPERM)
        );
        assert!(user(10, 20, &[21]).chown(&attr, None, Some(21)).is_ok());
        assert_eq!(
            user(10, 20, &[]).chown(&attr, None, Some(21)),
            Err(Errno::EPERM)
        );
    }
}
