//! Linux's constants and structures for x86-64, from the uapi headers by way of `linux-raw-sys`.
//!
//! Kernel code writes `abi::O_CLOEXEC`, `abi::stat`, …; values that the crate lacks, or has with
//! an unhandy type, stand here with their header named.

pub use linux_raw_sys::auxvec::*;
pub use linux_raw_sys::general::*;

/// Signal numbers run from 1 to this (`_NSIG`, asm/signal.h).
pub const NSIG: u32 = 64;
/// The kernel's `sigset_t` in bytes.
pub const SIGSET_SIZE: usize = 8;

/// prctl(2)'s options (linux/prctl.h).
pub mod prctl {
    pub use linux_raw_sys::prctl::*;
}

/// ptrace(2)'s requests and events (linux/ptrace.h, asm/ptrace-abi.h).
pub mod ptrace {
    pub use linux_raw_sys::ptrace::*;
}

/// ioctl(2)'s requests (asm/ioctls.h, linux/fs.h).
pub mod ioctl {
    pub use linux_raw_sys::ioctl::*;
}
