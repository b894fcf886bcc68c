//! Moving bytes from one open file to another without a program's buffer between: by way of a
//! kernel buffer ([`copy`]), or from pipe to pipe by handing pages over ([`splice`], [`tee`]).

use kiln_core::errno::Errno;
use kiln_core::fs::pipe::Slot;
use kiln_core::num::u64_of;

use super::file::File;
use super::memory::try_zeros;
use super::pipe::Pipe;
use crate::vm::{IoDst, IoSrc};

/// Bytes moved at a time.
const STEP: usize = 64 * 1024;

/// One end of a transfer: a file, and a position besides its own.
pub(crate) struct End<'a> {
    file: &'a File,
    at: Option<&'a mut u64>,
}

impl<'a> End<'a> {
    /// The end; without `at`, the file's position counts and moves.
    pub(crate) fn new(file: &'a File, at: Option<&'a mut u64>) -> Self {
        Self { file, at }
    }

    fn read(&mut self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        match &mut self.at {
            Some(at) => {
                let done = self.file.read_at(dst, **at)?;
                **at += u64_of(done);
                Ok(done)
            }
            None => self.file.read(dst),
        }
    }

    fn write(&mut self, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        match &mut self.at {
            Some(at) => {
                let done = self.file.write_at(src, **at)?;
                **at += u64_of(done);
                Ok(done)
            }
            None => self.file.write(src),
        }
    }

    /// Takes back bytes that were read but went nowhere. Only files with positions are read ahead
    /// of what the other end takes.
    fn give_back(&mut self, count: usize) {
        match &mut self.at {
            Some(at) => **at -= u64_of(count),
            None if !self.file.is_stream() => *self.file.position() -= u64_of(count),
            None => {}
        }
    }
}

/// Copies up to `len` bytes from a file, until either end is out of bytes or room; from a stream what
/// one read gives.
pub(crate) fn copy(mut from: End<'_>, mut to: End<'_>, len: usize) -> Result<usize, Errno> {
    let mut buffer = try_zeros(len.min(STEP))?;
    let mut done = 0;
    while done < len {
        let room = (len - done).min(buffer.len());
        let piece = buffer.get_mut(..room).unwrap_or_default();
        let got = match from.read(&mut IoDst::kernel(piece)) {
            Ok(0) => break,
            Ok(got) => got,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        };
        let full = buffer.get(..got).unwrap_or_default();
        match to.write(&mut IoSrc::kernel(full)) {
            Ok(put) => {
                done += put;
                if put < got {
                    from.give_back(got - put);
                    break;
                }
                // A stream gives what it has and isn't waited for again.
                if from.file.is_stream() {
                    break;
                }
            }
            Err(error) => {
                from.give_back(got);
                if done > 0 {
                    break;
                }
                return Err(error);
            }
        }
    }
    Ok(done)
}

/// Moves up to `len` bytes where at least one end is a pipe.
pub(crate) fn splice(
    from: End<'_>,
    to: End<'_>,
    len: usize,
    nonblocking: bool,
) -> Result<usize, Errno> {
    if len == 0 {
        return Ok(0);
    }
    let (source, sink) = (from.file.ops.pipe().cloned(), to.file.ops.pipe().cloned());
    match (source, sink) {
        (Some(source), Some(sink)) => {
            let nonblocking = nonblocking || from.file.nonblocking() || to.file.nonblocking();
            pipe_to_pipe(&source, &sink, len, nonblocking, true)
        }
        (Some(source), None) => {
            let nonblocking = nonblocking || from.file.nonblocking();
            pipe_to_file(&source, to, len, nonblocking)
        }
        (None, Some(sink)) => {
            let nonblocking = nonblocking || to.file.nonblocking();
            file_to_pipe(from, &sink, to, len, nonblocking)
        }
        (None, None) => Err(Errno::EINVAL),
    }
}

/// Duplicates what is in one pipe into another.
pub(crate) fn tee(from: &File, to: &File, len: usize, nonblocking: bool) -> Result<usize, Errno> {
    let source = from.ops.pipe().ok_or(Errno::EINVAL)?;
    let sink = to.ops.pipe().ok_or(Errno::EINVAL)?;
    if len == 0 {
        return Ok(0);
    }
    let nonblocking = nonblocking || from.nonblocking() || to.nonblocking();
    pipe_to_pipe(source, sink, len, nonblocking, false)
}

/// Hands pages over from `source` to `sink`, or refers to them twice.
fn pipe_to_pipe(
    source: &Pipe,
    sink: &Pipe,
    len: usize,
    nonblocking: bool,
    consume: bool,
) -> Result<usize, Errno> {
    if core::ptr::eq(source, sink) {
        return Err(Errno::EINVAL);
    }
    loop {
        if !source.wait_filled(nonblocking)? {
            return Ok(0);
        }
        sink.wait_drained(usize::MAX, nonblocking)?;
        // Two pipes may be spliced both ways at once: always in the order of their addresses.
        let (first, second) = if core::ptr::from_ref(source) < core::ptr::from_ref(sink) {
            (source, sink)
        } else {
            (sink, source)
        };
        let guards = (first.busy.lock(), second.busy.lock());
        let done = hand_over(source, sink, len, consume)?;
        drop(guards);
        if done > 0 {
            return Ok(done);
        }
    }
}

fn hand_over(source: &Pipe, sink: &Pipe, len: usize, consume: bool) -> Result<usize, Errno> {
    if !sink.has_readers() {
        return Err(Errno::EPIPE);
    }
    let was_full = source.ring.lock().is_full();
    let (mut done, mut index) = (0, 0);
    while done < len && !sink.ring.lock().is_full() {
        let Some(slot) = source.ring.lock().get(index).cloned() else {
            break;
        };
        let take = slot.len.min(len - done);
        let piece = Slot {
            len: take,
            open: false,
            ..slot
        };
        let pushed = sink.ring.lock().push(piece);
        pushed.map_err(|_| Errno::ENOMEM)?;
        done += take;
        if consume {
            let page = source.ring.lock().consume(take);
            drop(page);
        } else {
            index += 1;
        }
    }
    if done > 0 {
        sink.after_writing();
        if consume {
            source.after_reading(was_full);
        }
    }
    Ok(done)
}

/// Writes what is in a pipe to a file; what the file doesn't take stays.
fn pipe_to_file(
    source: &Pipe,
    mut to: End<'_>,
    len: usize,
    nonblocking: bool,
) -> Result<usize, Errno> {
    if !source.wait_filled(nonblocking)? {
        return Ok(0);
    }
    let mut buffer = try_zeros(kiln_core::addr::PAGE_SIZE)?;
    let mut done = 0;
    let _guard = source.busy.lock();
    let was_full = source.ring.lock().is_full();
    let mut failed = None;
    while done < len {
        let Some(slot) = source.ring.lock().first().cloned() else {
            break;
        };
        let take = slot.len.min(len - done);
        let piece = buffer.get_mut(..take).unwrap_or_default();
        slot.page.read(slot.offset, piece);
        match to.write(&mut IoSrc::kernel(piece)) {
            Ok(put) => {
                done += put;
                drop(slot);
                let page = source.ring.lock().consume(put);
                if let Some(page) = page {
                    source.recycle(page);
                }
                if put < take {
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    source.after_reading(was_full);
    match failed {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

/// Reads from a file into a pipe as much as the pipe takes at once.
fn file_to_pipe(
    from: End<'_>,
    sink: &Pipe,
    to: End<'_>,
    len: usize,
    nonblocking: bool,
) -> Result<usize, Errno> {
    sink.wait_drained(usize::MAX, nonblocking)?;
    let room = sink.ring.lock().free_slots() * kiln_core::addr::PAGE_SIZE;
    copy(from, to, len.min(room.max(kiln_core::addr::PAGE_SIZE)))
}
