//! [`DiskFile`]: an open disk or partition, and its ioctls (linux/fs.h, linux/hdreg.h).

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::fs::loopdev::PARTSCAN;
use kiln_core::num::{low32, u64_of, usize_of};

use super::{CACHES, Key, extent, loops, next_part, number, scan, whole};
use crate::drivers::block::{
    BlockDevice, IoError, Memory, Opened, SECTOR_SIZE, SECTORS_PER_PAGE, Segment,
};
use crate::fs::file::{File, FileOps, Ioctl, MapSource};
use crate::fs::inode::{Allocate, AllocateKind};
use crate::fs::{regular, superblock};
use crate::mm::FrameRef;
use crate::vm::{IoDst, IoSrc, Mapping};

/// Requests that `linux-raw-sys` lacks.
const BLKIOOPT: u32 = 0x1279;
const HDIO_GETGEO: u32 = 0x0301;

/// Sectors read ahead unless a program says so, and most in one request (`BLKRAGET`, `BLKSECTGET`).
const READ_AHEAD: u32 = 256;
const MAX_SECTORS: u16 = 2560;
/// Pages that are filled with zeroes in one request.
const ZEROES: usize = 32;

/// An open disk.
pub(super) struct DiskFile {
    pub(super) key: Key,
    pub(super) disk: Opened,
    pub(super) mapping: Arc<Mapping>,
    /// What programs have set and are told again: it changes nothing here.
    block_size: AtomicU32,
    read_ahead: AtomicU32,
}

/// fallocate(2) of a disk: parts of it become zeroes.
pub(crate) fn allocate(file: &File, request: &Allocate) -> Result<(), Errno> {
    let disk: &DiskFile = file.ops_as().ok_or(Errno::ENODEV)?;
    if !matches!(request.kind, AllocateKind::Punch | AllocateKind::Zero) {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut len = request.len;
    if request.keep_size {
        len = len.min(disk.mapping.size().saturating_sub(request.offset));
    }
    disk.zero(request.offset, len)
}

impl DiskFile {
    pub(super) fn new(key: Key, disk: Arc<dyn BlockDevice>, mapping: Arc<Mapping>) -> Self {
        Self {
            key,
            disk: Opened::new(disk),
            mapping,
            block_size: AtomicU32::new(low32(u64_of(PAGE_SIZE))),
            read_ahead: AtomicU32::new(READ_AHEAD),
        }
    }

    fn flush(&self) -> Result<(), Errno> {
        self.mapping.sync_all()?;
        Ok(self.disk.flush()?)
    }

    /// Changes a range of bytes behind the cache: `change` is told its sectors.
    fn change(
        &self,
        start: u64,
        len: u64,
        change: &dyn Fn(u64, u64) -> Result<(), IoError>,
    ) -> Result<(), Errno> {
        let sector = u64_of(SECTOR_SIZE);
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        if !(start | len).is_multiple_of(sector) || end > self.mapping.size() || len == 0 {
            return Err(Errno::EINVAL);
        }
        if self.disk.read_only() {
            return Err(Errno::EPERM);
        }
        self.mapping.sync_all()?;
        let changed = change(start / sector, len / sector);
        // Whatever came of it: a part may be changed.
        let page = u64_of(PAGE_SIZE);
        self.mapping
            .invalidate(start / page, end.div_ceil(page) - start / page);
        Ok(changed?)
    }

    /// `BLKZEROOUT`: a range in bytes.
    fn zero(&self, start: u64, len: u64) -> Result<(), Errno> {
        let frame = FrameRef::alloc_zeroed()?;
        self.change(start, len, &|first, count| {
            let (mut at, end) = (first, first + count);
            while at < end {
                // The last page may be a part of one.
                let pages = usize_of((end - at) / SECTORS_PER_PAGE).min(ZEROES);
                let rest = usize_of((end - at) % SECTORS_PER_PAGE) * SECTOR_SIZE;
                let piece = if pages == 0 {
                    Segment::new(&frame, 0, rest)
                } else {
                    Segment::whole(&frame)
                };
                let all = [piece; ZEROES];
                let now = all.get(..pages.max(1)).unwrap_or_default();
                self.disk.write(at, Memory::Segments(now))?;
                at += u64_of(now.len() * piece.len() / SECTOR_SIZE);
            }
            Ok(())
        })
    }

    /// `HDIO_GETGEO`: heads, sectors, cylinders as the disk tells them, and where it begins.
    fn geometry(&self, request: &Ioctl<'_>) -> Result<u64, Errno> {
        let (start, _) = extent(self.key).ok_or(Errno::ENXIO)?;
        let [low, high, heads, sectors] = self.disk.geometry().ok_or(Errno::ENOTTY)?;
        let shape = u32::from_le_bytes([heads, sectors, low, high]);
        request
            .space
            .write_val(UserAddr::new(request.arg), &[u64::from(shape), start])?;
        Ok(0)
    }

    /// A range in bytes that a program names, to be changed.
    fn range(&self, file: &File, request: &Ioctl<'_>) -> Result<[u64; 2], Errno> {
        if !file.writable() {
            return Err(Errno::EBADF);
        }
        request.space.read_val(UserAddr::new(request.arg))
    }

    /// `BLKRRPART`: reads the partition table again.
    fn scan_again(&self, request: &Ioctl<'_>) -> Result<u64, Errno> {
        privileged(request)?;
        if whole(self.key) != self.key || !self.has_parts() {
            return Err(Errno::EINVAL);
        }
        let mounted = |key| superblock::on_device(number(key)).is_some();
        let mut part = next_part(self.key, 0);
        let mut in_use = mounted(self.key);
        while let Some(key) = part {
            in_use |= mounted(key);
            part = next_part(self.key, key + 1);
        }
        if in_use {
            return Err(Errno::EBUSY);
        }
        self.flush()?;
        scan(self.key).map(|()| 0)
    }

    /// Whether partitions are looked for: on a loop device, if it was asked to.
    fn has_parts(&self) -> bool {
        let number = number(self.key);
        number.major != loops::MAJOR
            || loops::find(number.minor)
                .and_then(|device| device.bound().ok())
                .is_some_and(|(status, _)| status.flags & PARTSCAN != 0)
    }
}

impl FileOps for DiskFile {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        regular::check_direct(file, *pos, dst.remaining(), self.disk.block_size())?;
        let done = self.mapping.read(*pos, dst)?;
        *pos += u64_of(done);
        Ok(done)
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        if src.remaining() == 0 {
            return Ok(0);
        }
        if self.disk.read_only() {
            return Err(Errno::EPERM);
        }
        let room = self.mapping.size().saturating_sub(*pos);
        if room == 0 {
            return Err(Errno::ENOSPC);
        }
        regular::check_direct(file, *pos, src.remaining(), self.disk.block_size())?;
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
        let at = caches.iter().position(|cache| cache.key == self.key);
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
                answer(request, &self.disk.block_size().to_le_bytes())
            }
            abi::ioctl::BLKIOMIN => answer(request, &self.disk.block_size().to_le_bytes()),
            BLKIOOPT => answer(request, &0u32.to_le_bytes()),
            abi::ioctl::BLKALIGNOFF => answer(request, &0i32.to_le_bytes()),
            abi::ioctl::BLKRAGET | abi::ioctl::BLKFRAGET => {
                let sectors = u64::from(self.read_ahead.load(Ordering::Relaxed));
                answer(request, &sectors.to_le_bytes())
            }
            abi::ioctl::BLKRASET | abi::ioctl::BLKFRASET => {
                privileged(request)?;
                self.read_ahead.store(low32(request.arg), Ordering::Relaxed);
                Ok(0)
            }
            abi::ioctl::BLKSECTGET => answer(request, &MAX_SECTORS.to_le_bytes()),
            abi::ioctl::BLKROTATIONAL => answer(request, &1u16.to_le_bytes()),
            abi::ioctl::BLKDISCARDZEROES => answer(request, &0u32.to_le_bytes()),
            HDIO_GETGEO => self.geometry(request),
            abi::ioctl::BLKRRPART => self.scan_again(request),
            abi::ioctl::BLKBSZGET => answer(
                request,
                &self.block_size.load(Ordering::Relaxed).to_le_bytes(),
            ),
            abi::ioctl::BLKBSZSET => {
                privileged(request)?;
                let size: u32 = request.space.read_val(UserAddr::new(request.arg))?;
                let fits = (512..=4096).contains(&size) && size.is_power_of_two();
                if !fits {
                    return Err(Errno::EINVAL);
                }
                self.block_size.store(size, Ordering::Relaxed);
                Ok(0)
            }
            abi::ioctl::BLKGETZONESZ | abi::ioctl::BLKGETNRZONES => {
                answer(request, &0u32.to_le_bytes())
            }
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
                let [start, len] = self.range(file, request)?;
                self.change(start, len, &|at, count| self.disk.discard(at, count))?;
                Ok(0)
            }
            abi::ioctl::BLKZEROOUT => {
                let [start, len] = self.range(file, request)?;
                self.zero(start, len)?;
                Ok(0)
            }
            abi::ioctl::BLKSECDISCARD => self.range(file, request).and(Err(Errno::EOPNOTSUPP)),
            abi::ioctl::BLKROSET => {
                privileged(request)?;
                let on: u32 = request.space.read_val(UserAddr::new(request.arg))?;
                self.disk.set_read_only(on != 0)?;
                Ok(0)
            }
            _ if number(self.key).major == loops::MAJOR => loops::ioctl(self, file, request),
            _ => Err(Errno::ENOTTY),
        }
    }
}

fn privileged(request: &Ioctl<'_>) -> Result<(), Errno> {
    request.privileged.then_some(()).ok_or(Errno::EACCES)
}

fn answer(request: &Ioctl<'_>, bytes: &[u8]) -> Result<u64, Errno> {
    request.space.copy_out(UserAddr::new(request.arg), bytes)?;
    Ok(0)
}
