//! What an inode says of itself: [`FileType`], [`DeviceNumber`], [`Timestamp`], [`Attr`], and
//! [`SetAttr`], the change asked of it.

use crate::abi;
use crate::num::low32;

/// Permission bits with setuid, setgid and sticky.
pub const MODE_BITS: u32 = 0o7777;
/// The setuid bit.
pub const SETUID: u32 = abi::S_ISUID;
/// The setgid bit.
pub const SETGID: u32 = abi::S_ISGID;
/// The sticky bit.
pub const STICKY: u32 = abi::S_ISVTX;
/// `FS_SECRM_FL` (linux/fs.h): nothing comes of it.
pub const SECURE_DELETE: u32 = 0x1;
/// `FS_UNRM_FL`: nor of this.
pub const UNDELETABLE: u32 = 0x2;
/// `FS_COMPR_FL`: nor of this.
pub const COMPRESSED: u32 = 0x4;
/// `FS_IMMUTABLE_FL`: nothing may change.
pub const IMMUTABLE: u32 = 0x10;
/// `FS_APPEND_FL`: only what is appended to it changes it.
pub const APPEND_ONLY: u32 = 0x20;
/// `FS_NODUMP_FL`
pub const NO_DUMP: u32 = 0x40;
/// `FS_NOATIME_FL`: reading leaves no trace.
pub const NO_ATIME: u32 = 0x80;
/// `FS_NOCOMP_FL`
pub const NO_COMPRESSION: u32 = 0x400;

/// `FS_SYNC_FL`: what is written goes to the disk at once.
pub const SYNCHRONOUS: u32 = 0x8;
/// `FS_JOURNAL_DATA_FL`: contents go through the journal.
pub const JOURNAL_DATA: u32 = 0x4000;
/// `FS_NOTAIL_FL`
pub const NO_TAIL: u32 = 0x8000;
/// `FS_DIRSYNC_FL`: what changes in the directory goes to the disk at once.
pub const DIR_SYNCHRONOUS: u32 = 0x1_0000;
/// `FS_TOPDIR_FL`: what is in the directory has nothing to do with one another.
pub const TOP_DIR: u32 = 0x2_0000;
/// `FS_EXTENT_FL`: contents are found by extents.
pub const EXTENTS: u32 = 0x8_0000;
/// `FS_DAX_FL`: of disks that are memory.
pub const DAX: u32 = 0x200_0000;
/// `FS_PROJINHERIT_FL`: what is new is of the directory's project.
pub const PROJECT_INHERIT: u32 = 0x2000_0000;
/// Flags that only directories have.
pub const DIR_FLAGS: u32 = DIR_SYNCHRONOUS | TOP_DIR | PROJECT_INHERIT;

/// Execution by the group.
pub const GROUP_EXEC: u32 = abi::S_IXGRP;

/// What kind of file an inode is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileType {
    /// A FIFO or pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A directory.
    Directory,
    /// A block device.
    BlockDevice,
    /// A regular file.
    Regular,
    /// A symbolic link.
    Symlink,
    /// A socket.
    Socket,
}

impl FileType {
    /// From the `S_IFMT` bits of a mode.
    #[must_use]
    pub fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & abi::S_IFMT {
            abi::S_IFIFO => Self::Fifo,
            abi::S_IFCHR => Self::CharDevice,
            abi::S_IFDIR => Self::Directory,
            abi::S_IFBLK => Self::BlockDevice,
            abi::S_IFREG => Self::Regular,
            abi::S_IFLNK => Self::Symlink,
            abi::S_IFSOCK => Self::Socket,
            _ => return None,
        })
    }

    /// The `S_IFMT` bits.
    #[must_use]
    #[inline]
    pub const fn mode(self) -> u32 {
        match self {
            Self::Fifo => abi::S_IFIFO,
            Self::CharDevice => abi::S_IFCHR,
            Self::Directory => abi::S_IFDIR,
            Self::BlockDevice => abi::S_IFBLK,
            Self::Regular => abi::S_IFREG,
            Self::Symlink => abi::S_IFLNK,
            Self::Socket => abi::S_IFSOCK,
        }
    }

    /// The `DT_*` value of directory entries (dirent.h: the type bits of the mode, shifted).
    #[must_use]
    pub const fn dirent(self) -> u8 {
        crate::num::low8((self.mode() >> 12) as u64)
    }

    /// Whether the inode has a device number of its own.
    #[must_use]
    #[inline]
    pub const fn is_device(self) -> bool {
        matches!(self, Self::CharDevice | Self::BlockDevice)
    }
}

/// A device number: 12 bits of major, 20 of minor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// The device `major:minor`.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// From the encoding that `mknod` takes and images hold (linux/kdev_t.h, `new_decode_dev`).
    #[must_use]
    pub const fn decode(dev: u32) -> Self {
        Self {
            major: (dev & 0xF_FF00) >> 8,
            minor: (dev & 0xFF) | ((dev >> 12) & 0xF_FF00),
        }
    }

    /// As `st_dev` and `st_rdev` carry it.
    #[must_use]
    pub const fn encode(self) -> u64 {
        let minor = self.minor as u64;
        (minor & 0xFF) | ((self.major as u64 & 0xFFF) << 8) | ((minor & 0xF_FF00) << 12)
    }
}

/// A time since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp {
    /// Seconds; negative before 1970.
    pub sec: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nsec: u32,
}

impl Timestamp {
    /// From nanoseconds since the epoch.
    #[must_use]
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self {
            sec: (nanos / 1_000_000_000).cast_signed(),
            nsec: low32(nanos % 1_000_000_000),
        }
    }
}

/// An inode's attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// What it is; never changes.
    pub kind: FileType,
    /// [`MODE_BITS`] only.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub nlink: u32,
    /// Bytes.
    pub size: u64,
    /// 512-byte units in use.
    pub blocks: u64,
    /// The device, when it is one.
    pub rdev: DeviceNumber,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of the contents.
    pub mtime: Timestamp,
    /// Last change of the inode.
    pub ctime: Timestamp,
    /// Creation.
    pub btime: Timestamp,
    /// `FS_*_FL`, as chattr(1) changes them.
    pub flags: u32,
}

impl Attr {
    /// The attributes of something new: one link (two for a directory), every time `now`.
    #[must_use]
    pub const fn new(kind: FileType, mode: u32, uid: u32, gid: u32, now: Timestamp) -> Self {
        Self {
            kind,
            mode: mode & MODE_BITS,
            uid,
            gid,
            nlink: if matches!(kind, FileType::Directory) {
                2
            } else {
                1
            },
            size: 0,
            blocks: 0,
            rdev: DeviceNumber::new(0, 0),
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            flags: 0,
        }
    }

    /// Whether any of these flags is set.
    #[must_use]
    #[inline]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Type and permission bits together, as `st_mode` has them.
    #[must_use]
    #[inline]
    pub const fn st_mode(&self) -> u32 {
        self.kind.mode() | self.mode
    }

    /// Whether it is a directory.
    #[must_use]
    #[inline]
    pub const fn is_dir(&self) -> bool {
        matches!(self.kind, FileType::Directory)
    }

    /// Applies a change that was allowed. The size is the caller's to carry out first.
    pub fn apply(&mut self, change: &SetAttr) {
        self.mode = change.mode.unwrap_or(self.mode);
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
        self.size = change.size.unwrap_or(self.size);
        self.atime = change.atime.unwrap_or(self.atime);
        self.mtime = change.mtime.unwrap_or(self.mtime);
        self.ctime = change.ctime.unwrap_or(self.ctime);
        self.flags = change.flags.unwrap_or(self.flags);
    }

    /// Whether reading at `now` has to move the access time under `relatime` (mount(8)): it isn't
    /// later than the last change, or it is a day old.
    #[must_use]
    #[inline]
    pub fn relatime_due(&self, now: Timestamp) -> bool {
        self.atime <= self.mtime
            || self.atime <= self.ctime
            || now.sec.saturating_sub(self.atime.sec) >= 24 * 60 * 60
    }

    /// The mode without the setuid bit, and without setgid where the group may execute: what a
    /// write, a truncation or a change of owner leaves to those without `CAP_FSETID`.
    #[must_use]
    pub const fn mode_without_privilege(&self) -> u32 {
        let mode = self.mode & !SETUID;
        if mode & (SETGID | GROUP_EXEC) == SETGID | GROUP_EXEC {
            mode & !SETGID
        } else {
            mode
        }
    }
}

/// A change of attributes: what is `Some` changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// New [`MODE_BITS`].
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size: the file is cut or grows with a hole.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<Timestamp>,
    /// New modification time.
    pub mtime: Option<Timestamp>,
    /// New change time; the VFS sets it with every change.
    pub ctime: Option<Timestamp>,
    /// New `FS_*_FL`.
    pub flags: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_as_linux_encodes_them() {
        for (major, minor, encoded) in [
            (1, 3, 0x103),
            (254, 0, 0xFE00),
            (8, 256, 0x10_0800),
            (0xFFF, 0xF_FFFF, 0xFFFF_FFFF),
        ] {
            let number = DeviceNumber::new(major, minor);
            assert_eq!(number.encode(), encoded);
            assert_eq!(DeviceNumber::decode(low32(encoded)), number);
        }
    }

    #[test]
    fn dirent_types() {
        assert_eq!(FileType::Directory.dirent(), 4);
        assert_eq!(FileType::Regular.dirent(), 8);
        assert_eq!(FileType::Symlink.dirent(), 10);
        assert_eq!(FileType::from_mode(0o100_644), Some(FileType::Regular));
        assert_eq!(FileType::from_mode(0), None);
    }
}
