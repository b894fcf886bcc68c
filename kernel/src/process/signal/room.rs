//! What counts against `RLIMIT_SIGPENDING`: the signals that wait for a user's processes, and their timers, for each of
//! which a place is kept.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::num::u64_of;
use kiln_core::signal::pending::queued_anywhere;

use super::super::group::{Group, Process};
use super::super::table;
use super::super::timers::posix;

/// How many signals wait for a process, and its timers.
fn queued_in(process: &Process, group: &Group) -> usize {
    let tasks = group.tasks.iter();
    let own = tasks.map(|task| task.signals.lock().pending.counted());
    own.sum::<usize>() + group.pending.counted() + process.timers.posix_count()
}

fn queued_of_user_in(tree: &table::Tree, process: &Process) -> usize {
    let uid = process.uid.load(Ordering::Relaxed);
    let all = tree.processes().map(|(_, process)| process);
    all.filter(|process| process.uid.load(Ordering::Relaxed) == uid)
        .map(|process: &Arc<Process>| queued_in(process, &process.group.lock()))
        .sum()
}

/// The same of all processes of the process's real user, whom the limit is for.
pub(in crate::process) fn queued_of_user(process: &Process) -> usize {
    queued_of_user_in(&table::tree().lock(), process)
}

/// Whether a timer that is to send signals finds no room.
pub(crate) fn signals_are_full(process: &Process) -> bool {
    is_full(None, process)
}

/// Whether a signal that is sent to the process finds no room; `tree`: the table, where the caller has locked it. As
/// long as fewer wait for everybody together, nobody's are counted one by one.
pub(super) fn is_full(tree: Option<&table::Tree>, process: &Process) -> bool {
    let limit = process.limit(abi::RLIMIT_SIGPENDING);
    if u64_of(queued_anywhere() + posix::made_anywhere()) < limit {
        return false;
    }
    let queued = match tree {
        Some(tree) => queued_of_user_in(tree, process),
        None => queued_of_user(process),
    };
    u64_of(queued) >= limit
}
