//! futex(2), on words of this program's own.

use super::{Res, call};
use std::sync::atomic::AtomicU32;

/// `FUTEX_PRIVATE_FLAG`.
const PRIVATE: usize = 128;

fn futex(word: &AtomicU32, op: usize, value: u32) -> Res {
    // SAFETY: the word lives, and the kernel changes it as an atomic.
    unsafe {
        call(
            libc::SYS_futex,
            [
                word.as_ptr() as usize,
                op | PRIVATE,
                value as usize,
                0,
                0,
                0,
            ],
        )
    }
}

/// Sleeps as long as the word holds `value`.
pub(crate) fn wait(word: &AtomicU32, value: u32) -> Res {
    futex(word, 0, value)
}

/// Wakes up to `count` sleepers.
pub(crate) fn wake(word: &AtomicU32, count: u32) -> Res {
    futex(word, 1, count)
}

/// Takes a lock that lends priority, through the kernel in any case.
pub(crate) fn lock_pi(word: &AtomicU32) -> Res {
    futex(word, 6, 0)
}

/// Gives it up.
pub(crate) fn unlock_pi(word: &AtomicU32) -> Res {
    futex(word, 7, 0)
}
