//! Lending priority: whoever owns a lock that more urgent threads sleep for runs as urgently as the
//! most urgent of them, and so does whoever that owner sleeps for, until the lock is given up.
//!
//! What is lent is never kept up step by step: whenever an owner's claimants may have changed, [`refresh`]
//! looks for the most urgent one anew. That is needed only from the first time on that a thread which
//! comes before others slept for a lock.

use core::sync::atomic::{AtomicBool, Ordering};

use super::super::table;
use super::super::task::Task;
use super::pi::owned_by;
use super::{BUCKETS, bucket};

/// A thread that comes before others has slept for a lock.
static LENDING: AtomicBool = AtomicBool::new(false);

/// How many owners a chain is followed over (Linux: `max_lock_depth`).
const DEPTH: usize = 1024;

/// The task begins to sleep for a lock of `owner`'s.
pub(super) fn claims(task: &Task, owner: u32) {
    if task
        .thread()
        .is_some_and(|thread| thread.urgency().is_some())
    {
        LENDING.store(true, Ordering::Relaxed);
    }
    refresh(owner);
}

/// Those who sleep for locks of `owner`'s are others than before.
pub(super) fn refresh(owner: u32) {
    if !LENDING.load(Ordering::Relaxed) {
        return;
    }
    let mut tid = owner;
    for _ in 0..DEPTH {
        let Some(task) = table::task(tid) else { return };
        let Some(thread) = task.thread() else { return };
        if !thread.lend(most_urgent(tid)) {
            return;
        }
        let Some(next) = task.futex.claimed_from() else {
            return;
        };
        task.futex.line_up_again(&task);
        tid = next;
    }
}

/// A task is scheduled in another way now: whoever it sleeps for borrows that.
pub(crate) fn rescheduled(task: &Task) {
    if let Some(owner) = task.futex.claimed_from() {
        task.futex.line_up_again(task);
        claims(task, owner);
    }
}

/// The most urgent of those who sleep for locks of the task with this number.
fn most_urgent(tid: u32) -> Option<u64> {
    let of_bucket = |number| {
        let sleepers = bucket(number).lock();
        owned_by(&sleepers, tid)
            .filter_map(|claimant| table::task(claimant)?.thread()?.urgency())
            .min()
    };
    (0..BUCKETS).filter_map(of_bucket).min()
}
