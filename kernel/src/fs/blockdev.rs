//! Disks as files: `/dev/vda` and its like, through a page cache of the disk's own.
//!
//! A mounted file system has private buffers and doesn't see this cache, as on Linux.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::num::{u64_of, usize_of, usize_of32};

use super::devfs;
use super::devices::{self, Driver};
use super::file::{File, FileOps, Ioctl, MapSource};
use super::inode::Inode;
use super::memory::try_arc;
use super::text::Text;
use super::vfs::Node;
use crate::drivers::block::{self, BlockDevice, Memory, SECTOR_SIZE, SECTORS_PER_PAGE, Segment};
use crate::mm::FrameRef;
use crate::sync::Once;
use crate::vm::{IoDst, IoSrc, Mapping, PageSource};

/// The major number of virtio disks, and minor numbers for each (its partitions).
pub(crate) const MAJOR: u32 = 254;
pub(super) const MINORS: u32 = 16;

/// Each disk's pages, made when it is first opened.
static CACHES: Once<Vec<Once<Arc<Mapping>>>> = Once::new();

/// Makes the device files of all registered disks.
pub(crate) fn init() -> Result<(), Errno> {
    let disks = block::disks();
    let count = u32::try_from(disks.len()).map_err(|_| Errno::EINVAL)?;
    CACHES.call_once(|| disks.iter().map(|_| Once::new()).collect());
    devices::register(Driver {
        kind: FileType::BlockDevice,
        major: MAJOR,
        first: 0,
        count: count * MINORS,
        open,
    })?;
    for (number, disk) in (0..).zip(disks) {
        let node = Node {
            rdev: DeviceNumber::new(MAJOR, number * MINORS),
            ..Node::new(FileType::BlockDevice, 0o660)
        };
        let mut name = Vec::from(*b"/");
        name.extend_from_slice(disk.name().as_bytes());
        devfs::add(&name, &node)?;
    }
    Ok(())
}

/// The disk that a block device's file stands for.
pub(crate) fn disk_of(inode: &Inode) -> Option<&'static Arc<dyn BlockDevice>> {
    let number = inode.rdev();
    let ours = inode.kind() == FileType::BlockDevice
        && number.major == MAJOR
        && number.minor.is_multiple_of(MINORS);
    ours.then(|| block::disks().get(usize_of32(number.minor / MINORS)))?
}

/// The first minor number from there on that stands for a disk.
pub(super) fn next_minor(from: u32) -> Option<u32> {
    let number = from.div_ceil(MINORS);
    let count = block::disks().len();
    (usize_of32(number) < count).then(|| number * MINORS)
}

/// The disk that a minor number belongs to.
pub(super) fn disk(minor: u32) -> Option<&'static Arc<dyn BlockDevice>> {
    block::disks().get(usize_of32(minor / MINORS))
}

/// Writes the name of a disk.
pub(super) fn write_name(minor: u32, out: &mut Text) -> Result<(), Errno> {
    let disk = disk(minor).ok_or(Errno::ENOENT)?;
    out.bytes(disk.name().as_bytes())
}

/// Where on its disk a minor number's device begins and how long it is, in sectors.
pub(super) fn extent(minor: u32) -> Option<(u64, u64)> {
    Some((0, disk(minor)?.sectors()))
}

fn open(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    let disk = disk_of(inode).ok_or(Errno::ENXIO)?;
    if flags.writes() && disk.read_only() {
        return Err(Errno::EACCES);
    }
    let index = usize_of32(inode.rdev().minor / MINORS);
    let cache = CACHES
        .get()
        .and_then(|caches| caches.get(index))
        .ok_or(Errno::ENXIO)?;
    let mapping = cache.try_call_once(|| {
        let size = disk.sectors().saturating_mul(u64_of(SECTOR_SIZE));
        Mapping::new(Some(try_arc(Pages(Arc::clone(disk)))?), size)
    })?;
    Ok(try_arc(DiskFile {
        disk: Arc::clone(disk),
        mapping: Arc::clone(mapping),
    })?)
}

/// An open disk.
struct DiskFile {
    disk: Arc<dyn BlockDevice>,
    mapping: Arc<Mapping>,
}

impl DiskFile {
    fn flush(&self) -> Result<(), Errno> {
        self.mapping.sync_all()?;
        Ok(self.disk.flush()?)
    }

    /// `BLKDISCARD`: a range in bytes.
    fn discard(&self, start: u64, len: u64) -> Result<(), Errno> {
        let sector = u64_of(SECTOR_SIZE);
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        if !start.is_multiple_of(sector) || !len.is_multiple_of(sector) || end > self.mapping.size()
        {
            return Err(Errno::EINVAL);
        }
        self.mapping.sync_all()?;
        self.disk.discard(start / sector, len / sector)?;
        let page = u64_of(PAGE_SIZE);
        self.mapping
            .invalidate(start / page, end.div_ceil(page) - start / page);
        Ok(())
    }
}

impl FileOps for DiskFile {
    fn read(&self, _: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let done = self.mapping.read(*pos, dst)?;
        *pos += u64_of(done);
        Ok(done)
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        if src.remaining() == 0 {
            return Ok(0);
        }
        let room = self.mapping.size().saturating_sub(*pos);
        if room == 0 {
            return Err(Errno::ENOSPC);
        }
        src.limit(usize_of(room));
        let done = self.mapping.write(*pos, src)?;
        *pos += u64_of(done);
        if file.has(abi::O_DSYNC) {
            self.flush()?;
        }
        Ok(done)
    }

    fn seek_end(&self, _: &File) -> Option<u64> {
        Some(self.mapping.size())
    }

    fn can_poll(&self) -> bool {
        false
    }

    fn sync(&self, _: &File, _: bool) -> Result<(), Errno> {
        self.flush()
    }

    fn mapping(&self, _: &File) -> Result<MapSource, Errno> {
        Ok(MapSource::File(Arc::clone(&self.mapping)))
    }

    fn ioctl(&self, file: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let size = self.mapping.size();
        match request.command {
            abi::ioctl::BLKGETSIZE64 => answer(request, &size.to_le_bytes()),
            abi::ioctl::BLKGETSIZE => answer(request, &(size / u64_of(SECTOR_SIZE)).to_le_bytes()),
            abi::ioctl::BLKSSZGET | abi::ioctl::BLKPBSZGET => {
                answer(request, &512u32.to_le_bytes())
            }
            abi::ioctl::BLKBSZGET => answer(request, &4096u32.to_le_bytes()),
            abi::ioctl::BLKROGET => {
                answer(request, &u32::from(self.disk.read_only()).to_le_bytes())
            }
            abi::ioctl::BLKFLSBUF => {
                self.flush()?;
                let pages = size.div_ceil(u64_of(PAGE_SIZE));
                self.mapping.invalidate(0, pages);
                Ok(0)
            }
            abi::ioctl::BLKDISCARD => {
                if !file.writable() {
                    return Err(Errno::EBADF);
                }
                let [start, len] = request.space.read_val(UserAddr::new(request.arg))?;
                self.discard(start, len)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
}

fn answer(request: &Ioctl<'_>, bytes: &[u8]) -> Result<u64, Errno> {
    request.space.copy_out(UserAddr::new(request.arg), bytes)?;
    Ok(0)
}

/// A disk as the page cache reads and writes it.
struct Pages(Arc<dyn BlockDevice>);

impl Pages {
    /// Goes through the frames: whole ones together, one that the disk's end cuts by itself.
    fn transfer(
        &self,
        first: u64,
        frames: &[FrameRef],
        go: impl Fn(u64, Memory<'_>) -> Result<(), block::IoError>,
    ) -> Result<(), Errno> {
        let start = first.checked_mul(SECTORS_PER_PAGE).ok_or(Errno::EIO)?;
        let left = self.0.sectors().checked_sub(start).ok_or(Errno::EIO)?;
        let whole = usize_of(left / SECTORS_PER_PAGE).min(frames.len());
        let (head, tail) = frames.split_at_checked(whole).ok_or(Errno::EIO)?;
        if !head.is_empty() {
            go(start, Memory::Frames(head))?;
        }
        let rest = usize_of(left % SECTORS_PER_PAGE) * SECTOR_SIZE;
        if let Some(last) = tail.first()
            && rest > 0
        {
            let at = start + u64_of(whole) * SECTORS_PER_PAGE;
            go(at, Memory::Segments(&[Segment::new(last, 0, rest)]))?;
        }
        Ok(())
    }
}

impl PageSource for Pages {
    fn read_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno> {
        let left = self
            .0
            .sectors()
            .saturating_sub(first.saturating_mul(SECTORS_PER_PAGE));
        for (frame, page) in frames.iter().zip(0..) {
            if left.saturating_sub(page * SECTORS_PER_PAGE) < SECTORS_PER_PAGE {
                frame.zero(0, PAGE_SIZE);
            }
        }
        self.transfer(first, frames, |at, memory| self.0.read(at, memory))
    }

    fn write_pages(&self, first: u64, frames: &[FrameRef]) -> Result<(), Errno> {
        self.transfer(first, frames, |at, memory| self.0.write(at, memory))
    }
}
