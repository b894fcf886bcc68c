//! How often each system call was made, for the job's report.

use core::sync::atomic::{AtomicU64, Ordering};

use super::COUNT;
use kiln_core::num::usize_of;

static CALLS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];
static UNIMPLEMENTED: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

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

/// Counts a call that answered ENOSYS because nothing serves it.
pub(super) fn unimplemented(number: u64) {
    if let Some(counter) = UNIMPLEMENTED.get(usize_of(number)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Name and count of every call that was made.
pub(crate) fn calls() -> impl Iterator<Item = (&'static str, u64)> {
    named(&CALLS)
}

/// Name and count of every call that nothing serves.
pub(crate) fn unimplemented_calls() -> impl Iterator<Item = (&'static str, u64)> {
    named(&UNIMPLEMENTED)
}

fn named(counters: &'static [AtomicU64; COUNT]) -> impl Iterator<Item = (&'static str, u64)> {
    super::table::ENTRIES.iter().filter_map(|entry| {
        let count = counters
            .get(usize::from(entry.number))?
            .load(Ordering::Relaxed);
        (count > 0).then_some((entry.name, count))
    })
}
