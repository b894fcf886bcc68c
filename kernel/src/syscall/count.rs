//! How often each system call was made, for the job's report.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{COUNT, Entry};
use kiln_core::num::usize_of;

static CALLS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

/// Counts a call; numbers beyond the table aren't counted by name.
pub(super) fn called(number: u64) {
    if let Some(counter) = CALLS.get(usize_of(number)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes back what was counted.
pub(super) fn forget(number: u64) {
    if let Some(counter) = CALLS.get(usize_of(number)) {
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Name and count of every call that was made.
pub(crate) fn calls() -> impl Iterator<Item = (&'static str, u64)> {
    named(|_| true)
}

/// Name and count of every call that was made and that nothing serves: ENOSYS.
pub(crate) fn unimplemented_calls() -> impl Iterator<Item = (&'static str, u64)> {
    named(|entry| entry.handler.is_none())
}

fn named(wanted: fn(&Entry) -> bool) -> impl Iterator<Item = (&'static str, u64)> {
    super::table::ENTRIES.iter().filter_map(move |entry| {
        let count = CALLS
            .get(usize::from(entry.number))?
            .load(Ordering::Relaxed);
        (count > 0 && wanted(entry)).then_some((entry.name, count))
    })
}
