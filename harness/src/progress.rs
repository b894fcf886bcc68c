//! How far the launcher is with what takes a while, on a terminal: a line on standard error that is
//! written anew until it is no longer true. Elsewhere, and in the first moments, nothing is said.
//!
//! [`show`] surrounds the work, [`Counted`] is what it reads through.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::stdio::stderr;
use rustix::termios::isatty;

/// What is done sooner isn't worth a line.
const QUIET: Duration = Duration::from_millis(700);
const PERIOD: Duration = Duration::from_millis(100);

/// Bytes that went through a [`Counted`] since the work began; there is one work at a time.
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Does `work`, called `what`, and shows how much was read of `total` bytes (0: nobody knows).
pub fn show<T>(what: &str, total: u64, work: impl FnOnce() -> T) -> T {
    BYTES.store(0, Ordering::Relaxed);
    watch(what, total, || BYTES.load(Ordering::Relaxed), work)
}

/// The same for work that another program does: what it has written to `file` tells how far it is.
pub fn show_growth<T>(what: &str, total: u64, file: &File, work: impl FnOnce() -> T) -> T {
    let allocated = || file.metadata().map_or(0, |meta| meta.blocks() * 512);
    watch(what, total, allocated, work)
}

fn watch<T>(what: &str, total: u64, done: impl Fn() -> u64 + Sync, work: impl FnOnce() -> T) -> T {
    if !isatty(stderr()) {
        return work();
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let teller = scope.spawn(|| tell(what, total, &done, &over));
        let result = work();
        over.store(true, Ordering::Release);
        teller.thread().unpark();
        result
    })
}

fn tell(what: &str, total: u64, done: &impl Fn() -> u64, over: &AtomicBool) {
    let begun = Instant::now();
    let mut shown = false;
    while !over.load(Ordering::Acquire) {
        if begun.elapsed() > QUIET {
            shown = true;
            // A terminal that can't be written to needs no news.
            let _ = write!(io::stderr(), "\r\x1b[Kkiln: {}", line(what, done(), total));
        }
        thread::park_timeout(PERIOD);
    }
    if shown {
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
}

fn line(what: &str, done: u64, total: u64) -> String {
    match (done.min(total) * 100).checked_div(total) {
        Some(percent) => format!("{what}: {percent} % of {} MiB", total >> 20),
        None => format!("{what}: {} MiB", done >> 20),
    }
}

/// Counts bytes that went another way.
pub fn count(bytes: usize) {
    BYTES.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
}

/// A source whose bytes count.
pub struct Counted<R>(pub R);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self::count(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_known() {
        assert_eq!(
            line("packing", 50 << 20, 200 << 20),
            "packing: 25 % of 200 MiB"
        );
        assert_eq!(
            line("packing", 300 << 20, 200 << 20),
            "packing: 100 % of 200 MiB"
        );
        assert_eq!(line("unpacking", 7 << 20, 0), "unpacking: 7 MiB");
    }

    #[test]
    fn what_is_read_counts() {
        let mut out = vec![];
        let copied = show("copying", 3, || {
            io::copy(&mut Counted(&b"abc"[..]), &mut out)
        });
        assert_eq!((copied.unwrap(), out), (3, b"abc".to_vec()));
        assert!(BYTES.load(Ordering::Relaxed) >= 3);
    }
}
