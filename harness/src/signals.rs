//! The signals that go to the job: [`Signals`] blocks them and makes them readable.
//!
//! It must be made before any thread, so that every thread inherits the mask. Signals that the
//! caller ignores (`nohup`, a background job of a script) stay ignored.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// INT, TERM and HUP, and WINCH for a terminal.
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks them for this thread and all that it starts.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn block() -> nix::Result<Self> {
        let ignored = ignored_mask();
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGWINCH,
        ] {
            if ignored & (1 << (signal as i32 - 1)) == 0 {
                set.add(signal);
            }
        }
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { fd })
    }

    /// The next one that has arrived.
    pub fn next(&self) -> Option<Signal> {
        let info = self.fd.read_signal().ok()??;
        i32::try_from(info.ssi_signo)
            .ok()
            .and_then(|number| Signal::try_from(number).ok())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The signals this process ignores, bit 0 for signal 1 (`SigIgn` in proc(5)).
fn ignored_mask() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        })
        .unwrap_or(0)
}
