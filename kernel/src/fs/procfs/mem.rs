//! `/proc/PID/mem`: a program's memory as a file, for debuggers: also where the program itself may
//! not read or write.

use alloc::sync::{Arc, Weak};
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use crate::fs::file::{File, FileOps};
use crate::fs::memory::try_zeros;
use crate::vm::{AddressSpace, IoDst, IoSrc};

/// Most bytes that are copied at once.
const PIECE: usize = 4096;

/// An open `mem`: of the program that the process ran when it was opened. It doesn't keep its memory.
pub(super) struct MemFile {
    space: Weak<AddressSpace>,
}

impl MemFile {
    pub(super) fn new(space: &Arc<AddressSpace>) -> Self {
        let space = Arc::downgrade(space);
        Self { space }
    }
}

/// EIO where not even the first byte is there.
fn ended(done: usize) -> Result<usize, Errno> {
    (done > 0).then_some(done).ok_or(Errno::EIO)
}

impl FileOps for MemFile {
    fn read(&self, _: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let Some(space) = self.space.upgrade() else {
            return Ok(0);
        };
        let mut buffer = try_zeros(dst.remaining().min(PIECE))?;
        let mut done = 0;
        while dst.remaining() > 0 {
            let len = dst.remaining().min(PIECE - usize_of(*pos) % PIECE);
            let part = buffer.get_mut(..len.min(PIECE)).ok_or(Errno::EIO)?;
            let read = space.peek_forced(part, UserAddr::new(*pos));
            if read == 0 {
                return ended(done);
            }
            let put = dst.put(part.get(..read).unwrap_or_default())?;
            done += put;
            *pos = pos.wrapping_add(u64_of(put));
        }
        Ok(done)
    }

    fn write(&self, _: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let Some(space) = self.space.upgrade() else {
            return Ok(0);
        };
        let mut buffer = try_zeros(src.remaining().min(PIECE))?;
        let mut done = 0;
        while src.remaining() > 0 {
            let len = src.remaining().min(PIECE - usize_of(*pos) % PIECE);
            let part = buffer.get_mut(..len.min(PIECE)).ok_or(Errno::EIO)?;
            let taken = src.take(part)?;
            let part = part.get(..taken).unwrap_or_default();
            let written = space.poke_forced(UserAddr::new(*pos), part);
            if written == 0 {
                return ended(done);
            }
            done += written;
            *pos = pos.wrapping_add(u64_of(written));
            if written < taken {
                break;
            }
        }
        Ok(done)
    }

    fn seek_end(&self, _: &File) -> Option<u64> {
        // No end to count from.
        Some(u64::MAX)
    }
}
