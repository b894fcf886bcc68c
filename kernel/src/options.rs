//! The kernel's command line: for people working on the kernel. The job is specified elsewhere
//! (fw_cfg), so nothing here changes what a job sees.
//!
//! | word | meaning |
//! | --- | --- |
//! | `verbose`, `console=ttyS0` | kernel messages on the serial line |
//! | `fault=NAME` | a fault on purpose ([`provoke`](crate::arch::provoke)) |
//! | `selftest=NAME` | a test in the machine itself ([`selftest`](crate::selftest)) |
//! | `tsc=unstable` | programs enter the kernel to read clocks ([`vdso`](crate::vm::vdso)) |
//! | `failcharge=N` | the Nth charge of kernel memory fails ([`kmem`](crate::mm::kmem)) |

use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::num::usize_of;
use pvh::{BootInfo, PhysMemory, PhysRange};

use crate::mm::boot::{BootMemory, kept_bytes};
use crate::sync::Once;

/// Where the command line lies.
static CMDLINE: Once<PhysRange> = Once::new();
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Remembers where the command line is, and looks for what phase one must know.
pub(crate) fn init(info: &BootInfo) {
    let range = *CMDLINE.call_once(|| info.cmdline);
    let line = BootMemory
        .bytes(range.start, usize_of(range.len()))
        .unwrap_or_default();
    let verbose = words(line).any(|word| matches!(word, b"verbose" | b"console=ttyS0"));
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Whether kernel messages were asked for.
pub(crate) fn verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// The whole line. In phase two only.
pub(crate) fn command_line() -> &'static [u8] {
    let range = CMDLINE.get();
    range.map(|range| kept_bytes(*range)).unwrap_or_default()
}

/// The value of the first `key=value`. In phase two only.
pub(crate) fn get(key: &str) -> Option<&'static [u8]> {
    words(command_line()).find_map(|word| word.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
}

/// The value of the first `key=value` if it is a decimal number. In phase two only.
pub(crate) fn number(key: &str) -> Option<u64> {
    core::str::from_utf8(get(key)?).ok()?.parse().ok()
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}
