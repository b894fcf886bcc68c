//! What `/proc` tells of threads: numbers of `stat`, and waiting until one sleeps, which no program can
//! tell by time alone.

use std::fs::read_to_string;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// Field `number` of `/proc/TID/stat`, counted as in proc(5).
pub(crate) fn stat(tid: i32, number: usize) -> Option<String> {
    // A thread's number has a directory, too, though it isn't listed.
    let text = read_to_string(format!("/proc/{tid}/stat")).ok()?;
    // The name may hold anything; behind it comes field 3.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace()
        .nth(number.checked_sub(3)?)
        .map(str::to_owned)
}

/// Waits until a process or thread sleeps in a call, for ten seconds at most.
pub(crate) fn until_asleep(tid: i32) {
    for _ in 0..10_000 {
        if stat(tid, 3).is_none_or(|state| state == "S") {
            return;
        }
        let _ = super::time::sleep_ms(1);
    }
}

/// The same, of a thread that first says its number there.
pub(crate) fn until_asleep_there(tid: &AtomicI32) {
    while tid.load(SeqCst) == 0 {
        let _ = super::time::sleep_ms(1);
    }
    // What the thread does between saying it and its call is running.
    until_asleep(tid.load(SeqCst));
}
