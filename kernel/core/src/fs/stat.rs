//! `struct stat`, `struct statx`, `struct statfs` of x86-64, as bytes.

use super::attr::{APPEND_ONLY, Attr, DeviceNumber, IMMUTABLE, NO_DUMP, Timestamp};
use crate::abi;
use crate::num::{low16, low32};

/// Bytes of `struct stat` (asm/stat.h).
pub const STAT_SIZE: usize = 144;
/// Bytes of `struct statx` (linux/stat.h).
pub const STATX_SIZE: usize = 256;
/// Bytes of `struct statfs` (asm-generic/statfs.h).
pub const STATFS_SIZE: usize = 120;

/// `f_flags` is filled in (`ST_VALID`, linux/statfs.h).
const ST_VALID: u32 = 0x20;

/// `STATX_ATTR_AUTOMOUNT` and `STATX_ATTR_DAX` (linux/stat.h).
const ATTR_AUTOMOUNT: u64 = 0x1000;
const ATTR_DAX: u64 = 0x20_0000;

/// What `stat` tells: the attributes, and where the inode lives.
#[derive(Clone, Copy, Debug)]
pub struct Stat<'a> {
    /// Inode number.
    pub ino: u64,
    /// Device of the file system.
    pub dev: DeviceNumber,
    /// Preferred unit of I/O in bytes.
    pub block_size: u32,
    /// The attributes.
    pub attr: &'a Attr,
    /// Bytes in it, which the attributes may be late to tell.
    pub size: u64,
    /// Identifier of the mount (`STATX_MNT_ID`).
    pub mount_id: u64,
    /// Whether it is the root of a mount.
    pub mount_root: bool,
    /// Whether its file system keeps the flags that chattr(1) changes.
    pub has_flags: bool,
}

/// What `statfs` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatFs {
    /// Magic number of the type (linux/magic.h).
    pub magic: u32,
    /// Bytes in a block.
    pub block_size: u32,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Free blocks for the unprivileged.
    pub available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Identifier.
    pub id: u64,
    /// Longest name.
    pub name_max: u32,
    /// `ST_*` flags of the mount.
    pub flags: u32,
}

/// Writes little-endian fields one after the other.
struct Fields<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Fields<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            at: 0,
        }
    }

    fn put(&mut self, field: &[u8]) -> &mut Self {
        let end = self.at + field.len();
        debug_assert!(end <= N, "fields fit the structure");
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(field);
        }
        self.at = end;
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    /// `struct timespec`.
    fn time(&mut self, time: Timestamp) -> &mut Self {
        self.u64(time.sec.cast_unsigned()).u64(u64::from(time.nsec))
    }

    /// `struct statx_timestamp`.
    fn short_time(&mut self, time: Timestamp) -> &mut Self {
        self.u64(time.sec.cast_unsigned()).u32(time.nsec).u32(0)
    }
}

impl Stat<'_> {
    /// As `struct stat`.
    #[must_use]
    pub fn to_stat(&self) -> [u8; STAT_SIZE] {
        let attr = self.attr;
        let mut out = Fields::<STAT_SIZE>::new();
        out.u64(self.dev.encode())
            .u64(self.ino)
            .u64(u64::from(attr.nlink))
            .u32(attr.st_mode())
            .u32(attr.uid)
            .u32(attr.gid)
            .u32(0)
            .u64(attr.rdev.encode())
            .u64(self.size)
            .u64(u64::from(self.block_size))
            .u64(attr.blocks)
            .time(attr.atime)
            .time(attr.mtime)
            .time(attr.ctime);
        out.bytes
    }

    /// Which flags the file system would tell of, `own` among them: on disks also that a file is compressed, encrypted or
    /// sealed, which none is.
    fn known_flags(&self, own: u64) -> u64 {
        const NEVER: u32 =
            abi::STATX_ATTR_COMPRESSED | abi::STATX_ATTR_ENCRYPTED | abi::STATX_ATTR_VERITY;
        match (self.has_flags, self.dev.major) {
            (false, _) => 0,
            (true, 0) => own,
            _ => own | u64::from(NEVER),
        }
    }

    /// As `struct statx`: the basic fields and the mount, and the birth time if `wanted` has it.
    #[must_use]
    pub fn to_statx(&self, wanted: u32) -> [u8; STATX_SIZE] {
        let attr = self.attr;
        let mask = abi::STATX_BASIC_STATS | abi::STATX_MNT_ID | wanted & abi::STATX_BTIME;
        let attributes = u64::from(abi::STATX_ATTR_MOUNT_ROOT);
        // What would be told of every file, were it so.
        let known = attributes | ATTR_AUTOMOUNT | ATTR_DAX;
        // The flags that chattr changes have the same bits here.
        let own = u64::from(IMMUTABLE | APPEND_ONLY | NO_DUMP);
        let shown = u64::from(attr.flags) & own;
        let mut out = Fields::<STATX_SIZE>::new();
        out.u32(mask)
            .u32(self.block_size)
            .u64(shown | if self.mount_root { attributes } else { 0 })
            .u32(attr.nlink)
            .u32(attr.uid)
            .u32(attr.gid)
            .u16(low16(u64::from(attr.st_mode())))
            .u16(0)
            .u64(self.ino)
            .u64(self.size)
            .u64(attr.blocks)
            .u64(known | self.known_flags(own))
            .short_time(attr.atime)
            .short_time(attr.btime)
            .short_time(attr.ctime)
            .short_time(attr.mtime)
            .u32(attr.rdev.major)
            .u32(attr.rdev.minor)
            .u32(self.dev.major)
            .u32(self.dev.minor)
            .u64(self.mount_id);
        out.bytes
    }
}

impl StatFs {
    /// As `struct statfs`.
    #[must_use]
    pub fn to_statfs(&self) -> [u8; STATFS_SIZE] {
        let mut out = Fields::<STATFS_SIZE>::new();
        out.u64(u64::from(self.magic))
            .u64(u64::from(self.block_size))
            .u64(self.blocks)
            .u64(self.free)
            .u64(self.available)
            .u64(self.files)
            .u64(self.files_free)
            .u32(low32(self.id))
            .u32(low32(self.id >> 32))
            .u64(u64::from(self.name_max))
            .u64(u64::from(self.block_size))
            .u64(u64::from(self.flags | ST_VALID));
        out.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::attr::FileType;

    #[test]
    fn sizes_as_the_headers_have_them() {
        assert_eq!(size_of::<abi::stat>(), STAT_SIZE);
        assert_eq!(size_of::<abi::statx>(), STATX_SIZE);
        assert_eq!(size_of::<abi::statfs64>(), STATFS_SIZE);
    }

    #[test]
    fn fields_lie_where_the_headers_have_them() {
        let now = Timestamp { sec: -1, nsec: 7 };
        let mut attr = Attr::new(FileType::Regular, 0o4644, 1000, 1001, now);
        attr.rdev = DeviceNumber::new(1, 3);
        let stat = Stat {
            ino: 42,
            dev: DeviceNumber::new(0, 21),
            block_size: 4096,
            attr: &attr,
            size: 0x1_0000_0001,
            mount_id: 9,
            mount_root: true,
            has_flags: false,
        };
        let bytes = stat.to_stat();
        let at = |offset: usize| u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap());
        assert_eq!(at(std::mem::offset_of!(abi::stat, st_dev)), 21);
        assert_eq!(at(std::mem::offset_of!(abi::stat, st_size)), stat.size);
        assert_eq!(at(std::mem::offset_of!(abi::stat, st_rdev)), 0x103);
        assert_eq!(at(std::mem::offset_of!(abi::stat, st_ctime)), u64::MAX);
        let bytes = stat.to_statx(0);
        let at = |offset: usize| u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap());
        assert_eq!(at(std::mem::offset_of!(abi::statx, stx_size)), stat.size);
        assert_eq!(at(std::mem::offset_of!(abi::statx, stx_mtime)), u64::MAX);
        assert_eq!(at(std::mem::offset_of!(abi::statx, stx_mnt_id)), 9);
        assert_eq!(
            at(std::mem::offset_of!(abi::statx, stx_rdev_major)),
            0x3_0000_0001
        );
    }
}
