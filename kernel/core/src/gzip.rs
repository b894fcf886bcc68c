//! gzip (RFC 1952) unpacked in a stream: [`Gunzip`] hands what comes out to a function, a window
//! at a time, so that neither side is in memory as a whole. Inflating is miniz_oxide's.

use crate::num::{low32, u64_of};
use alloc::boxed::Box;
use alloc::vec::Vec;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The first bytes of every gzip file.
pub const MAGIC: [u8; 2] = [0x1F, 0x8B];
const WINDOW: usize = 32 * 1024;
const DEFLATE: u8 = 8;

/// Why input was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<E> {
    /// Not gzip, or with a method nobody uses.
    NotGzip,
    /// It ends in the middle.
    Truncated,
    /// The data contradicts itself, or its check sum.
    Corrupt,
    /// Memory is out.
    NoMemory,
    /// What took the output failed.
    Output(E),
}

/// Input given in pieces.
pub trait Input {
    /// The bytes at `offset`: as many as are at hand in one piece, none at the end.
    fn piece(&mut self, offset: u64) -> &[u8];
}

impl Input for &[u8] {
    fn piece(&mut self, offset: u64) -> &[u8] {
        self.get(crate::num::usize_of(offset)..).unwrap_or(&[])
    }
}

/// The unpacker's state; large, so it lives in the heap.
pub struct Gunzip<I> {
    input: I,
    offset: u64,
    inflater: Box<DecompressorOxide>,
    window: Vec<u8>,
    crc: u32,
    written: u64,
}

impl<I: Input> Gunzip<I> {
    /// Over `input`.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn new<E>(input: I) -> Result<Self, Error<E>> {
        let mut window = Vec::new();
        window
            .try_reserve_exact(WINDOW)
            .map_err(|_| Error::NoMemory)?;
        window.resize(WINDOW, 0);
        Ok(Self {
            input,
            offset: 0,
            inflater: Box::default(),
            window,
            crc: 0,
            written: 0,
        })
    }

    /// Unpacks everything: every member of the file, one after the other.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run<E>(&mut self, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), Error<E>> {
        loop {
            self.header()?;
            self.inflate(&mut out)?;
            self.trailer()?;
            // Padding of zeros may follow; anything else is another member.
            while self.input.piece(self.offset).first() == Some(&0) {
                self.offset += 1;
            }
            if self.input.piece(self.offset).is_empty() {
                return Ok(());
            }
        }
    }

    fn byte<E>(&mut self) -> Result<u8, Error<E>> {
        let byte = self.input.piece(self.offset).first().copied();
        self.offset += 1;
        byte.ok_or(Error::Truncated)
    }

    fn header<E>(&mut self) -> Result<(), Error<E>> {
        let mut fixed = [0; 10];
        for byte in &mut fixed {
            *byte = self.byte()?;
        }
        let [first, second, method, flags, ..] = fixed;
        if [first, second] != MAGIC || method != DEFLATE || flags & 0xE0 != 0 {
            return Err(Error::NotGzip);
        }
        if flags & 4 != 0 {
            let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
            for _ in 0..length {
                self.byte()?;
            }
        }
        for flag in [8, 16] {
            while flags & flag != 0 && self.byte()? != 0 {}
        }
        if flags & 2 != 0 {
            self.byte()?;
            self.byte()?;
        }
        Ok(())
    }

    fn inflate<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), Error<E>> {
        self.inflater.init();
        (self.crc, self.written) = (0, 0);
        let mut at = 0;
        loop {
            let piece = self.input.piece(self.offset);
            let flags = if piece.is_empty() {
                0
            } else {
                TINFL_FLAG_HAS_MORE_INPUT
            };
            let (status, taken, given) =
                decompress(&mut self.inflater, piece, &mut self.window, at, flags);
            self.offset += u64_of(taken);
            let fresh = self.window.get(at..at + given).ok_or(Error::Corrupt)?;
            self.crc = crc32(self.crc, fresh);
            self.written += u64_of(given);
            if !fresh.is_empty() {
                out(fresh).map_err(Error::Output)?;
            }
            at = (at + given) % WINDOW;
            match status {
                TINFLStatus::Done => return Ok(()),
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if taken > 0 || given > 0 => {}
                TINFLStatus::NeedsMoreInput | TINFLStatus::FailedCannotMakeProgress => {
                    return Err(Error::Truncated);
                }
                _ => return Err(Error::Corrupt),
            }
        }
    }

    fn trailer<E>(&mut self) -> Result<(), Error<E>> {
        let mut words = [0; 2];
        for word in &mut words {
            *word = u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]);
        }
        if words == [self.crc, low32(self.written)] {
            Ok(())
        } else {
            Err(Error::Corrupt)
        }
    }
}

/// The check sum of gzip, continued over `bytes`: four bits a step, from a table of 16 words.
pub(crate) fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = table();
    let step = |crc: u32, nibble: u32| {
        let index = crate::num::usize_of32((crc ^ nibble) & 15);
        (crc >> 4) ^ TABLE.get(index).copied().unwrap_or(0)
    };
    !bytes.iter().fold(!crc, |crc, byte| {
        let byte = u32::from(*byte);
        step(step(crc, byte), byte >> 4)
    })
}

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut rest = table.as_mut_slice();
    let mut value = 0;
    while let Some((entry, tail)) = rest.split_first_mut() {
        let mut crc: u32 = value;
        let mut bit = 0;
        while bit < 4 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        *entry = crc;
        value += 1;
        rest = tail;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gzip")
            .arg("-9")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command gzip is needed");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = bytes.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("gzip");
        writer.join().expect("joined").expect("written");
        output.stdout
    }

    fn gunzip(packed: &[u8]) -> Result<Vec<u8>, Error<()>> {
        let mut out = Vec::new();
        Gunzip::new(packed)?.run(|bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(out)
    }

    fn sample(len: u32) -> Vec<u8> {
        (0..u64::from(len))
            .map(|i| (i * i / 977 % 251) as u8)
            .collect()
    }

    /// Input that comes in pieces of a few bytes.
    struct Drip<'a>(&'a [u8]);

    impl Input for Drip<'_> {
        fn piece(&mut self, offset: u64) -> &[u8] {
            let from = crate::num::usize_of(offset).min(self.0.len());
            &self.0[from..self.0.len().min(from + 5)]
        }
    }

    #[test]
    fn unpacks_what_gzip_packed() {
        for len in [0, 1, 1000, 32768, 300_000] {
            assert_eq!(gunzip(&gzip(&sample(len))), Ok(sample(len)));
        }
        let mut two = gzip(&sample(1000));
        two.extend_from_slice(&gzip(b"more"));
        two.extend_from_slice(&[0; 100]);
        let mut want = sample(1000);
        want.extend_from_slice(b"more");
        assert_eq!(gunzip(&two), Ok(want));
    }

    #[test]
    fn input_may_come_in_drips() {
        let packed = gzip(&sample(100_000));
        let mut out = Vec::new();
        let run = Gunzip::new::<()>(Drip(&packed))
            .expect("memory")
            .run(|bytes| {
                out.extend_from_slice(bytes);
                Ok::<(), ()>(())
            });
        assert_eq!(run, Ok(()));
        assert_eq!(out, sample(100_000));
    }

    #[test]
    fn refuses_what_is_cut_or_damaged() {
        let packed = gzip(&sample(50_000));
        for cut in (0..packed.len()).step_by(97) {
            assert_eq!(gunzip(&packed[..cut]), Err(Error::Truncated), "{cut}");
        }
        for at in (20..packed.len()).step_by(101) {
            let mut bad = packed.clone();
            bad[at] ^= 0x10;
            assert!(gunzip(&bad).is_err(), "{at}");
        }
        assert_eq!(gunzip(b"PK\x03\x04567890"), Err(Error::NotGzip));
    }

    #[test]
    fn check_sum() {
        assert_eq!(crc32(0, b"123456789"), 0xCBF4_3926);
    }
}
