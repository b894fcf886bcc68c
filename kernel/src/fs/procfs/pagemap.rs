//! `/proc/PID/pagemap`: a word for each page of a program's memory.

use alloc::sync::{Arc, Weak};

use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use crate::fs::file::{File, FileOps};
use crate::vm::{AddressSpace, IoDst};

const WORD: u64 = 8;
/// Words that are made at once.
const BATCH: usize = 64;

/// An open `pagemap`: of the program that the process ran when it was opened. It doesn't keep its memory.
pub(super) struct PagemapFile {
    space: Weak<AddressSpace>,
    /// Whether it tells where pages lie.
    frames: bool,
}

impl PagemapFile {
    pub(super) fn new(space: &Arc<AddressSpace>, frames: bool) -> Self {
        let space = Arc::downgrade(space);
        Self { space, frames }
    }
}

impl FileOps for PagemapFile {
    fn read(&self, _: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let Some(space) = self.space.upgrade() else {
            return Ok(0);
        };
        if !pos.is_multiple_of(WORD) || !u64_of(dst.remaining()).is_multiple_of(WORD) {
            return Err(Errno::EINVAL);
        }
        let end = kiln_core::addr::TASK_SIZE / 4096 * WORD;
        let mut done = 0;
        while dst.remaining() > 0 && *pos < end {
            let mut words = [0; BATCH];
            let left = usize_of((end - *pos) / WORD).min(dst.remaining() / usize_of(WORD));
            let part = words.get_mut(..left.min(BATCH)).unwrap_or_default();
            space.page_words(*pos / WORD, self.frames, part);
            for word in part {
                let put = dst.put(&word.to_le_bytes())?;
                done += put;
                *pos += u64_of(put);
            }
        }
        Ok(done)
    }

    fn seek_end(&self, _: &File) -> Option<u64> {
        // No end to count from.
        Some(u64::MAX)
    }
}
