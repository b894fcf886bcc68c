//! Stopping a process and letting it go on (job control).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::signal::Signal;
use kiln_core::wait_status::WaitStatus;

use super::send::notify_parent_in;
use crate::process::group::{Group, Process, Stop};
use crate::process::task::Task;
use crate::process::{cgroup, ptrace, table};
use crate::sched::{Mode, NOTIFY_SIGNAL};

/// A stop signal's default action. The terminal's stops don't stop an orphaned group: nobody
/// could continue it.
pub(super) fn try_stop(process: &Arc<Process>, signal: Signal) {
    let orphaned = signal != Signal::STOP
        && table::standing(process.pid())
            .is_none_or(|standing| table::group_is_orphaned(standing.group));
    let mut group = process.group.lock();
    if orphaned || group.exit.is_some() || group.stop != Stop::Running {
        return;
    }
    group.stop = Stop::Stopping(signal, 0);
    for task in &group.tasks {
        if task.is_traced() {
            ptrace::stop::group_stops(task);
        }
        if let Some(thread) = task.thread() {
            thread.notify(NOTIFY_SIGNAL);
        }
    }
}

/// Stops the running task until SIGCONT, or until it is to end.
pub(super) fn stop_here(task: &Arc<Task>) {
    let process = task.process();
    // The stop and the news of it come together for whoever looks.
    let tree = table::tree().lock();
    let mut group = process.group.lock();
    if let Stop::Stopping(signal, stopped) = group.stop {
        group.stop = Stop::Stopping(signal, stopped + 1);
        let all = settle(&mut group);
        drop(group);
        if let Some(signal) = all {
            notify_parent_in(&tree, process, WaitStatus::Stopped(signal));
        }
    } else {
        drop(group);
    }
    drop(tree);
    let goes_on = || {
        let group = process.group.lock();
        let over = group.exit.is_some()
            || group.stop == Stop::Running
            || task.is_traced()
            || task.must_exit.load(Ordering::Relaxed);
        over.then_some(())
    };
    cgroup::stand_still(task);
    // However it ends, `work` looks again.
    let _ = process.thread_events.wait(Mode::Killable, None, goes_on);
    cgroup::stands_no_more(task);
}

/// Makes the stop complete when every thread has stopped; gives its signal then.
pub(in crate::process) fn settle(group: &mut Group) -> Option<Signal> {
    let Stop::Stopping(signal, stopped) = group.stop else {
        return None;
    };
    if stopped < group.tasks.len() || group.tasks.is_empty() {
        return None;
    }
    group.stop = Stop::Stopped(signal);
    group.event = Some(WaitStatus::Stopped(signal));
    Some(signal)
}

/// Lets a stopped process go on. Answers whether it was stopped.
pub(super) fn resume(process: &Process, group: &mut Group) -> bool {
    let was = core::mem::take(&mut group.stop);
    if was == Stop::Running {
        return false;
    }
    process.thread_events.wake_all();
    for task in &group.tasks {
        if task.is_traced() {
            ptrace::stop::group_continues(task);
        }
    }
    if matches!(was, Stop::Stopped(_)) {
        group.event = Some(WaitStatus::Continued);
        return true;
    }
    false
}
