//! Disks as files: `/dev/vda` and its like, through a page cache of the disk's own.
//!
//! A mounted file system has private buffers and doesn't see this cache, as on Linux.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{DeviceNumber, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::partition::{self, Partition};
use kiln_core::num::{low16, u64_of, usize_of, usize_of32};

use super::devfs;
use super::devices::{self, Driver};
use super::file::{File, FileOps, Ioctl, MapSource};
use super::inode::Inode;
use super::memory::{try_arc, try_push};
use super::superblock;
use super::text::Text;
use super::vfs::Node;
use crate::drivers::block::{
    self, BlockDevice, DiskStats, IoError, Memory, SECTOR_SIZE, SECTORS_PER_PAGE, Segment,
};
use crate::mm::FrameRef;
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc, Mapping, PageSource};

/// The major number of virtio disks, and minor numbers for each (its partitions).
pub(crate) const MAJOR: u32 = 254;
pub(super) const MINORS: u32 = 16;

/// A disk or a part of one, once it has been opened: its pages.
struct Cache {
    minor: u32,
    device: Arc<dyn BlockDevice>,
    mapping: Arc<Mapping>,
}

static CACHES: SpinLock<Vec<Cache>> = SpinLock::new(Vec::new());

/// The partitions found so far, each with its disk's first minor number.
static PARTITIONS: SpinLock<Vec<(u32, Partition)>> = SpinLock::new(Vec::new());

/// Makes the device files of all registered disks.
pub(crate) fn init() -> Result<(), Errno> {
    let disks = block::disks();
    let count = u32::try_from(disks.len()).map_err(|_| Errno::EINVAL)?;
    devices::register(Driver {
        kind: FileType::BlockDevice,
        major: MAJOR,
        first: 0,
        count: count * MINORS,
        open,
    })?;
    (0..count).try_for_each(|number| add_node(number * MINORS))
}

/// The path in `/dev` of a disk or partition.
fn node_path(minor: u32) -> Result<Vec<u8>, Errno> {
    let mut path = Text::default();
    path.bytes(b"/")?;
    write_name(minor, &mut path)?;
    Ok(path.into_bytes())
}

fn add_node(minor: u32) -> Result<(), Errno> {
    let node = Node {
        rdev: DeviceNumber::new(MAJOR, minor),
        ..Node::new(FileType::BlockDevice, 0o660)
    };
    devfs::add(&node_path(minor)?, &node)
}

/// Reads a disk's partition table and makes device files of what is in it, in place of those of an earlier
/// reading. EBUSY while one of these is open.
pub(crate) fn scan(disk: u32) -> Result<(), Errno> {
    let first = disk * MINORS;
    let device = block::disks().get(usize_of32(disk)).ok_or(Errno::ENXIO)?;
    let is_part = |minor: u32| minor != first && minor / MINORS == disk;
    let mut caches = CACHES.lock();
    let in_use = |cache: &Cache| is_part(cache.minor) && Arc::strong_count(&cache.mapping) > 1;
    if caches.iter().any(in_use) {
        return Err(Errno::EBUSY);
    }
    let (gone, kept) = core::mem::take(&mut *caches)
        .into_iter()
        .partition(|cache: &Cache| is_part(cache.minor));
    *caches = kept;
    drop(caches);
    let gone: Vec<Cache> = gone;
    drop(gone);
    let found = partition::partitions(device.sectors(), |sector| {
        let mut bytes = [0; SECTOR_SIZE];
        let at = sector.checked_mul(u64_of(SECTOR_SIZE))?;
        block::read_bytes(&**device, at, &mut bytes).ok()?;
        Some(bytes)
    });
    while let Some(minor) = next_minor(first + 1).filter(|minor| is_part(*minor)) {
        devfs::remove(&node_path(minor)?)?;
        let mut all = PARTITIONS.lock();
        all.retain(|(of, part)| of + part.number != minor);
    }
    for part in found {
        try_push(&mut PARTITIONS.lock(), (first, part))?;
        add_node(first + part.number)?;
    }
    Ok(())
}

/// The first minor number from there on that stands for a disk or partition.
pub(crate) fn next_minor(from: u32) -> Option<u32> {
    let disk = from.checked_next_multiple_of(MINORS)?;
    let disk = (usize_of32(disk / MINORS) < block::disks().len()).then_some(disk);
    let parts = PARTITIONS.lock();
    let minors = parts.iter().map(|(first, part)| first + part.number);
    minors.filter(|minor| *minor >= from).chain(disk).min()
}

/// The disk that a minor number belongs to.
pub(super) fn disk(minor: u32) -> Option<&'static Arc<dyn BlockDevice>> {
    block::disks().get(usize_of32(minor / MINORS))
}

/// Writes the name of a disk or partition.
pub(crate) fn write_name(minor: u32, out: &mut Text) -> Result<(), Errno> {
    let disk = disk(minor).ok_or(Errno::ENOENT)?;
    out.bytes(disk.name().as_bytes())?;
    match minor % MINORS {
        0 => Ok(()),
        number => out.put(format_args!("{number}")),
    }
}

/// Where on its disk a minor number's device begins and how long it is, in sectors.
pub(crate) fn extent(minor: u32) -> Option<(u64, u64)> {
    let disk = disk(minor)?;
    if minor.is_multiple_of(MINORS) {
        return Some((0, disk.sectors()));
    }
    let parts = PARTITIONS.lock();
    let found = parts
        .iter()
        .find(|(first, part)| first + part.number == minor);
    found.map(|(_, part)| (part.start, part.sectors))
}

/// The disk or partition that a block device's file stands for.
pub(crate) fn disk_of(inode: &Inode) -> Result<Arc<dyn BlockDevice>, Errno> {
    let number = inode.rdev();
    if inode.kind() != FileType::BlockDevice || number.major != MAJOR {
        return Err(Errno::ENXIO);
    }
    let (start, sectors) = extent(number.minor).ok_or(Errno::ENXIO)?;
    let disk = disk(number.minor).ok_or(Errno::ENXIO)?;
    if number.minor.is_multiple_of(MINORS) {
        return Ok(Arc::clone(disk));
    }
    let mut name = Text::default();
    write_name(number.minor, &mut name)?;
    Ok(try_arc(Part {
        disk: Arc::clone(disk),
        name: String::from_utf8(name.into_bytes()).map_err(|_| Errno::EINVAL)?,
        start,
        sectors,
    })?)
}

/// The pages of a disk or partition, made when it is first opened.
fn cache_of(inode: &Inode) -> Result<(Arc<dyn BlockDevice>, Arc<Mapping>), Errno> {
    let minor = inode.rdev().minor;
    let known = |caches: &[Cache]| {
        let found = caches.iter().find(|cache| cache.minor == minor);
        found.map(|cache| (Arc::clone(&cache.device), Arc::clone(&cache.mapping)))
    };
    if let Some(found) = known(&CACHES.lock()) {
        return Ok(found);
    }
    let device = disk_of(inode)?;
    let size = device.sectors().saturating_mul(u64_of(SECTOR_SIZE));
    let mapping = Mapping::new(Some(try_arc(Pages(Arc::clone(&device)))?), size)?;
    let mut caches = CACHES.lock();
    if let Some(found) = known(&caches) {
        return Ok(found);
    }
    let entry = Cache {
        minor,
        device: Arc::clone(&device),
        mapping: Arc::clone(&mapping),
    };
    try_push(&mut caches, entry)?;
    Ok((device, mapping))
}

fn open(inode: &Arc<Inode>, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
    let (disk, mapping) = cache_of(inode)?;
    if flags.writes() && disk.read_only() {
        return Err(Errno::EACCES);
    }
    Ok(try_arc(DiskFile {
        minor: inode.rdev().minor,
        disk,
        mapping,
    })?)
}

/// A part of a disk.
struct Part {
    disk: Arc<dyn BlockDevice>,
    name: String,
    start: u64,
    sectors: u64,
}

impl Part {
    /// A sector of the part as one of the disk, with `count` behind it that are the part's too.
    fn at(&self, sector: u64, count: u64) -> Result<u64, IoError> {
        let end = sector.checked_add(count);
        if end.is_none_or(|end| end > self.sectors) {
            return Err(IoError::OutOfRange);
        }
        Ok(self.start + sector)
    }

    fn span(&self, sector: u64, memory: &Memory<'_>) -> Result<u64, IoError> {
        let bytes: usize = memory.from(0).map(|segment| segment.len()).sum();
        self.at(sector, u64_of(bytes / SECTOR_SIZE))
    }
}

impl BlockDevice for Part {
    fn name(&self) -> &str {
        &self.name
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_only(&self) -> bool {
        self.disk.read_only()
    }

    fn read(&self, sector: u64, into: Memory<'_>) -> Result<(), IoError> {
        self.disk.read(self.span(sector, &into)?, into)
    }

    fn write(&self, sector: u64, from: Memory<'_>) -> Result<(), IoError> {
        self.disk.write(self.span(sector, &from)?, from)
    }

    fn flush(&self) -> Result<(), IoError> {
        self.disk.flush()
    }

    fn discard(&self, sector: u64, count: u64) -> Result<(), IoError> {
        self.disk.discard(self.at(sector, count)?, count)
    }

    fn serial(&self, buffer: &mut [u8; 20]) -> Result<usize, IoError> {
        self.disk.serial(buffer)
    }

    fn stats(&self) -> DiskStats {
        self.disk.stats()
    }
}

/// An open disk.
struct DiskFile {
    minor: u32,
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

    /// With the last opener what was written goes to the disk, and what was read is forgotten: a file
    /// system mounted next sees it all.
    fn release(&self, _: &File) {
        // It was for fsync to tell; what fails is in the job's report.
        let _ = self.mapping.sync_all();
        /// The table's handle and the closing file's.
        const LAST: usize = 2;
        let mut caches = CACHES.lock();
        let at = caches.iter().position(|cache| cache.minor == self.minor);
        let gone = at
            .filter(|_| Arc::strong_count(&self.mapping) <= LAST && self.mapping.dirty_pages() == 0)
            .map(|at| caches.swap_remove(at));
        drop(caches);
        drop(gone);
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
            abi::ioctl::BLKIOMIN => answer(request, &512u32.to_le_bytes()),
            BLKIOOPT => answer(request, &0u32.to_le_bytes()),
            abi::ioctl::BLKALIGNOFF => answer(request, &0i32.to_le_bytes()),
            abi::ioctl::BLKRAGET | abi::ioctl::BLKFRAGET => {
                answer(request, &READ_AHEAD.to_le_bytes())
            }
            abi::ioctl::BLKSECTGET => answer(request, &MAX_SECTORS.to_le_bytes()),
            abi::ioctl::BLKROTATIONAL => answer(request, &1u16.to_le_bytes()),
            abi::ioctl::BLKDISCARDZEROES => answer(request, &0u32.to_le_bytes()),
            HDIO_GETGEO => self.geometry(request),
            abi::ioctl::BLKRRPART => self.scan_again(request),
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

impl DiskFile {
    /// `HDIO_GETGEO`: heads, sectors, cylinders as virtio disks make them up, and where it begins.
    fn geometry(&self, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let (start, sectors) = extent(self.minor).ok_or(Errno::ENXIO)?;
        let cylinders = low16(sectors >> 11);
        let mut bytes = [0; 16];
        let (head, tail) = bytes.split_at_mut(8);
        let [low, high] = cylinders.to_le_bytes();
        for (byte, value) in head.iter_mut().zip([64, 32, low, high]) {
            *byte = value;
        }
        tail.copy_from_slice(&start.to_le_bytes());
        answer(request, &bytes)
    }

    /// `BLKRRPART`
    fn scan_again(&self, request: &Ioctl<'_>) -> Result<u64, Errno> {
        if !request.privileged {
            return Err(Errno::EACCES);
        }
        if !self.minor.is_multiple_of(MINORS) {
            return Err(Errno::EINVAL);
        }
        let mounted = (self.minor..self.minor + MINORS)
            .any(|minor| superblock::on_device(DeviceNumber::new(MAJOR, minor)).is_some());
        if mounted {
            return Err(Errno::EBUSY);
        }
        self.flush()?;
        scan(self.minor / MINORS).map(|()| 0)
    }
}

/// Requests that the crate lacks (linux/fs.h, linux/hdreg.h).
const BLKIOOPT: u32 = 0x1279;
const HDIO_GETGEO: u32 = 0x0301;

/// Sectors read ahead, and most in one request (`BLKRAGET`, `BLKSECTGET`).
const READ_AHEAD: u64 = 256;
const MAX_SECTORS: u16 = 2560;

/// A disk as the page cache reads and writes it.
struct Pages(Arc<dyn BlockDevice>);

impl Pages {
    /// Goes through the frames: whole ones together, one that the disk's end cuts by itself.
    fn transfer(
        &self,
        first: u64,
        frames: &[FrameRef],
        go: impl Fn(u64, Memory<'_>) -> Result<(), IoError>,
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
