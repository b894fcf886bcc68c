//! [`Pages`]: how a disk's page cache is read and written back.

use alloc::sync::Arc;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use crate::drivers::block::{BlockDevice, IoError, Memory, SECTOR_SIZE, SECTORS_PER_PAGE, Segment};
use crate::mm::FrameRef;
use crate::vm::PageSource;

/// A disk as the page cache reads and writes it.
pub(super) struct Pages(pub(super) Arc<dyn BlockDevice>);

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
