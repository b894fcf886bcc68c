//! The load of the test that stops a machine in the midst of rearranging files: `behave --helper rearrange DIR FIRST`.
//!
//! Four processes have files of their own, each replaced in turn by a new one that is durable before it is told of
//! (`SLOT GENERATION`, a line each). Between that, ranges of blocks are taken out, put in, punched, emptied and
//! allocated, and the files get another name for a while. Every block is filled with one word, its file's generation
//! and its own number, so that whatever is found on the disk can be judged: numbers increase, between them are zeros.
//! The first block is never touched.

use crate::out::{error, say};
use crate::sys::{Errno, Plain, child, file};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;

/// Processes, and the files that each has.
const WORKERS: u64 = 4;
const SLOTS: u64 = 4;
/// Blocks that a new file has at most, and that none is made to exceed.
const NEW: u64 = 600;
const MOST: u64 = 1500;

/// A multiplier and an increment of a linear congruence modulo 2^64 (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Worker {
    number: u64,
    /// Of a block.
    size: u64,
    random: Random,
}

impl Worker {
    /// Replaces a file and tells of it.
    fn replace(&mut self, slot: u64, generation: u64) -> io::Result<()> {
        let name = format!("new{}", self.number);
        let file = File::create(&name)?;
        let blocks = 2 + self.random.below(NEW);
        let mut bytes = Vec::new();
        for block in 1..=blocks {
            let word = generation << 16 | block;
            (0..self.size / 8).for_each(|_| bytes.extend(word.to_le_bytes()));
        }
        (&file).write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&name, format!("r{slot}"))?;
        File::open(".")?.sync_all()?;
        say!("{slot} {generation}");
        Ok(())
    }

    /// One change to a file of its own.
    fn change(&mut self, slot: u64) -> io::Result<()> {
        let name = format!("r{slot}");
        if self.random.below(12) == 0 {
            let other = format!("x{slot}");
            fs::rename(&name, &other)?;
            return fs::rename(&other, &name);
        }
        let file = File::options().read(true).write(true).open(&name)?;
        let blocks = file.metadata()?.len() / self.size;
        if blocks < 3 {
            return Ok(());
        }
        let at = 1 + self.random.below(blocks - 1);
        let count = 1 + self.random.below(40);
        let (kind, fits) = match self.random.below(10) {
            0..3 => (libc::FALLOC_FL_COLLAPSE_RANGE, at + count < blocks),
            3..6 => (libc::FALLOC_FL_INSERT_RANGE, blocks + count < MOST),
            6 => (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, true),
            7 => (libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE, true),
            8 => (0, at + count < MOST),
            _ => return file.set_len(at * self.size),
        };
        let bytes = |blocks: u64| i64::try_from(blocks * self.size).unwrap_or(0);
        if fits
            && let Err(Errno(number)) =
                file::fallocate(file.as_raw_fd(), kind, bytes(at), bytes(count))
        {
            return Err(io::Error::from_raw_os_error(number));
        }
        Ok(())
    }

    fn work(&mut self, first: u64) -> io::Result<()> {
        for generation in first.. {
            let slot = self.number * SLOTS + self.random.below(SLOTS);
            self.replace(slot, generation)?;
            for _ in 0..self.random.below(60) {
                let slot = self.number * SLOTS + self.random.below(SLOTS);
                if fs::exists(format!("r{slot}"))? {
                    self.change(slot)?;
                }
            }
        }
        Ok(())
    }
}

/// A file that was under its other name when the machine stopped gets its own back.
fn restore() -> io::Result<()> {
    for slot in 0..WORKERS * SLOTS {
        let other = format!("x{slot}");
        if fs::exists(&other)? {
            fs::rename(other, format!("r{slot}"))?;
        }
    }
    Ok(())
}

/// Goes on until the machine stops.
pub(crate) fn run(args: &[&CStr]) -> i32 {
    let [dir, first] = args else { return 2 };
    let first: u64 = first
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let mut space = libc::statfs::zeroed();
    if file::chdir(dir).is_err() || file::statfs(c".", &mut space).is_err() || restore().is_err() {
        error("the directory can't be used");
        return 1;
    }
    let size = space.f_bsize.unsigned_abs();
    let all: Vec<i32> = (0..WORKERS)
        .map(|number| {
            child::start(|| {
                let random = Random(first << 8 | number);
                let mut worker = Worker {
                    number,
                    size,
                    random,
                };
                let Err(why) = worker.work(first) else {
                    return 0;
                };
                error(&format!("worker {number}: {why}"));
                1
            })
        })
        .collect();
    let ends: Vec<String> = all.into_iter().map(child::end_of).collect();
    error(&ends.join(", "));
    1
}
