//! [`IoDst`] and [`IoSrc`]: where a read puts its bytes and where a write takes them from.
//!
//! Either a kernel buffer or a program's buffers (one, or an array of them as `readv` has). A
//! program's memory may end in the middle: then a call copies less than asked, and the first call
//! that copies nothing answers `EFAULT`.

use alloc::sync::Arc;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;

use super::copy::{Plain, advance};
use super::space::AddressSpace;
use crate::mm::frame::FrameRef;

/// One buffer of a program (`struct iovec`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IoVec {
    /// Where it is.
    pub(crate) base: UserAddr,
    /// Its bytes.
    pub(crate) len: usize,
}

impl Plain for IoVec {
    const SIZE: usize = 16;
    fn store(&self, out: &mut [u8]) {
        [self.base.raw(), self.len as u64].store(out);
    }
    fn load(bytes: &[u8]) -> Self {
        let [base, len] = <[u64; 2]>::load(bytes);
        Self {
            base: UserAddr::new(base),
            len: kiln_core::num::usize_of(len),
        }
    }
}

/// A position in a program's buffers.
#[derive(Clone)]
struct Cursor<'a> {
    space: &'a Arc<AddressSpace>,
    /// The buffer in use, cut by what was copied.
    now: IoVec,
    later: &'a [IoVec],
}

impl<'a> Cursor<'a> {
    fn new(space: &'a Arc<AddressSpace>, vectors: &'a [IoVec]) -> Self {
        let (now, later) = match vectors.split_first() {
            Some((first, rest)) => (*first, rest),
            None => (IoVec::default(), vectors),
        };
        Self { space, now, later }
    }

    /// Goes through up to `len` bytes, part by part: `copy(space, addr, from, part)` answers how
    /// many bytes of the part it could copy. The bytes copied.
    fn advance(
        &mut self,
        len: usize,
        mut copy: impl FnMut(&Arc<AddressSpace>, UserAddr, usize, usize) -> usize,
    ) -> usize {
        // Mostly one buffer takes it all.
        if len <= self.now.len && len != 0 {
            let done = copy(self.space, self.now.base, 0, len);
            self.now.base = advance(self.now.base, done);
            self.now.len -= done;
            return done;
        }
        let mut done = 0;
        while done < len {
            let part = self.now.len.min(len - done);
            if part == 0 {
                let Some((first, rest)) = self.later.split_first() else {
                    break;
                };
                (self.now, self.later) = (*first, rest);
                continue;
            }
            let copied = copy(self.space, self.now.base, done, part);
            self.now.base = advance(self.now.base, copied);
            self.now.len -= copied;
            done += copied;
            if copied < part {
                break;
            }
        }
        done
    }
}

/// Whether something was copied, or nothing was asked for.
fn outcome(done: usize, len: usize) -> Result<usize, Errno> {
    if done == 0 && len != 0 {
        Err(Errno::EFAULT)
    } else {
        Ok(done)
    }
}

enum Dst<'a> {
    Kernel(&'a mut [u8]),
    User(Cursor<'a>),
}

/// Where a read puts its bytes.
pub(crate) struct IoDst<'a> {
    dst: Dst<'a>,
    remaining: usize,
}

impl<'a> IoDst<'a> {
    /// Into a buffer of the kernel.
    pub(crate) fn kernel(buffer: &'a mut [u8]) -> Self {
        Self {
            remaining: buffer.len(),
            dst: Dst::Kernel(buffer),
        }
    }

    /// Into a program's buffers, whose lengths together are at most `isize::MAX`.
    pub(crate) fn user(space: &'a Arc<AddressSpace>, vectors: &'a [IoVec]) -> Self {
        Self {
            remaining: total(vectors),
            dst: Dst::User(Cursor::new(space, vectors)),
        }
    }

    /// Into one buffer of a program.
    pub(crate) fn user_buf(space: &'a Arc<AddressSpace>, base: UserAddr, len: usize) -> Self {
        let now = IoVec { base, len };
        let later = &[];
        Self {
            remaining: len,
            dst: Dst::User(Cursor { space, now, later }),
        }
    }

    /// Takes no more than `len` bytes from now on.
    pub(crate) fn limit(&mut self, len: usize) {
        self.remaining = self.remaining.min(len);
    }

    /// Bytes it still takes.
    pub(crate) fn remaining(&self) -> usize {
        self.remaining
    }

    /// Puts bytes; how many, which is less when it is full or memory ends.
    ///
    /// # Errors
    /// `EFAULT` when there was something to put and nothing could be.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let len = bytes.len().min(self.remaining);
        let done = match &mut self.dst {
            Dst::Kernel(buffer) => {
                let to = take_front(buffer, len);
                to.copy_from_slice(bytes.get(..len).unwrap_or_default());
                len
            }
            Dst::User(cursor) => cursor.advance(len, |space, addr, from, part| {
                space.copy_out_some(addr, bytes.get(from..from + part).unwrap_or_default())
            }),
        };
        self.remaining -= done;
        outcome(done, len)
    }

    /// Puts bytes of a frame, as [`IoDst::put`] does.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn put_frame(
        &mut self,
        frame: &FrameRef,
        offset: usize,
        len: usize,
    ) -> Result<usize, Errno> {
        let len = len.min(self.remaining);
        let done = match &mut self.dst {
            Dst::Kernel(buffer) => {
                frame.read(offset, take_front(buffer, len));
                len
            }
            Dst::User(cursor) => cursor.advance(len, |space, addr, from, part| {
                space.frame_to_user(frame, offset + from, addr, part)
            }),
        };
        self.remaining -= done;
        outcome(done, len)
    }

    /// Puts zeros, as [`IoDst::put`] does.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn put_zeros(&mut self, len: usize) -> Result<usize, Errno> {
        let len = len.min(self.remaining);
        let done = match &mut self.dst {
            Dst::Kernel(buffer) => {
                take_front(buffer, len).fill(0);
                len
            }
            Dst::User(cursor) => {
                cursor.advance(len, |space, addr, _, part| space.zero_out_some(addr, part))
            }
        };
        self.remaining -= done;
        outcome(done, len)
    }
}

enum Src<'a> {
    Kernel(&'a [u8]),
    User(Cursor<'a>),
}

/// Where a write takes its bytes from.
pub(crate) struct IoSrc<'a> {
    src: Src<'a>,
    remaining: usize,
    /// They go to the file's end, as with `O_APPEND` (`RWF_APPEND`).
    pub(crate) appends: bool,
}

impl<'a> IoSrc<'a> {
    /// From a buffer of the kernel.
    pub(crate) fn kernel(buffer: &'a [u8]) -> Self {
        Self {
            remaining: buffer.len(),
            src: Src::Kernel(buffer),
            appends: false,
        }
    }

    /// From a program's buffers, whose lengths together are at most `isize::MAX`.
    pub(crate) fn user(space: &'a Arc<AddressSpace>, vectors: &'a [IoVec]) -> Self {
        Self {
            remaining: total(vectors),
            src: Src::User(Cursor::new(space, vectors)),
            appends: false,
        }
    }

    /// From one buffer of a program.
    pub(crate) fn user_buf(space: &'a Arc<AddressSpace>, base: UserAddr, len: usize) -> Self {
        let now = IoVec { base, len };
        let later = &[];
        Self {
            remaining: len,
            src: Src::User(Cursor { space, now, later }),
            appends: false,
        }
    }

    /// Bytes it still has.
    pub(crate) fn remaining(&self) -> usize {
        self.remaining
    }

    /// Gives no more than `len` bytes from now on.
    pub(crate) fn limit(&mut self, len: usize) {
        self.remaining = self.remaining.min(len);
    }

    /// Takes bytes; how many, which is less when it is empty or memory ends.
    ///
    /// # Errors
    /// `EFAULT` when there was room and something to take, and nothing could be.
    pub(crate) fn take(&mut self, out: &mut [u8]) -> Result<usize, Errno> {
        let len = out.len().min(self.remaining);
        let done = match &mut self.src {
            Src::Kernel(buffer) => {
                let (from, rest) = buffer.split_at_checked(len).unwrap_or_default();
                out.get_mut(..len).unwrap_or_default().copy_from_slice(from);
                *buffer = rest;
                len
            }
            Src::User(cursor) => cursor.advance(len, |space, addr, from, part| {
                space.copy_in_some(out.get_mut(from..from + part).unwrap_or_default(), addr)
            }),
        };
        self.remaining -= done;
        outcome(done, len)
    }

    /// Takes bytes into a frame, as [`IoSrc::take`] does.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn take_into_frame(
        &mut self,
        frame: &FrameRef,
        offset: usize,
        len: usize,
    ) -> Result<usize, Errno> {
        let len = len.min(self.remaining);
        let done = match &mut self.src {
            Src::Kernel(buffer) => {
                let (from, rest) = buffer.split_at_checked(len).unwrap_or_default();
                frame.write(offset, from);
                *buffer = rest;
                len
            }
            Src::User(cursor) => cursor.advance(len, |space, addr, from, part| {
                space.user_to_frame(addr, frame, offset + from, part)
            }),
        };
        self.remaining -= done;
        outcome(done, len)
    }
}

fn total(vectors: &[IoVec]) -> usize {
    vectors
        .iter()
        .fold(0, |sum: usize, vector| sum.saturating_add(vector.len))
}

/// Cuts the first `len` bytes off a buffer that has them.
fn take_front<'a>(buffer: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let whole = core::mem::take(buffer);
    let at = len.min(whole.len());
    let (front, rest) = whole.split_at_mut(at);
    *buffer = rest;
    front
}
