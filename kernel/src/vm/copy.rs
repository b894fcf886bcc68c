//! Bytes and values to and from a program's memory.
//!
//! The copying itself is `mm::user`'s; a fault comes back from it with the address, is resolved
//! here, and the copy goes on where it stopped. All of this works on the space that is loaded, the
//! running thread's own.

mod plain;

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use super::fault::{Access, rest_of_page};
use super::space::AddressSpace;
use crate::mm::frame::FrameRef;
use crate::mm::user::{self, CopyFault};
pub(crate) use plain::Plain;

/// Largest [`Plain`] value that goes through the stack.
const VALUE_MAX: usize = 512;
/// Small ones take a small buffer, because clearing it costs something.
const WORD_MAX: usize = 16;

impl AddressSpace {
    /// Repeats `attempt`, which starts at the byte it is given, until all `len` bytes are copied
    /// or a fault can't be resolved; the bytes copied.
    #[inline]
    pub(super) fn with_faults(
        self: &Arc<Self>,
        len: usize,
        mut attempt: impl FnMut(usize) -> Result<(), CopyFault>,
    ) -> usize {
        match attempt(0) {
            Ok(()) => len,
            Err(fault) => self.after_fault(len, fault, &mut attempt),
        }
    }

    #[cold]
    #[inline(never)]
    fn after_fault(
        self: &Arc<Self>,
        len: usize,
        mut fault: CopyFault,
        attempt: &mut dyn FnMut(usize) -> Result<(), CopyFault>,
    ) -> usize {
        let mut done = 0;
        loop {
            done = (done + fault.done).min(len);
            let access = if fault.write {
                Access::Write
            } else {
                Access::Read
            };
            if self.fault(fault.addr, access).is_err() {
                return done;
            }
            match attempt(done) {
                Ok(()) => return len,
                Err(next) => fault = next,
            }
        }
    }

    /// Copies from the program as far as its memory goes; the bytes copied.
    #[inline]
    pub(crate) fn copy_in_some(self: &Arc<Self>, dst: &mut [u8], src: UserAddr) -> usize {
        match user::copy_in(dst, src) {
            Ok(()) => dst.len(),
            Err(fault) => self.copy_in_on(dst, src, fault.done),
        }
    }

    #[cold]
    #[inline(never)]
    fn copy_in_on(self: &Arc<Self>, dst: &mut [u8], src: UserAddr, done: usize) -> usize {
        let fault = CopyFault::at(src, done, false);
        self.after_fault(dst.len(), fault, &mut |done| {
            let rest = dst.get_mut(done..).unwrap_or_default();
            user::copy_in(rest, advance(src, done))
        })
    }

    /// Copies to the program as far as its memory goes; the bytes copied.
    #[inline]
    pub(crate) fn copy_out_some(self: &Arc<Self>, dst: UserAddr, src: &[u8]) -> usize {
        match user::copy_out(dst, src) {
            Ok(()) => src.len(),
            Err(fault) => self.copy_out_on(dst, src, fault.done),
        }
    }

    #[cold]
    #[inline(never)]
    fn copy_out_on(self: &Arc<Self>, dst: UserAddr, src: &[u8], done: usize) -> usize {
        let fault = CopyFault::at(dst, done, true);
        self.after_fault(src.len(), fault, &mut |done| {
            user::copy_out(advance(dst, done), src.get(done..).unwrap_or_default())
        })
    }

    /// Copies from the program.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn copy_in(self: &Arc<Self>, dst: &mut [u8], src: UserAddr) -> Result<(), Errno> {
        whole(self.copy_in_some(dst, src), dst.len())
    }

    /// A structure of 64-bit words of which the program knows `size` bytes: what is missing is zero.
    ///
    /// # Errors
    /// `E2BIG` when the program says more than is known here, `EFAULT`.
    pub(crate) fn read_sized<const N: usize>(
        self: &Arc<Self>,
        src: UserAddr,
        size: usize,
    ) -> Result<[u64; N], Errno> {
        let mut words = [[0; 8]; N];
        self.copy_sized(words.as_flattened_mut(), src, size)?;
        Ok(words.map(u64::from_le_bytes))
    }

    fn copy_sized(
        self: &Arc<Self>,
        dst: &mut [u8],
        src: UserAddr,
        size: usize,
    ) -> Result<(), Errno> {
        let known = dst.len().min(size);
        let mut at = known;
        while at < size {
            // Word by word, as Linux looks: what says more counts before what can't be read.
            let place = advance(src, at);
            let mut word = [0; 8];
            let len = (8 - usize_of(place.raw() % 8)).min(size - at);
            self.copy_in(word.get_mut(..len).unwrap_or_default(), place)?;
            if word != [0; 8] {
                return Err(Errno::E2BIG);
            }
            at += len;
        }
        self.copy_in(dst.get_mut(..known).unwrap_or_default(), src)
    }

    /// Copies to the program.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn copy_out(self: &Arc<Self>, dst: UserAddr, src: &[u8]) -> Result<(), Errno> {
        whole(self.copy_out_some(dst, src), src.len())
    }

    /// Puts the FPU's registers into the program's memory, at an address aligned for it.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn fpu_out(self: &Arc<Self>, dst: UserAddr) -> Result<(), Errno> {
        whole(self.with_faults(1, |_| user::fpu_out(dst)), 1)
    }

    /// Zeroes the program's memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn zero_out(self: &Arc<Self>, dst: UserAddr, len: usize) -> Result<(), Errno> {
        whole(self.zero_out_some(dst, len), len)
    }

    pub(super) fn zero_out_some(self: &Arc<Self>, dst: UserAddr, len: usize) -> usize {
        self.with_faults(len, |done| user::zero_out(advance(dst, done), len - done))
    }

    pub(super) fn frame_to_user(
        self: &Arc<Self>,
        frame: &FrameRef,
        offset: usize,
        dst: UserAddr,
        len: usize,
    ) -> usize {
        match user::frame_to_user(frame, offset, dst, len) {
            Ok(()) => len,
            Err(fault) => self.frame_to_user_on(frame, offset, dst, len, fault.done),
        }
    }

    #[cold]
    #[inline(never)]
    fn frame_to_user_on(
        self: &Arc<Self>,
        frame: &FrameRef,
        offset: usize,
        dst: UserAddr,
        len: usize,
        done: usize,
    ) -> usize {
        self.after_fault(len, CopyFault::at(dst, done, true), &mut |done| {
            user::frame_to_user(frame, offset + done, advance(dst, done), len - done)
        })
    }

    pub(super) fn user_to_frame(
        self: &Arc<Self>,
        src: UserAddr,
        frame: &FrameRef,
        offset: usize,
        len: usize,
    ) -> usize {
        match user::user_to_frame(src, frame, offset, len) {
            Ok(()) => len,
            Err(fault) => self.user_to_frame_on(src, frame, offset, len, fault.done),
        }
    }

    #[cold]
    #[inline(never)]
    fn user_to_frame_on(
        self: &Arc<Self>,
        src: UserAddr,
        frame: &FrameRef,
        offset: usize,
        len: usize,
        done: usize,
    ) -> usize {
        self.after_fault(len, CopyFault::at(src, done, false), &mut |done| {
            user::user_to_frame(advance(src, done), frame, offset + done, len - done)
        })
    }

    /// Reads a value.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn read_val<T: Plain>(self: &Arc<Self>, src: UserAddr) -> Result<T, Errno> {
        const { assert!(T::SIZE <= VALUE_MAX) };
        if T::SIZE <= WORD_MAX {
            return self.read_through(&mut [0; WORD_MAX], src);
        }
        self.read_through(&mut [0; VALUE_MAX], src)
    }

    #[inline]
    fn read_through<T: Plain>(
        self: &Arc<Self>,
        buffer: &mut [u8],
        src: UserAddr,
    ) -> Result<T, Errno> {
        let bytes = buffer.get_mut(..T::SIZE).unwrap_or_default();
        self.copy_in(bytes, src)?;
        Ok(T::load(bytes))
    }

    /// Writes a value.
    ///
    /// # Errors
    /// `EFAULT`.
    #[inline]
    pub(crate) fn write_val<T: Plain>(
        self: &Arc<Self>,
        dst: UserAddr,
        value: &T,
    ) -> Result<(), Errno> {
        const { assert!(T::SIZE <= VALUE_MAX) };
        if T::SIZE <= WORD_MAX {
            return self.write_through(&mut [0; WORD_MAX], dst, value);
        }
        self.write_through(&mut [0; VALUE_MAX], dst, value)
    }

    #[inline]
    fn write_through<T: Plain>(
        self: &Arc<Self>,
        buffer: &mut [u8],
        dst: UserAddr,
        value: &T,
    ) -> Result<(), Errno> {
        let bytes = buffer.get_mut(..T::SIZE).unwrap_or_default();
        value.store(bytes);
        self.copy_out(dst, bytes)
    }

    /// Reads a 32-bit word in one access, as futexes need it.
    ///
    /// # Errors
    /// `EFAULT`; `EINVAL` for a misaligned word, which no fault handler could ever make readable.
    pub(crate) fn load_u32(self: &Arc<Self>, src: UserAddr) -> Result<u32, Errno> {
        word_aligned(src)?;
        let mut value = 0;
        let done = self.with_faults(4, |_| {
            value = user::load_u32(src)?;
            Ok(())
        });
        whole(done, 4).map(|()| value)
    }

    /// Replaces a 32-bit word when it is `old`, in one access; what it was.
    ///
    /// # Errors
    /// As [`Self::load_u32`].
    pub(crate) fn compare_exchange_u32(
        self: &Arc<Self>,
        at: UserAddr,
        old: u32,
        new: u32,
    ) -> Result<u32, Errno> {
        word_aligned(at)?;
        let mut was = 0;
        let done = self.with_faults(4, |_| {
            was = user::compare_exchange_u32(at, old, new)?;
            Ok(())
        });
        whole(done, 4).map(|()| was)
    }

    /// Reads a NUL-terminated string of at most `max` bytes, without its NUL.
    ///
    /// # Errors
    /// `EFAULT`; `ENAMETOOLONG` when no NUL came within `max` bytes and one more; `ENOMEM`.
    pub(crate) fn copy_str(self: &Arc<Self>, src: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
        let mut out = Vec::new();
        loop {
            let at = advance(src, out.len());
            // Never past the page the string may end in.
            let room = (max + 1 - out.len()).min(rest_of_page(at)).min(256);
            if room == 0 {
                return Err(Errno::ENAMETOOLONG);
            }
            let mut buffer = [0; 256];
            let part = buffer.get_mut(..room).unwrap_or_default();
            self.copy_in(part, at)?;
            let end = part.iter().position(|byte| *byte == 0);
            let bytes = part.get(..end.unwrap_or(room)).unwrap_or_default();
            out.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
            out.extend_from_slice(bytes);
            if end.is_some() {
                return Ok(out);
            }
        }
    }

    /// A path argument: a string of fewer than 4096 bytes.
    ///
    /// # Errors
    /// As [`AddressSpace::copy_str`].
    pub(crate) fn copy_path(self: &Arc<Self>, src: UserAddr) -> Result<Vec<u8>, Errno> {
        self.copy_str(src, 4095)
    }
}

/// The address `bytes` further on; one that can't be reached when that wraps.
pub(super) fn advance(addr: UserAddr, bytes: usize) -> UserAddr {
    addr.checked_add(u64_of(bytes))
        .unwrap_or(UserAddr::new(u64::MAX))
}

fn whole(done: usize, len: usize) -> Result<(), Errno> {
    if done == len {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

fn word_aligned(at: UserAddr) -> Result<(), Errno> {
    if at.raw().is_multiple_of(4) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}
