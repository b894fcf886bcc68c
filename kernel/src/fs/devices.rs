//! Devices by number: who opens which ([`register`]), and the memory devices, `/dev/null` and its
//! like (null(4), full(4), random(4)).

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::flags::OpenFlags;

use super::blockdev::loops;
use super::file::{File, FileOps, Ioctl, MapSource};
use super::inode::Inode;
use super::memory::{try_arc, try_push};
use crate::drivers::random;
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};

/// Opens a device file.
pub(crate) type OpenDevice = fn(&Arc<Inode>, OpenFlags) -> Result<Arc<dyn FileOps>, Errno>;

/// Who opens a range of devices.
#[derive(Clone, Copy)]
pub(crate) struct Driver {
    /// [`FileType::CharDevice`] or [`FileType::BlockDevice`].
    pub(crate) kind: FileType,
    /// The major number.
    pub(crate) major: u32,
    /// The first minor number.
    pub(crate) first: u32,
    /// Minor numbers from there on.
    pub(crate) count: u32,
    /// What opens them.
    pub(crate) open: OpenDevice,
}

static DRIVERS: SpinLock<Vec<Driver>> = SpinLock::new(Vec::new());

/// Makes a driver known.
pub(crate) fn register(driver: Driver) -> Result<(), Errno> {
    try_push(&mut DRIVERS.lock(), driver)
}

/// Opens the device that `inode` stands for; ENXIO when there is none of that number.
pub(super) fn open(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    let number = inode.rdev();
    if inode.kind() == FileType::CharDevice
        && number.major == MEMORY_MAJOR
        && let Some(device) = Memory::of(number.minor)
    {
        return Ok(try_arc(device)?);
    }
    if let Some(device) = loops::open_at(inode, flags) {
        return device;
    }
    let driver = {
        let drivers = DRIVERS.lock();
        let found = drivers.iter().find(|driver| {
            driver.kind == inode.kind()
                && driver.major == number.major
                && (driver.first..driver.first.saturating_add(driver.count)).contains(&number.minor)
        });
        found.copied()
    };
    (driver.ok_or(Errno::ENXIO)?.open)(inode, flags)
}

/// The major number of the memory devices.
pub(crate) const MEMORY_MAJOR: u32 = 1;

/// A memory device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Null,
    Zero,
    Full,
    Random,
    Urandom,
}

impl Memory {
    fn of(minor: u32) -> Option<Self> {
        match minor {
            3 => Some(Self::Null),
            5 => Some(Self::Zero),
            7 => Some(Self::Full),
            8 => Some(Self::Random),
            9 => Some(Self::Urandom),
            _ => None,
        }
    }
}

/// Random numbers to come depend on these bytes, too.
#[cold]
fn mix_in(src: &mut IoSrc<'_>) -> Result<usize, Errno> {
    let (mut buffer, mut done) = ([0; 64], 0);
    while src.remaining() > 0 {
        done += src.take(&mut buffer)?;
        random::mix(&buffer);
    }
    Ok(done)
}

impl FileOps for Memory {
    fn read(&self, _: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        match self {
            Self::Null => Ok(0),
            Self::Zero | Self::Full => dst.put_zeros(dst.remaining()),
            Self::Random | Self::Urandom => read_random(dst),
        }
    }

    fn write(&self, _: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        match self {
            // The bytes aren't even looked at: a bad address is no error.
            Self::Null | Self::Zero => Ok(src.remaining()),
            Self::Full => Err(Errno::ENOSPC),
            Self::Random | Self::Urandom => mix_in(src),
        }
    }

    fn ioctl(&self, _: &File, _: &Ioctl<'_>) -> Result<u64, Errno> {
        match self {
            Self::Random | Self::Urandom => Err(Errno::EINVAL),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn can_poll(&self) -> bool {
        *self == Self::Random
    }

    fn has_position(&self) -> bool {
        false
    }

    fn seek_end(&self, _: &File) -> Option<u64> {
        None
    }

    fn mapping(&self, _: &File) -> Result<MapSource, Errno> {
        match self {
            Self::Zero => Ok(MapSource::Zeros),
            _ => Err(Errno::ENODEV),
        }
    }
}

fn read_random(dst: &mut IoDst<'_>) -> Result<usize, Errno> {
    let (mut buffer, mut done) = ([0; 256], 0);
    while dst.remaining() > 0 {
        let len = dst.remaining().min(buffer.len());
        let piece = buffer.get_mut(..len).unwrap_or_default();
        random::fill(piece);
        match dst.put(piece) {
            Ok(count) => done += count,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
