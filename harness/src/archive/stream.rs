//! Byte streams of archives: [`plain`] decompresses whatever it recognises, [`Limited`] ends a
//! stream that grows too long, [`Hashed`] takes its SHA-256 on the way.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use kiln_core::num::u64_of;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use sha2::{Digest, Sha256};

/// The most that xz may take of this machine's memory, KiB.
const XZ_MEMORY: u32 = 512 << 10;

/// The bytes of `stream`, decompressed if they begin as gzip, zstd or xz does, and whether they
/// were compressed.
///
/// # Errors
/// Those of reading its beginning.
pub(super) fn plain<'a>(mut stream: impl BufRead + 'a) -> io::Result<(Box<dyn Read + 'a>, bool)> {
    let head = stream.fill_buf()?;
    Ok(if head.starts_with(&[0x1F, 0x8B]) {
        (Box::new(MultiGzDecoder::new(stream)), true)
    } else if head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) || is_skippable(head) {
        (Box::new(Zstd::new(Box::new(stream))), true)
    } else if head.starts_with(b"\xFD7zXZ\0") {
        (
            Box::new(XzReader::new_mem_limit(stream, true, XZ_MEMORY)),
            true,
        )
    } else {
        (Box::new(stream), false)
    })
}

/// One of zstd's frames for other purposes (RFC 8878, section 3.1.2).
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

/// All frames of a zstd file, one after the other.
struct Zstd<'a> {
    /// Empty only while a frame's decoder is being made.
    source: Option<Box<dyn BufRead + 'a>>,
    frame: Option<StreamingDecoder<Box<dyn BufRead + 'a>, ruzstd::decoding::FrameDecoder>>,
}

impl<'a> Zstd<'a> {
    fn new(source: Box<dyn BufRead + 'a>) -> Self {
        Self {
            source: Some(source),
            frame: None,
        }
    }

    /// Starts the next frame; false: there is none.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            let Some(mut source) = self.source.take() else {
                return Ok(false);
            };
            let head = source.fill_buf()?;
            if head.is_empty() {
                return Ok(false);
            }
            // A decoder takes its source along when it fails, so this is looked at before.
            if is_skippable(head) {
                skip_frame(&mut source)?;
                self.source = Some(source);
                continue;
            }
            self.frame = Some(StreamingDecoder::new(source).map_err(bad_frame)?);
            return Ok(true);
        }
    }
}

fn bad_frame(error: FrameDecoderError) -> io::Error {
    match error {
        FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { .. }) => {
            io::Error::new(ErrorKind::InvalidData, "a frame is in the wrong place")
        }
        error => io::Error::new(ErrorKind::InvalidData, error.to_string()),
    }
}

fn skip_frame(source: &mut impl Read) -> io::Result<()> {
    let mut header = [0; 8];
    source.read_exact(&mut header)?;
    let [_, _, _, _, len @ ..] = header;
    let len = u64::from(u32::from_le_bytes(len));
    let count = io::copy(&mut source.take(len), &mut io::sink())?;
    if count == len {
        Ok(())
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

impl Read for Zstd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 => self.source = self.frame.take().map(StreamingDecoder::into_inner),
                    count => return Ok(count),
                }
            }
            if !self.next_frame()? {
                return Ok(0);
            }
        }
    }
}

/// A stream that fails beyond a length.
pub(super) struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Limited<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            left: limit,
            limit,
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(u64_of(count)).ok_or_else(|| {
            io::Error::other(format!(
                "it unpacks to more than the job's memory ({} MiB); --memory gives more",
                self.limit >> 20
            ))
        })?;
        Ok(count)
    }
}

/// The SHA-256 of what passes.
#[derive(Clone, Default)]
pub(super) struct Sum(Rc<RefCell<(Sha256, u64)>>);

impl Sum {
    /// As images write it: `sha256:` and hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        let sum = self.0.borrow().0.clone().finalize();
        sum.iter().fold("sha256:".to_owned(), |text, byte| {
            text + &format!("{byte:02x}")
        })
    }

    /// How many bytes have passed.
    pub(super) fn len(&self) -> u64 {
        self.0.borrow().1
    }
}

/// A stream whose bytes are summed.
pub(super) struct Hashed<R> {
    inner: R,
    sum: Sum,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R) -> (Self, Sum) {
        let sum = Sum::default();
        let of = sum.clone();
        (Self { inner, sum }, of)
    }

    pub(super) fn buffered(self) -> BufReader<Self> {
        BufReader::with_capacity(256 * 1024, self)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let mut state = self.sum.0.borrow_mut();
        state.0.update(buffer.get(..count).unwrap_or_default());
        state.1 += u64_of(count);
        Ok(count)
    }
}
