//! The block layer: what a disk can do ([`BlockDevice`]), and the disks there are ([`disks`]).
//!
//! Synchronous: the calling thread sleeps until its transfer is done, while other threads' go on.
//! Memory is named by frame ([`Segment`]), so a page of the page cache, which a program may map,
//! goes to the disk without being borrowed. Neighbours: `drivers::virtio::blk` below; file systems
//! and `/dev/vdX` above.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::addr::{PAGE_SIZE, PhysAddr};
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use crate::mm::FrameRef;
use crate::sync::Once;

/// Bytes in a sector, whatever the disk's own block size (virtio 1.2, 5.2.4; Linux too).
pub(crate) const SECTOR_SIZE: usize = 512;
/// Sectors in a page.
pub(crate) const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;

/// Why a transfer failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IoError {
    /// The disk says so, or has broken the protocol.
    Device,
    /// It would go past the disk's end, or isn't in whole sectors.
    OutOfRange,
    /// The disk can't be written.
    ReadOnly,
    /// The disk can't do that.
    Unsupported,
    /// No memory for the transfer.
    NoMemory,
}

impl From<IoError> for Errno {
    fn from(error: IoError) -> Self {
        match error {
            IoError::Device | IoError::OutOfRange => Self::EIO,
            IoError::ReadOnly => Self::EROFS,
            IoError::Unsupported => Self::EOPNOTSUPP,
            IoError::NoMemory => Self::ENOMEM,
        }
    }
}

/// A piece of a frame that takes part in a transfer. It can't leave its frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    frame: &'a FrameRef,
    offset: usize,
    len: usize,
}

impl<'a> Segment<'a> {
    /// `len` bytes at `offset` of a frame; cut off at the frame's end.
    pub(crate) fn new(frame: &'a FrameRef, offset: usize, len: usize) -> Self {
        let offset = offset.min(PAGE_SIZE);
        Self {
            frame,
            offset,
            len: len.min(PAGE_SIZE - offset),
        }
    }

    /// A whole frame.
    pub(crate) fn whole(frame: &'a FrameRef) -> Self {
        Self {
            frame,
            offset: 0,
            len: PAGE_SIZE,
        }
    }

    /// Where it starts.
    pub(crate) fn addr(&self) -> PhysAddr {
        PhysAddr::new(self.frame.addr().raw() + u64_of(self.offset))
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies what is in it to `out`, which is as long.
    pub(crate) fn load(&self, out: &mut [u8]) {
        self.frame.read(self.offset, out);
    }

    /// Copies `bytes` into it, as many as it has.
    pub(crate) fn store(&self, bytes: &[u8]) {
        self.frame.write(self.offset, bytes);
    }
}

/// The memory of a transfer, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Memory<'a> {
    /// Whole frames.
    Frames(&'a [FrameRef]),
    /// Pieces of frames, each a multiple of [`SECTOR_SIZE`] long.
    Segments(&'a [Segment<'a>]),
}

impl<'a> Memory<'a> {
    /// How many pieces there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Frames(frames) => frames.len(),
            Self::Segments(segments) => segments.len(),
        }
    }

    /// The pieces from number `first` on.
    pub(crate) fn from(self, first: usize) -> impl Iterator<Item = Segment<'a>> {
        (first..self.count()).filter_map(move |index| match self {
            Self::Frames(frames) => frames.get(index).map(Segment::whole),
            Self::Segments(segments) => segments.get(index).copied(),
        })
    }
}

/// What a disk has done so far, for the job's report.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct DiskStats {
    /// Bytes read.
    pub(crate) read: u64,
    /// Bytes written.
    pub(crate) written: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
    /// Flushes that failed: what was written may be lost.
    pub(crate) failed_flushes: u64,
    /// Nanoseconds for which it was busy, where that is measured.
    pub(crate) busy: u64,
}

/// [`DiskStats`] as they are counted.
#[derive(Default, Debug)]
pub(crate) struct Counters {
    pub(crate) read: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) failed_flushes: AtomicU64,
    pub(crate) busy: AtomicU64,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> DiskStats {
        DiskStats {
            read: self.read.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            failed_flushes: self.failed_flushes.load(Ordering::Relaxed),
            busy: self.busy.load(Ordering::Relaxed),
        }
    }
}

/// A disk.
pub(crate) trait BlockDevice: Send + Sync {
    /// Its name, `vda`.
    fn name(&self) -> &str;

    /// Its size in sectors of [`SECTOR_SIZE`] bytes.
    fn sectors(&self) -> u64;

    /// Whether it can't be written.
    fn read_only(&self) -> bool;

    /// Reads from `sector` on. What the memory holds after an error is undefined.
    fn read(&self, sector: u64, into: Memory<'_>) -> Result<(), IoError>;

    /// Writes from `sector` on. Durable after a [`flush`](Self::flush) only.
    fn write(&self, sector: u64, from: Memory<'_>) -> Result<(), IoError>;

    /// Makes everything durable whose write has returned.
    fn flush(&self) -> Result<(), IoError>;

    /// The disk may forget these sectors. A hint: it may also do nothing.
    fn discard(&self, sector: u64, count: u64) -> Result<(), IoError>;

    /// Whether it takes that hint.
    fn can_discard(&self) -> bool {
        true
    }

    /// Its serial number, up to 20 bytes, copied to `buffer`; the length.
    fn serial(&self, buffer: &mut [u8; 20]) -> Result<usize, IoError>;

    /// What it has done so far.
    fn stats(&self) -> DiskStats;

    /// Cylinders, heads and sectors as the disk tells them, two bytes and one each.
    fn geometry(&self) -> Option<[u8; 4]> {
        None
    }

    /// Bytes of a block.
    fn block_size(&self) -> u32 {
        512
    }

    /// Says that it can't be written from now on, or can again.
    fn set_read_only(&self, on: bool) -> Result<(), IoError> {
        let _ = on;
        Err(IoError::Unsupported)
    }

    /// Somebody begins to use it (`more`), or ceases to.
    fn count_user(&self, more: bool) {
        let _ = more;
    }
}

/// A disk in use: it is told when that begins and ends.
pub(crate) struct Opened(Arc<dyn BlockDevice>);

impl Opened {
    /// Begins.
    pub(crate) fn new(disk: Arc<dyn BlockDevice>) -> Self {
        disk.count_user(true);
        Self(disk)
    }
}

impl core::ops::Deref for Opened {
    type Target = Arc<dyn BlockDevice>;

    fn deref(&self) -> &Arc<dyn BlockDevice> {
        &self.0
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.count_user(false);
    }
}

static DISKS: Once<alloc::vec::Vec<Arc<dyn BlockDevice>>> = Once::new();

/// Registers the disks, in the order of their names. Once, at boot.
pub(crate) fn register(disks: alloc::vec::Vec<Arc<dyn BlockDevice>>) {
    DISKS.call_once(|| disks);
}

/// All disks, `vda` first.
pub(crate) fn disks() -> &'static [Arc<dyn BlockDevice>] {
    DISKS.get().map_or(&[], alloc::vec::Vec::as_slice)
}

/// Reads bytes from anywhere on the disk to memory of the kernel's, by way of a frame of its own.
pub(crate) fn read_bytes(disk: &dyn BlockDevice, at: u64, into: &mut [u8]) -> Result<(), IoError> {
    let frame = FrameRef::alloc().map_err(|_| IoError::NoMemory)?;
    let mut at = at;
    let mut rest = into;
    while !rest.is_empty() {
        let piece = Piece::first(at, rest.len());
        disk.read(
            piece.sector,
            Memory::Segments(&[Segment::new(&frame, 0, piece.sectors_len)]),
        )?;
        let (now, later) = rest
            .split_at_mut_checked(piece.len)
            .ok_or(IoError::OutOfRange)?;
        frame.read(piece.skip, now);
        at += u64_of(piece.len);
        rest = later;
    }
    Ok(())
}

/// Writes bytes of the kernel's to whole sectors of the disk, by way of a frame of its own.
pub(crate) fn write_bytes(disk: &dyn BlockDevice, at: u64, from: &[u8]) -> Result<(), IoError> {
    let sector = u64_of(SECTOR_SIZE);
    if !at.is_multiple_of(sector) || !from.len().is_multiple_of(SECTOR_SIZE) {
        return Err(IoError::OutOfRange);
    }
    let frame = FrameRef::alloc().map_err(|_| IoError::NoMemory)?;
    let mut at = at / sector;
    for piece in from.chunks(PAGE_SIZE) {
        frame.write(0, piece);
        disk.write(
            at,
            Memory::Segments(&[Segment::new(&frame, 0, piece.len())]),
        )?;
        at += u64_of(piece.len()) / sector;
    }
    Ok(())
}

/// What part of a run of bytes one frame's worth of sectors gives.
#[derive(PartialEq, Eq, Debug)]
struct Piece {
    sector: u64,
    sectors_len: usize,
    skip: usize,
    len: usize,
}

impl Piece {
    fn first(at: u64, wanted: usize) -> Self {
        let skip = usize_of(at % u64_of(SECTOR_SIZE));
        let sectors_len = (skip + wanted.min(PAGE_SIZE)).next_multiple_of(SECTOR_SIZE);
        let sectors_len = sectors_len.min(PAGE_SIZE);
        let len = wanted.min(sectors_len - skip);
        Self {
            sector: at / u64_of(SECTOR_SIZE),
            sectors_len,
            skip,
            len,
        }
    }
}
