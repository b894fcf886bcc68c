//! Reading a cpio archive in the "newc" format, piece by piece, as an initramfs comes.
//!
//! [`Reader`] takes bytes in pieces of any size (what a decompressor gives) and calls a
//! [`Sink`] with entries and their contents, so that the archive is never in memory as a whole.
//! Format: Linux's Documentation/driver-api/early-userspace/buffer-format.rst. Archives may follow
//! each other, with zeros between.

use crate::fs::attr::DeviceNumber;
use crate::num::{align_up, u64_of, usize_of, usize_of32};
use crate::path::PATH_MAX;
use alloc::vec::Vec;

const HEADER: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";

/// What an entry's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// Inode number: entries of the same number and device are links of one file.
    pub ino: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Links.
    pub nlink: u32,
    /// Modification time, seconds.
    pub mtime: u32,
    /// Bytes of contents that follow.
    pub size: u32,
    /// Device the inode was on.
    pub dev: DeviceNumber,
    /// The device it is.
    pub rdev: DeviceNumber,
    name_size: u32,
}

/// Where entries go.
pub trait Sink {
    /// What can go wrong there.
    type Error;
    /// An entry begins; [`Header::size`] bytes of contents follow.
    fn entry(&mut self, header: &Header, name: &[u8]) -> Result<(), Self::Error>;
    /// Contents of the entry last begun.
    fn contents(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// An archive is complete: inode numbers that follow are of another.
    fn end_of_archive(&mut self) -> Result<(), Self::Error>;
}

/// Why an archive was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<E> {
    /// What stands where a header should is none; the offset says where.
    NotCpio(u64),
    /// A field of the header at this offset isn't a hexadecimal number, or can't be.
    BadHeader(u64),
    /// The archive ends in the middle, or without a trailer.
    Truncated,
    /// Memory is out.
    NoMemory,
    /// The sink's own.
    Sink(E),
}

enum State {
    /// Gathering a header; the buffer holds what there is of it.
    Header,
    /// Gathering the name.
    Name(Header),
    /// Skipping padding; contents follow it, or the next header.
    Skip { padding: u64, contents: u64 },
    /// Passing contents on; this many bytes are left.
    Contents(u64),
}

/// An archive on its way in.
pub struct Reader {
    state: State,
    buffer: Vec<u8>,
    /// Bytes taken.
    offset: u64,
    /// Whether a trailer was the last entry.
    complete: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// At the beginning.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Header,
            buffer: Vec::new(),
            offset: 0,
            complete: false,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// See [`Error`]; nothing more may be given afterwards.
    pub fn push<S: Sink>(&mut self, mut bytes: &[u8], sink: &mut S) -> Result<(), Error<S::Error>> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Header => self.take_header(bytes)?,
                State::Name(header) => self.take_name(&header, bytes, sink)?,
                State::Skip { padding, contents } => self.skip(padding, contents, bytes),
                State::Contents(left) => self.pass_on(left, bytes, sink)?,
            };
            self.offset += u64_of(taken);
            bytes = bytes.get(taken..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// The end of the input.
    ///
    /// # Errors
    /// [`Error::Truncated`] unless a trailer came last.
    pub fn finish<E>(&self) -> Result<(), Error<E>> {
        let between = match self.state {
            State::Header => self.buffer.is_empty(),
            State::Skip { contents, .. } => contents == 0,
            State::Name(_) | State::Contents(_) => false,
        };
        if between && self.complete {
            Ok(())
        } else {
            Err(Error::Truncated)
        }
    }

    /// Adds to the buffer what is lacking of `want` bytes; answers how many those were.
    fn gather<E>(&mut self, bytes: &[u8], want: usize) -> Result<usize, Error<E>> {
        let lacking = u64_of(want.saturating_sub(self.buffer.len()));
        let piece = head(bytes, lacking);
        self.buffer
            .try_reserve(piece.len())
            .map_err(|_| Error::NoMemory)?;
        self.buffer.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn take_header<E>(&mut self, bytes: &[u8]) -> Result<usize, Error<E>> {
        if self.buffer.is_empty() && self.complete {
            // Between archives, and after the last, there may be any number of zeros.
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if zeros > 0 {
                return Ok(zeros);
            }
        }
        let taken = self.gather(bytes, HEADER)?;
        let start = self.offset + u64_of(taken) - u64_of(self.buffer.len());
        let magic = self.buffer.get(..6).unwrap_or(&self.buffer);
        if !b"070701".starts_with(magic) && !b"070702".starts_with(magic) {
            return Err(Error::NotCpio(start));
        }
        if self.buffer.len() == HEADER {
            let header = parse(&self.buffer).ok_or(Error::BadHeader(start))?;
            self.buffer.clear();
            self.complete = false;
            self.state = State::Name(header);
        }
        Ok(taken)
    }

    fn take_name<S: Sink>(
        &mut self,
        header: &Header,
        bytes: &[u8],
        sink: &mut S,
    ) -> Result<usize, Error<S::Error>> {
        let want = usize_of32(header.name_size);
        let taken = self.gather(bytes, want)?;
        if self.buffer.len() < want {
            return Ok(taken);
        }
        let end = self.offset + u64_of(taken);
        let name = self.buffer.strip_suffix(b"\0");
        let name = name.ok_or(Error::BadHeader(end))?;
        self.complete = name == TRAILER;
        if self.complete {
            sink.end_of_archive().map_err(Error::Sink)?;
        } else {
            sink.entry(header, name).map_err(Error::Sink)?;
        }
        self.buffer.clear();
        self.state = State::Skip {
            padding: padding(end),
            contents: u64::from(header.size),
        };
        Ok(taken)
    }

    /// Contents of the entry, of which `left` bytes remain.
    fn pass_on<S: Sink>(
        &mut self,
        left: u64,
        bytes: &[u8],
        sink: &mut S,
    ) -> Result<usize, Error<S::Error>> {
        let piece = head(bytes, left);
        if !self.complete {
            sink.contents(piece).map_err(Error::Sink)?;
        }
        let taken = u64_of(piece.len());
        self.state = if taken < left {
            State::Contents(left - taken)
        } else {
            State::Skip {
                padding: padding(self.offset + taken),
                contents: 0,
            }
        };
        Ok(piece.len())
    }

    fn skip(&mut self, padding: u64, contents: u64, bytes: &[u8]) -> usize {
        let taken = head(bytes, padding).len();
        let padding = padding - u64_of(taken);
        self.state = match (padding, contents) {
            (0, 0) => State::Header,
            (0, contents) => State::Contents(contents),
            (padding, contents) => State::Skip { padding, contents },
        };
        taken
    }
}

/// The first `len` bytes, or all.
fn head(bytes: &[u8], len: u64) -> &[u8] {
    bytes.get(..usize_of(len)).unwrap_or(bytes)
}

/// Bytes up to the next multiple of four.
fn padding(offset: u64) -> u64 {
    align_up(offset, 4).map_or(0, |aligned| aligned - offset)
}

fn parse(raw: &[u8]) -> Option<Header> {
    let field = |index: usize| {
        let digits = raw.get(6 + index * 8..14 + index * 8)?;
        let digits = core::str::from_utf8(digits).ok()?;
        if digits.starts_with('+') {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    };
    let header = Header {
        ino: field(0)?,
        mode: field(1)?,
        uid: field(2)?,
        gid: field(3)?,
        nlink: field(4)?,
        mtime: field(5)?,
        size: field(6)?,
        dev: DeviceNumber::new(field(7)?, field(8)?),
        rdev: DeviceNumber::new(field(9)?, field(10)?),
        name_size: field(11)?,
    };
    let name_fits = (1..=PATH_MAX).contains(&usize_of32(header.name_size));
    name_fits.then_some(header)
}

#[cfg(test)]
#[path = "cpio_tests.rs"]
mod tests;
