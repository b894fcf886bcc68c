//! What single operations cost: `behave bench [NAME...]` prints `NAME NANOSECONDS OPERATIONS` for
//! each measure (an operation's time, and how many a batch has), or `NAME -` where the kernel lacks
//! what it needs. Each batch begins and ends with [`mark`], between which a plugin of the emulator's
//! counts instructions (`harness/plugin`).
//!
//! `behave bench scale` measures some of it as what surrounds it grows ([`scale`]).
//!
//! Started as a kernel's first process it mounts what it needs, measures what the variable `BENCH`
//! names (words with commas between them; everything), and ends.

mod calls;
mod disk;
mod files;
mod memory;
mod processes;
mod scale;

use crate::out::{line, say};
use crate::sys::{child, file, process, time};
use std::ffi::{CStr, CString};

/// A batch is repeated until it takes this long, nanoseconds.
const BATCH: i64 = 2_000_000;
/// Batches of which the fastest counts: the others had an interrupt, or a cold cache.
const BATCHES: usize = 4;

/// Prints what it measures as it goes.
pub(crate) struct Bench<'a> {
    wanted: Vec<&'a str>,
}

impl Bench<'_> {
    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|word| name.contains(word))
    }

    /// Whether it was asked for by its whole name.
    fn is_named(&self, name: &str) -> bool {
        self.wanted.contains(&name)
    }

    /// Times `operation`, which reports whether it worked.
    fn time(&self, name: &str, mut operation: impl FnMut() -> bool) {
        self.time_many(name, 1, |count| (0..count).all(|_| operation()));
    }

    /// Times an operation that does its work `each` times for every one of the count it is given.
    fn time_many(&self, name: &str, each: u32, mut operation: impl FnMut(u32) -> bool) {
        if !self.wants(name) {
            return;
        }
        let mut batch = |count: u32| {
            let start = time::monotonic();
            let fine = operation(count);
            fine.then(|| time::monotonic() - start)
        };
        let mut count = 1;
        loop {
            match batch(count) {
                None => return line(&format!("{name} -")),
                Some(took) if took >= BATCH || count >= 1 << 24 => break,
                Some(took) => {
                    let more = BATCH / took.max(1) + 1;
                    count *= u32::try_from(more.clamp(2, 16)).unwrap_or(2);
                }
            }
        }
        let marked = |_| {
            mark();
            let took = batch(count);
            mark();
            took
        };
        match (0..BATCHES).filter_map(marked).min() {
            Some(took) => {
                let operations = f64::from(count) * f64::from(each);
                #[expect(clippy::cast_precision_loss, reason = "a batch takes milliseconds")]
                let took = took as f64;
                say!("{name} {:.1} {operations}", took / operations);
            }
            None => line(&format!("{name} -")),
        }
    }
}

/// An instruction without effect (`nop dword ptr [rax + 0x4b494c4e]`) that the plugin knows.
fn mark() {
    // SAFETY: a NOP changes nothing; it doesn't even look at its operand.
    unsafe { std::arch::asm!(".byte 0x0f, 0x1f, 0x80, 0x4e, 0x4c, 0x49, 0x4b") };
}

/// Runs the measures whose names contain one of the words.
pub(crate) fn run(args: &[&CStr]) -> i32 {
    let bench = Bench {
        wanted: args.iter().filter_map(|word| word.to_str().ok()).collect(),
    };
    let _ = file::mkdir(c"/tmp/bench", 0o755);
    if file::chdir(c"/tmp/bench").is_err() {
        line("bench: no /tmp");
        return 1;
    }
    if bench.wanted.first() == Some(&"scale") {
        let bench = Bench {
            wanted: bench.wanted.get(1..).unwrap_or_default().to_vec(),
        };
        scale::measure(&bench);
    } else {
        calls::measure(&bench);
        files::measure(&bench);
        memory::measure(&bench);
        processes::measure(&bench);
        disk::measure(&bench);
    }
    line("bench ends");
    0
}

/// The same as a kernel's first process: in a child, as signals are special to the first one.
pub(crate) fn as_init() -> i32 {
    for (kind, target) in [
        (c"proc", c"/proc"),
        (c"devtmpfs", c"/dev"),
        (c"tmpfs", c"/tmp"),
    ] {
        let _ = file::mkdir(target, 0o755);
        let _ = file::mount(kind, target, kind, 0, None);
    }
    // The kernel's own messages need no interrupts to reach the serial line; a terminal does.
    if let Ok(messages) = file::fd(file::open(c"/dev/kmsg", libc::O_WRONLY, 0)) {
        for standard in 0..3 {
            let _ = file::dup2(messages, standard);
        }
    }
    let _ = file::mkdir(disk::PLACE, 0o755);
    let _ = file::mount(c"/dev/vda", disk::PLACE, c"ext4", 0, None);
    let words = std::env::var("BENCH").unwrap_or_default();
    let words: Vec<CString> = words
        .split(',')
        .filter(|word| !word.is_empty())
        .filter_map(|word| CString::new(word).ok())
        .collect();
    let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    let _ = child::wait(child::start(|| run(&words)));
    0
}

/// Whether this process is the kernel's first.
pub(crate) fn is_init() -> bool {
    process::getpid() == Ok(1)
}
