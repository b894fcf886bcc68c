//! What a tracer's wait4(2) and waitid(2) see of its tracees.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::wait_status::WaitStatus;

use super::super::group::Process;
use super::super::table::{self, Tree};
use super::super::task::Task;
use super::super::wait::Which;
use super::{TRACED, event, unlink};

/// `WNOWAIT` (linux/wait.h).
const WNOWAIT: u32 = 0x0100_0000;

/// Whether anybody is traced at all.
pub(in crate::process) fn anybody() -> bool {
    TRACED.load(Ordering::Relaxed) != 0
}

/// Who traces a child, as its parent sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::process) enum ChildTrace {
    /// Nobody.
    None,
    /// The parent: its stops are a tracee's.
    Parent,
    /// Somebody else, who hears of its end first.
    Other,
}

/// Who traces the first thread of a child of `parent`.
pub(in crate::process) fn of_child(tree: &Tree, pid: u32, parent: &Arc<Process>) -> ChildTrace {
    if !anybody() {
        return ChildTrace::None;
    }
    let Some(task) = tree.thread(pid) else {
        return ChildTrace::None;
    };
    let slot = task.trace.lock();
    match slot.trace.as_ref() {
        None => ChildTrace::None,
        Some(trace) if Arc::ptr_eq(trace.tracer.process(), parent) => ChildTrace::Parent,
        Some(_) => ChildTrace::Other,
    }
}

/// Whether a task's tracer is in its parent process.
pub(in crate::process) fn is_traced_by_parent(task: &Task) -> bool {
    let parent = table::standing(task.pid()).map(|standing| standing.parent);
    let slot = task.trace.lock();
    let tracer = slot.trace.as_ref().map(|trace| trace.tracer.pid());
    tracer.is_some() && tracer == parent
}

/// What was found among the tracees.
#[derive(Default)]
pub(in crate::process) struct Found {
    /// One of them counts.
    pub(in crate::process) any: bool,
    /// Its news.
    pub(in crate::process) news: Option<(Arc<Task>, WaitStatus)>,
}

/// Looks for news of the process's tracees.
pub(in crate::process) fn look(
    tree: &Tree,
    process: &Arc<Process>,
    which: Which,
    options: u32,
) -> Found {
    let mut found = Found::default();
    if !anybody() {
        return found;
    }
    let group = process.group.lock();
    for tracer in &group.tasks {
        let tracees = tracer.tracees.lock();
        for tracee in &tracees.list {
            let counts = match which {
                Which::Any => true,
                Which::Process(number) => tracee.tid() == number,
                Which::Group(group) => tree
                    .standing(tracee.pid())
                    .is_some_and(|at| at.group == group),
            };
            if !counts {
                continue;
            }
            found.any = true;
            if let Some(status) = news(tracee, options) {
                found.news = Some((Arc::clone(tracee), status));
                return found;
            }
        }
    }
    found
}

fn news(tracee: &Task, options: u32) -> Option<WaitStatus> {
    let mut slot = tracee.trace.lock();
    let trace = slot.trace.as_mut()?;
    if let Some(status) = trace.ended {
        return (options & abi::WEXITED != 0).then_some(WaitStatus::Ended(status));
    }
    let stop = trace.stop.as_mut().filter(|stop| stop.news)?;
    if options & WNOWAIT == 0 {
        stop.news = false;
    }
    Some(WaitStatus::Traced(stop.code))
}

/// The tracer waits for an ended tracee; whether it is the first to.
pub(in crate::process) fn reap(task: &Arc<Task>, status: WaitStatus) -> bool {
    let first = unlink(task, 0).is_some();
    if first && let WaitStatus::Ended(status) = status {
        event::ended_and_released(task, status);
    }
    first
}
