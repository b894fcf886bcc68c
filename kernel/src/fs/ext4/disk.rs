//! [`Disk`]: a block device as kiln-core's ext4 wants it, for metadata: through frames of its own,
//! since the buffers of the core lie in the kernel's heap.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::fs::ext4::{Device, DeviceError};
use kiln_core::num::u64_of;

use crate::drivers::block::{BlockDevice, Memory, SECTOR_SIZE, Segment};
use crate::fs::memory::try_push;
use crate::mm::FrameRef;

/// Pages moved at once: as many as the core writes at once.
const PAGES: usize = 8;

/// A block device for metadata.
pub(super) struct Disk {
    dev: Arc<dyn BlockDevice>,
    frames: Vec<FrameRef>,
}

impl Disk {
    pub(super) fn new(dev: Arc<dyn BlockDevice>) -> Result<Self, Errno> {
        let mut frames = Vec::new();
        for _ in 0..PAGES {
            try_push(&mut frames, FrameRef::alloc()?)?;
        }
        Ok(Self { dev, frames })
    }
}

/// The sector at which byte `offset` lies.
fn sector(offset: u64) -> u64 {
    offset / u64_of(SECTOR_SIZE)
}

/// Calls `transfer` with the pieces of `frames` that make up `length` bytes.
fn with_segments<T>(
    frames: &[FrameRef],
    length: usize,
    transfer: impl FnOnce(Memory<'_>) -> Result<T, DeviceError>,
) -> Result<T, DeviceError> {
    let first = frames.first().ok_or(DeviceError)?;
    let mut segments = [Segment::new(first, 0, 0); PAGES];
    let count = length.div_ceil(PAGE_SIZE);
    for (index, (segment, frame)) in segments.iter_mut().zip(frames).take(count).enumerate() {
        *segment = Segment::new(frame, 0, length - index * PAGE_SIZE);
    }
    transfer(Memory::Segments(segments.get(..count).ok_or(DeviceError)?))
}

impl Device for Disk {
    fn size(&self) -> u64 {
        self.dev.sectors().saturating_mul(u64_of(SECTOR_SIZE))
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        let mut at = sector(offset);
        for chunk in buffer.chunks_mut(PAGES * PAGE_SIZE) {
            with_segments(&self.frames, chunk.len(), |memory| {
                self.dev.read(at, memory).map_err(|_| DeviceError)
            })?;
            at += sector(u64_of(chunk.len()));
            for (frame, page) in self.frames.iter().zip(chunk.chunks_mut(PAGE_SIZE)) {
                frame.read(0, page);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, buffer: &[u8]) -> Result<(), DeviceError> {
        let mut at = sector(offset);
        for chunk in buffer.chunks(PAGES * PAGE_SIZE) {
            for (frame, page) in self.frames.iter().zip(chunk.chunks(PAGE_SIZE)) {
                frame.write(0, page);
            }
            with_segments(&self.frames, chunk.len(), |memory| {
                self.dev.write(at, memory).map_err(|_| DeviceError)
            })?;
            at += sector(u64_of(chunk.len()));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.dev.flush().map_err(|_| DeviceError)
    }

    fn discard(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        let done = self.dev.discard(sector(offset), sector(length));
        done.map_err(|_| DeviceError)
    }
}
