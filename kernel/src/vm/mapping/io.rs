//! Reading and writing a file through its pages.

use core::sync::atomic::Ordering;

use kiln_core::addr::PAGE_SIZE;
use kiln_core::errno::Errno;
use kiln_core::num::usize_of;
use kiln_core::pagemap::State;

use super::super::iter::{IoDst, IoSrc};
use super::super::reclaim::{self, alloc_frame, alloc_zeroed_frame};
use super::super::space::PAGE;
use super::Mapping;
use crate::mm::frame::FrameRef;

impl Mapping {
    /// Copies from the file, up to its end; the bytes copied.
    ///
    /// # Errors
    /// `EFAULT` or the source's error when not a byte was copied.
    pub(crate) fn read(&self, pos: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let at = pos.saturating_add(done);
            let left = self.size().saturating_sub(at);
            let offset = usize_of(at % PAGE);
            let len = (PAGE_SIZE - offset)
                .min(usize_of(left))
                .min(dst.remaining());
            if len == 0 {
                return Ok(usize_of(done));
            }
            let copied = match self.read_part(at / PAGE, offset, len, dst) {
                Ok(copied) => copied,
                Err(_) if done > 0 => return Ok(usize_of(done)),
                Err(error) => return Err(error),
            };
            done += copied as u64;
            if copied < len {
                return Ok(usize_of(done));
            }
        }
    }

    pub(super) fn read_part(
        &self,
        index: u64,
        offset: usize,
        len: usize,
        dst: &mut IoDst<'_>,
    ) -> Result<usize, Errno> {
        let frame = match self.cached(index) {
            Some(frame) => frame,
            None if !self.has_content(index) && !self.is_present(index) => {
                return dst.put_zeros(len);
            }
            None => self.page_for(index, dst.remaining().div_ceil(PAGE_SIZE) as u64)?,
        };
        dst.put_frame(&frame, offset, len)
    }

    /// Reads pages that will be asked for, as far as that goes: at a time as many as Linux does, which is
    /// what the device takes at once (`queue/max_sectors_kb`).
    pub(crate) fn read_ahead(&self, first: u64, count: u64) {
        const MOST: u64 = (1280 << 10) / PAGE;
        let Some(source) = &self.source else { return };
        let end = first.saturating_add(count.min(MOST)).min(self.page_count());
        let mut index = first;
        while index < end {
            if self.is_present(index) {
                index += 1;
            } else if self.load(source.as_ref(), index, end - index).is_err() {
                return;
            }
        }
    }

    /// Copies into the file at `pos`, whose length grows with the bytes; the bytes copied. The
    /// caller holds the inode's lock.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`, `ENOSPC` or the source's error when not a byte was copied.
    pub(crate) fn write(&self, pos: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let size = self.size();
        if pos > size && !size.is_multiple_of(PAGE) && self.is_mapped() {
            // A program may have written past the end through its mapping.
            self.zero_tail(size)?;
        }
        let mut done = 0;
        while src.remaining() > 0 {
            let at = pos.saturating_add(done);
            let offset = usize_of(at % PAGE);
            let len = (PAGE_SIZE - offset).min(src.remaining());
            let copied = match self.write_part(at / PAGE, offset, len, src) {
                Ok(copied) => copied,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            done += copied as u64;
            if copied < len {
                break;
            }
        }
        self.throttle();
        Ok(usize_of(done))
    }

    pub(super) fn write_part(
        &self,
        index: u64,
        offset: usize,
        len: usize,
        src: &mut IoSrc<'_>,
    ) -> Result<usize, Errno> {
        let (cached, clean) = {
            let mut inner = self.inner.lock();
            let clean = !inner.pages.is_dirty(index);
            match inner.pages.touch(index) {
                Some((frame, State::Ready)) => (Some(frame.clone()), clean),
                _ => (None, clean),
            }
        };
        if clean {
            self.reserve(index)?;
        }
        if let Some(frame) = cached {
            return self.write_to_page(index, &frame, offset, len, src);
        }
        let inside = self.has_content(index);
        if self.is_present(index) || (inside && len < PAGE_SIZE) {
            let frame = self.page_for(index, 1)?;
            return self.write_to_page(index, &frame, offset, len, src);
        }
        self.write_new_page(index, offset, len, src, inside)
    }

    pub(super) fn write_to_page(
        &self,
        index: u64,
        frame: &FrameRef,
        offset: usize,
        len: usize,
        src: &mut IoSrc<'_>,
    ) -> Result<usize, Errno> {
        let copied = src.take_into_frame(frame, offset, len)?;
        self.wrote(index, frame, offset + copied);
        Ok(copied)
    }

    /// Bytes of the page, up to `end`, have been written: the file's length, then the mark. After the
    /// copy, so that no write-back takes the page in between as clean; and in this order, so that none
    /// takes it for one past the end.
    fn wrote(&self, index: u64, frame: &FrameRef, end: usize) {
        let end = (index * PAGE).saturating_add(end as u64);
        self.size.fetch_max(end, Ordering::AcqRel);
        self.mark_dirty(index, frame);
    }

    /// Fills a fresh page and enters it. `inside`: the file has something there that the page
    /// replaces as a whole.
    pub(super) fn write_new_page(
        &self,
        index: u64,
        offset: usize,
        len: usize,
        src: &mut IoSrc<'_>,
        inside: bool,
    ) -> Result<usize, Errno> {
        self.check_limit()?;
        let whole = len == PAGE_SIZE;
        let frame = if whole {
            alloc_frame()?
        } else {
            alloc_zeroed_frame()?
        };
        let copied = src.take_into_frame(&frame, offset, len)?;
        if copied < len && inside {
            // The rest is what the file has.
            let page = self.page_for(index, 1)?;
            copy_part(&page, &frame, offset, copied);
            self.wrote(index, &page, offset + copied);
            return Ok(copied);
        }
        if whole {
            frame.zero(copied, len - copied);
        }
        match self.insert(index, frame.clone()) {
            Ok(()) => {
                reclaim::register(self);
                self.wrote(index, &frame, offset + copied);
            }
            Err(Errno::EEXIST) => {
                let page = self.page_for(index, 1)?;
                copy_part(&page, &frame, offset, copied);
                self.wrote(index, &page, offset + copied);
            }
            Err(error) => return Err(error),
        }
        Ok(copied)
    }
}

/// Copies a part of a frame to the same place in another.
fn copy_part(to: &FrameRef, from: &FrameRef, offset: usize, len: usize) {
    let mut buffer = [0u8; 256];
    let mut done = 0;
    while let Some(part) = buffer
        .get_mut(..(len - done).min(256))
        .filter(|p| !p.is_empty())
    {
        from.read(offset + done, part);
        to.write(offset + done, part);
        done += part.len();
    }
}
