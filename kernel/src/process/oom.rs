//! When memory has run out: the process that uses most of it is killed (oom_score_adj in
//! proc(5) changes what counts as most).
//!
//! `vm` calls [`make_room`] when a program's page can be had by no other means. One victim at a
//! time: as long as it hasn't ended, others wait for it, though not for ever, since it may wait for
//! something they hold.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::num::u64_of;
use kiln_core::signal::{SigInfo, Signal};

use super::group::Process;
use super::signal::send;
use super::table;
use super::task;
use crate::arch::time::now_ns;
use crate::mm::frame;
use crate::sync::SpinLock;
use crate::vm::AddressSpace;

/// How long a victim is waited for before the next is chosen.
const PATIENCE_NS: u64 = 500_000_000;
/// What `oom_score_adj` is stored with added, so that it is never negative.
const ADJUSTMENT_BIAS: u64 = 1000;

/// The last victim.
static VICTIM: SpinLock<Option<Arc<Process>>> = SpinLock::new(None);
static KILLS: AtomicU64 = AtomicU64::new(0);

/// How many processes were killed for want of memory.
pub(crate) fn kills() -> u64 {
    KILLS.load(Ordering::Relaxed)
}

/// Whether `process` was the last one that was killed for want of memory.
pub(crate) fn was_victim(process: &Arc<Process>) -> bool {
    let victim = VICTIM.lock();
    victim
        .as_ref()
        .is_some_and(|victim| Arc::ptr_eq(victim, process))
}

/// Kills a process, or waits for the one that was killed. Answers whether memory may have become
/// free; `false` when the caller itself is to end, or nobody is left.
pub(crate) fn make_room() -> bool {
    let own = task::current();
    if own.as_ref().is_some_and(|task| task.is_ending()) {
        return false;
    }
    let Some(victim) = dying().or_else(choose) else {
        return wait_for_others(own.as_ref().map(|task| task.process()));
    };
    let old = VICTIM.lock().replace(Arc::clone(&victim));
    drop(old);
    if !victim.group.lock().is_ending() {
        KILLS.fetch_add(1, Ordering::Relaxed);
        // The kernel's own signals are never refused.
        let _ = send(&victim, SigInfo::kernel(Signal::KILL));
    }
    if own.is_some_and(|task| Arc::ptr_eq(task.process(), &victim)) {
        return false;
    }
    if victim.wait_ended(Some(now_ns() + PATIENCE_NS)).is_none() {
        // Perhaps it waits for the caller: another one has to go.
        let old = VICTIM.lock().take();
        drop(old);
    }
    true
}

/// Waits for a process that is ending for another reason. One that takes too long perhaps waits for
/// the caller.
fn wait_for_others(own: Option<&Arc<Process>>) -> bool {
    let ending = |process: &Arc<Process>| {
        let other = own.is_none_or(|own| !Arc::ptr_eq(own, process));
        let ending = process.group.lock().exit.is_some() && process.ended().is_none();
        (other && ending).then_some(0)
    };
    let found = table::highest(ending);
    found.is_some_and(|process| {
        let until = now_ns() + 4 * PATIENCE_NS;
        process.wait_ended(Some(until)).is_some()
    })
}

/// The last victim, if it hasn't ended yet.
fn dying() -> Option<Arc<Process>> {
    let last = VICTIM.lock().clone();
    last.filter(|process| process.ended().is_none())
}

/// The process whose end frees most: by the pages it and its tables have, and by its adjustment, which counts in
/// thousandths of all memory. Those told to be spared are.
fn choose() -> Option<Arc<Process>> {
    let total = u64_of(frame::stats().total);
    table::highest(|process| badness(process, total))
}

/// What `/proc/PID/oom_score` says: the share of memory in thousandths, adjusted, as
/// `proc_oom_score` scales it.
pub(super) fn score(process: &Arc<Process>) -> u64 {
    let total = u64_of(frame::stats().total).max(1);
    let adjustment = u64::from(process.oom_adjustment.load(Ordering::Relaxed));
    if adjustment == 0 || process.is_init() {
        return 0;
    }
    // What has ended is chosen no more.
    let Some(space) = process.first_task().and_then(|task| task.space().ok()) else {
        return 0;
    };
    (adjustment + pages(&space) * 1000 / total) * 2 / 3
}

/// Pages that the end of a space frees: its own, and those of its tables.
fn pages(space: &AddressSpace) -> u64 {
    space.resident_pages() + space.table_pages()
}

/// `None`: not to be killed, or already on its way out.
fn badness(process: &Arc<Process>, total: u64) -> Option<u64> {
    if process.is_init() {
        return None;
    }
    let adjustment = u64::from(process.oom_adjustment.load(Ordering::Relaxed));
    if adjustment == 0 || process.group.lock().is_ending() {
        return None;
    }
    let space = process.first_task()?.space().ok()?;
    let points = pages(&space) + total * adjustment / 1000;
    Some(points.saturating_sub(total * ADJUSTMENT_BIAS / 1000))
}
