//! Copies to and from the program whose address space is loaded: the only ways to its memory.
//!
//! A fault doesn't resolve anything here: it comes back as a [`CopyFault`], and the caller (`vm`)
//! resolves it on its own stack, where it may sleep, and tries again. With SMAP the window is open
//! only within the copying instructions.

use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::num::{low32, u64_of, usize_of};

use super::copy;
use super::frame::FrameRef;
use crate::arch::fpu;

/// The program's side of a copy couldn't be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CopyFault {
    /// The first byte that wasn't copied.
    pub(crate) addr: UserAddr,
    /// Bytes copied before it.
    pub(crate) done: usize,
    /// It was to be written.
    pub(crate) write: bool,
}

impl CopyFault {
    /// At the byte after `done` bytes of a copy to or from `addr`.
    pub(crate) const fn at(addr: UserAddr, done: usize, write: bool) -> Self {
        Self {
            addr: UserAddr::new(addr.raw().wrapping_add(u64_of(done))),
            done,
            write,
        }
    }
}

fn outcome(user: UserAddr, len: usize, left: usize, write: bool) -> Result<(), CopyFault> {
    if left == 0 {
        Ok(())
    } else {
        Err(CopyFault::at(user, len - left, write))
    }
}

/// Copies `len` bytes; `None` where the range isn't a program's, which nothing can resolve.
fn check(user: UserAddr, len: usize, write: bool) -> Result<(), CopyFault> {
    if user.range_is_user(len) {
        Ok(())
    } else {
        Err(CopyFault::at(user, 0, write))
    }
}

/// Fills `into` from the program's memory.
#[inline]
pub(crate) fn copy_in(into: &mut [u8], from: UserAddr) -> Result<(), CopyFault> {
    check(from, into.len(), false)?;
    let to = into.as_mut_ptr().expose_provenance();
    // SAFETY: writes only the slice; the range read is below TASK_SIZE, and faults are fixed up.
    let left = unsafe { copy::raw_copy_user(u64_of(to), from.raw(), into.len()) };
    outcome(from, into.len(), left, false)
}

/// Copies `from` to the program's memory.
#[inline]
pub(crate) fn copy_out(to: UserAddr, from: &[u8]) -> Result<(), CopyFault> {
    check(to, from.len(), true)?;
    let source = from.as_ptr().expose_provenance();
    // SAFETY: reads only the slice; the range written is below TASK_SIZE, and faults are fixed up.
    let left = unsafe { copy::raw_copy_user(to.raw(), u64_of(source), from.len()) };
    outcome(to, from.len(), left, true)
}

/// Puts the FPU's registers at `to`, which is aligned for it.
pub(crate) fn fpu_out(to: UserAddr) -> Result<(), CopyFault> {
    check(to, fpu::size(), true)?;
    // SAFETY: aligned, and below TASK_SIZE.
    let saved = unsafe { fpu::save_to_user(aligned(to, true)?) };
    saved.map_err(|fpu::Refused(at)| CopyFault::at(UserAddr::new(at), 0, true))
}

/// Loads the FPU's registers from an XSAVE area at `from`, or some of them.
pub(crate) fn fpu_in(from: UserAddr) -> Result<(), CopyFault> {
    check(from, fpu::size(), false)?;
    // SAFETY: aligned, and below TASK_SIZE, and there is XSAVE.
    let loaded = unsafe { fpu::load_from_user(aligned(from, false)?) };
    loaded.map_err(|fpu::Refused(at)| CopyFault::at(UserAddr::new(at), 0, false))
}

/// The address, if it is one for the FPU's area.
fn aligned(at: UserAddr, write: bool) -> Result<u64, CopyFault> {
    if at.is_aligned(64) && (write || fpu::components() != 0) {
        Ok(at.raw())
    } else {
        Err(CopyFault::at(at, 0, write))
    }
}

/// Clears `len` bytes of the program's memory.
pub(crate) fn zero_out(to: UserAddr, len: usize) -> Result<(), CopyFault> {
    check(to, len, true)?;
    // SAFETY: as in `copy_out`.
    let left = unsafe { copy::raw_zero_user(to.raw(), len) };
    outcome(to, len, left, true)
}

/// Copies `len` bytes from `offset` in `frame` to the program's memory.
#[inline]
pub(crate) fn frame_to_user(
    frame: &FrameRef,
    offset: usize,
    to: UserAddr,
    len: usize,
) -> Result<(), CopyFault> {
    let (at, len) = frame.span(offset, len);
    check(to, len, true)?;
    // SAFETY: reads within the frame, in assembly, so a program may write it meanwhile; else as in
    // `copy_out`.
    let left = unsafe { copy::raw_copy_user(to.raw(), at, len) };
    outcome(to, len, left, true)
}

/// Copies `len` bytes of the program's memory to `offset` in `frame`.
#[inline]
pub(crate) fn user_to_frame(
    from: UserAddr,
    frame: &FrameRef,
    offset: usize,
    len: usize,
) -> Result<(), CopyFault> {
    let (at, len) = frame.span(offset, len);
    check(from, len, false)?;
    // SAFETY: writes within the frame; else as in `copy_in`.
    let left = unsafe { copy::raw_copy_user(at, from.raw(), len) };
    outcome(from, len, left, false)
}

/// Loads an aligned 32-bit word, whole. A misaligned address is a fault that nothing resolves.
pub(crate) fn load_u32(from: UserAddr) -> Result<u32, CopyFault> {
    word_check(from, false)?;
    // SAFETY: an aligned word below TASK_SIZE; faults are fixed up.
    let pair = unsafe { copy::raw_load_u32(from.raw()) };
    if pair.code == 0 {
        Ok(low32(pair.value))
    } else {
        Err(CopyFault::at(from, 0, false))
    }
}

/// Replaces the aligned 32-bit word at `at` by `new` if it is `expected`; returns what it was.
pub(crate) fn compare_exchange_u32(
    at: UserAddr,
    expected: u32,
    new: u32,
) -> Result<u32, CopyFault> {
    word_check(at, true)?;
    // SAFETY: an aligned word below TASK_SIZE; faults are fixed up.
    let pair = unsafe { copy::raw_compare_exchange_u32(at.raw(), expected, new) };
    if pair.code == 0 {
        Ok(low32(pair.value))
    } else {
        Err(CopyFault::at(at, 0, true))
    }
}

fn word_check(at: UserAddr, write: bool) -> Result<(), CopyFault> {
    if at.is_aligned(4) {
        check(at, 4, write)
    } else {
        Err(CopyFault::at(at, 0, write))
    }
}

#[cfg(feature = "selftest")]
/// What a string copy came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copied {
    /// The string with its NUL: this many bytes, the NUL included.
    Whole(usize),
    /// No NUL in as many bytes as there was room for.
    Full,
}

#[cfg(feature = "selftest")]
/// Copies a string into `into`, its NUL included, as far as there is room. On a fault, what comes
/// before it has been copied.
pub(crate) fn copy_str_in(into: &mut [u8], from: UserAddr) -> Result<Copied, CopyFault> {
    let reach = usize_of(TASK_SIZE.saturating_sub(from.raw()));
    let to = into.as_mut_ptr().expose_provenance();
    // SAFETY: writes only the slice and reads below TASK_SIZE; faults are fixed up.
    let pair = unsafe { copy::raw_copy_string(u64_of(to), from.raw(), into.len().min(reach)) };
    let done = usize_of(pair.value);
    match pair.code {
        0 => Ok(Copied::Whole(done)),
        1 if done == into.len() => Ok(Copied::Full),
        _ => Err(CopyFault::at(from, done, false)),
    }
}
