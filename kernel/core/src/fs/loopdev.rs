//! Loop devices as programs describe them (linux/loop.h): [`Status`] is what one is told of itself, in words of
//! eight bytes as `struct loop_info64` ([`Info64`]), the older `struct loop_info` ([`Info`]) and `struct
//! loop_config` ([`Config`]) have it.

use crate::errno::Errno;
use crate::num::{high32, low32};

/// Words of `struct loop_info64`.
pub const INFO64: usize = 29;
/// Words of `struct loop_info`.
pub const INFO: usize = 21;
/// Words of `struct loop_config`.
pub const CONFIG: usize = 38;

/// `LO_FLAGS_READ_ONLY`: it isn't written to.
pub const READ_ONLY: u32 = 1;
/// `LO_FLAGS_AUTOCLEAR`: it lets its file go with its last user.
pub const AUTOCLEAR: u32 = 4;
/// `LO_FLAGS_PARTSCAN`: its partitions are devices too.
pub const PARTSCAN: u32 = 8;
/// `LO_FLAGS_DIRECT_IO`: its file is to be read and written past the cache.
pub const DIRECT_IO: u32 = 16;

/// Flags that `LOOP_SET_STATUS` sets, and those of them that it clears.
const SETTABLE: u32 = AUTOCLEAR | PARTSCAN;
const CLEARABLE: u32 = AUTOCLEAR;

/// Words of a file's name.
const NAME_WORDS: usize = 8;
/// `LO_KEY_SIZE`.
const KEY_SIZE: u32 = 32;

/// What a loop device is told of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The byte of the file at which it begins.
    pub offset: u64,
    /// The most bytes it has; 0: as many as the file.
    pub size_limit: u64,
    /// `LO_FLAGS_*`.
    pub flags: u32,
}

/// A name of the file, for people.
pub type Name = [u64; NAME_WORDS];

/// What the kernel says besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which loop device it is.
    pub number: u32,
    /// The device the file lies on.
    pub device: u64,
    /// The file's inode number.
    pub inode: u64,
    /// The device that the file is, if it is one.
    pub rdevice: u64,
    /// The name that was given.
    pub name: Name,
}

/// The word at a place, 0 where there is none.
fn word(from: &[u64], at: usize) -> u64 {
    from.get(at).copied().unwrap_or(0)
}

/// Where the name is in the three structures.
pub const NAME_IN_INFO64: usize = 7;
/// The same.
pub const NAME_IN_INFO: usize = 6;
/// The same.
pub const NAME_IN_CONFIG: usize = 8;

/// The name at a place: it always ends with a NUL.
#[must_use]
pub fn name(words: &[u64], at: usize) -> Name {
    let mut name = [0; NAME_WORDS];
    put(&mut name, 0, words.get(at..).unwrap_or_default());
    name[NAME_WORDS - 1] &= u64::MAX >> 8;
    name
}

fn put(to: &mut [u64], at: usize, from: &[u64]) {
    for (to, from) in to.iter_mut().skip(at).zip(from) {
        *to = *from;
    }
}

impl Status {
    /// As a program describes it in a `struct loop_info64`.
    ///
    /// # Errors
    /// `EINVAL` for one that is encrypted, `EOVERFLOW` for one that begins or ends nowhere.
    pub fn from_info64(info: &[u64]) -> Result<Self, Errno> {
        let status = Self {
            offset: word(info, 3),
            size_limit: word(info, 4),
            flags: high32(word(info, 6)),
        };
        if high32(word(info, 5)) != 0 || low32(word(info, 6)) > KEY_SIZE {
            return Err(Errno::EINVAL);
        }
        status.checked()
    }

    /// The same of a `struct loop_info`, which knows no limit and no encryption any more.
    ///
    /// # Errors
    /// As there.
    pub fn from_info(info: &[u64]) -> Result<Self, Errno> {
        let status = Self {
            // It was an int.
            offset: i64::from(low32(word(info, 4)).cast_signed()).cast_unsigned(),
            size_limit: 0,
            flags: high32(word(info, 5)),
        };
        status.checked()
    }

    fn checked(self) -> Result<Self, Errno> {
        if self.offset.max(self.size_limit) > i64::MAX.cast_unsigned() {
            return Err(Errno::EOVERFLOW);
        }
        Ok(self)
    }

    /// As `LOOP_GET_STATUS64` tells it, into [`INFO64`] words of zeros.
    pub fn info64(&self, place: &Place, info: &mut [u64]) {
        let head = [
            place.device,
            place.inode,
            place.rdevice,
            self.offset,
            self.size_limit,
            u64::from(place.number),
            u64::from(self.flags) << 32,
        ];
        put(info, 0, &head);
        put(info, NAME_IN_INFO64, &place.name);
    }

    /// As `LOOP_GET_STATUS` tells it, into [`INFO`] words of zeros.
    ///
    /// # Errors
    /// `EOVERFLOW` when the offset doesn't fit.
    pub fn info(&self, place: &Place, info: &mut [u64]) -> Result<(), Errno> {
        let offset = i32::try_from(self.offset).map_err(|_| Errno::EOVERFLOW)?;
        let head = [
            u64::from(place.number),
            place.device,
            place.inode,
            place.rdevice,
            u64::from(offset.cast_unsigned()),
            u64::from(self.flags) << 32,
        ];
        put(info, 0, &head);
        put(info, NAME_IN_INFO, &place.name);
        Ok(())
    }

    /// What it becomes when a program sets `new`: some flags stay as they are.
    #[must_use]
    pub fn changed(&self, new: &Self) -> Self {
        let kept = self.flags & !SETTABLE | self.flags & !CLEARABLE;
        Self {
            flags: new.flags & SETTABLE | kept,
            ..*new
        }
    }

    /// The sectors that it has of a file of `bytes`.
    #[must_use]
    pub fn sectors(&self, bytes: u64) -> u64 {
        let left = bytes.saturating_sub(self.offset);
        let limit = if self.size_limit == 0 {
            left
        } else {
            self.size_limit
        };
        left.min(limit) / 512
    }
}

/// What `LOOP_CONFIGURE` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The file's descriptor.
    pub fd: i32,
    /// The size of its blocks; 0: the usual one.
    pub block_size: u32,
    /// The rest.
    pub status: Status,
}

impl Request {
    /// As a program describes it.
    ///
    /// # Errors
    /// As [`Status::from_info64`]'s, and `EINVAL` for flags or a block size that there aren't.
    pub fn from_config(config: &[u64]) -> Result<Self, Errno> {
        let request = Self {
            fd: low32(word(config, 0)).cast_signed(),
            block_size: high32(word(config, 0)),
            status: Status::from_info64(config.get(1..).unwrap_or_default())?,
        };
        let unknown = request.status.flags & !(READ_ONLY | SETTABLE | DIRECT_IO);
        if unknown != 0 || request.block_size != 0 && !is_block_size(u64::from(request.block_size))
        {
            return Err(Errno::EINVAL);
        }
        Ok(request)
    }
}

/// Whether blocks can be of that size.
#[must_use]
pub const fn is_block_size(size: u64) -> bool {
    size >= 512 && size <= 4096 && size.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        number: 3,
        device: 0xFE00,
        inode: 77,
        rdevice: 0,
        name: [u64::MAX; 8],
    };

    fn status() -> Status {
        Status {
            offset: 4096,
            size_limit: 8192,
            flags: AUTOCLEAR | PARTSCAN,
        }
    }

    fn info64() -> [u64; INFO64] {
        let mut info = [0; INFO64];
        status().info64(&PLACE, &mut info);
        info
    }

    fn info() -> [u64; INFO] {
        let mut info = [0; INFO];
        status().info(&PLACE, &mut info).unwrap();
        info
    }

    #[test]
    fn what_is_told_is_what_was_said() {
        assert_eq!(Status::from_info64(&info64()), Ok(status()));
        assert_eq!(low32(info64()[5]), 3);
        let wanted = Status {
            size_limit: 0,
            ..status()
        };
        assert_eq!(Status::from_info(&info()), Ok(wanted));
        let mut cut = PLACE.name;
        cut[7] >>= 8;
        let names = [name(&info64(), NAME_IN_INFO64), name(&info(), NAME_IN_INFO)];
        assert_eq!(names, [cut; 2]);
        let far = Status {
            offset: 1 << 31,
            ..status()
        };
        assert_eq!(far.info(&PLACE, &mut [0; INFO]), Err(Errno::EOVERFLOW));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut wide = info64();
        wide[5] |= 1 << 32;
        assert_eq!(Status::from_info64(&wide), Err(Errno::EINVAL));
        let mut wide = info64();
        wide[3] = 1 << 63;
        assert_eq!(Status::from_info64(&wide), Err(Errno::EOVERFLOW));
        let mut old = info();
        old[4] = u64::from(u32::MAX);
        assert_eq!(Status::from_info(&old), Err(Errno::EOVERFLOW));
    }

    #[test]
    fn flags_that_stay() {
        let old = Status {
            flags: READ_ONLY | AUTOCLEAR | PARTSCAN,
            ..Status::default()
        };
        assert_eq!(old.changed(&Status::default()).flags, READ_ONLY | PARTSCAN);
        let new = Status {
            flags: AUTOCLEAR | DIRECT_IO,
            ..Status::default()
        };
        assert_eq!(Status::default().changed(&new).flags, AUTOCLEAR);
    }

    #[test]
    fn sizes() {
        assert_eq!(status().sectors(1 << 20), 16);
        assert_eq!(status().sectors(5000), 1);
        assert_eq!(status().sectors(100), 0);
        assert_eq!(Status::default().sectors(1025), 2);
    }

    #[test]
    fn configurations() {
        let mut config = [0; CONFIG];
        put(&mut config, 1, &info64());
        config[0] = 5 | 4096 << 32;
        let request = Request::from_config(&config).unwrap();
        assert_eq!((request.fd, request.block_size), (5, 4096));
        for bad in [256u64, 8192, 1000] {
            config[0] = 5 | bad << 32;
            assert_eq!(Request::from_config(&config), Err(Errno::EINVAL));
        }
        config[0] = 5;
        config[7] |= 0x100 << 32;
        assert_eq!(Request::from_config(&config), Err(Errno::EINVAL));
    }
}
