//! `cgroup.freeze`: tasks that stand still on their way to user mode until their branch goes on.
//!
//! A task that is stopped, for job control or a tracer, or that waits for its vfork child stands still by itself.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::errno::Errno;

use super::members::announce;
use super::{Cgroup, TREE};
use crate::process::group::Group;
use crate::process::ptrace::stop::pending_stop;
use crate::process::task::Task;
use crate::sched::{Mode, NOTIFY_SIGNAL, WaitQueue};

/// Tasks that stand still because their branch is frozen.
static FROZEN: WaitQueue = WaitQueue::new();

/// Bits of [`Cgroup::events`].
pub(super) const POPULATED: u32 = 1;
pub(super) const IS_FROZEN: u32 = 2;

impl Cgroup {
    /// Whether it or a group above it is to be frozen.
    pub(super) fn is_freezing(&self) -> bool {
        self.line()
            .any(|group| group.freeze.load(Ordering::Relaxed))
    }

    /// What `cgroup.events` tells.
    pub(super) fn events(&self) -> u32 {
        let _tree = TREE.lock();
        let tasks = self.tasks.load(Ordering::Relaxed);
        let frozen = self.is_freezing() && self.still.load(Ordering::Relaxed) == tasks;
        let bit = |holds, bit| if holds { bit } else { 0 };
        bit(tasks > 0, POPULATED) | bit(frozen, IS_FROZEN)
    }

    /// Freezes its branch, or lets it go on.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn set_freeze(self: &Arc<Self>, freeze: bool) -> Result<(), Errno> {
        let branch = self.branch()?;
        let before = self.freeze.swap(freeze, Ordering::SeqCst);
        if freeze {
            // After the word is given: who comes later has seen it.
            let processes = self.processes(true).inspect_err(|_| {
                self.freeze.store(before, Ordering::SeqCst);
                let_go();
            })?;
            for process in processes {
                for task in &process.group.lock().tasks {
                    if let Some(thread) = task.thread() {
                        thread.notify(NOTIFY_SIGNAL);
                    }
                }
            }
        } else {
            let_go();
        }
        for group in branch {
            announce(&group);
        }
        Ok(())
    }
}

/// Those who stand still look whether they still must.
pub(super) fn let_go() {
    FROZEN.wake_all();
}

/// A task that may be frozen has got something to do: its tracer wants it.
pub(in crate::process) fn look_again(task: &Task) {
    if task.stands_still.load(Ordering::Relaxed) {
        let_go();
    }
}

/// Whether tasks of the process are to stand still; its group is locked.
pub(in crate::process) fn is_to_freeze(group: &Group) -> bool {
    group.cgroup.as_ref().is_some_and(|own| own.is_freezing())
}

/// The running task stands still until its branch goes on, or it is to end or to stop.
pub(in crate::process) fn freeze_here(task: &Arc<Task>) {
    stand_still(task);
    let goes_on = || {
        let group = task.process().group.lock();
        let over = !is_to_freeze(&group)
            || group.exit.is_some()
            || task.must_exit.load(Ordering::Relaxed)
            || task.is_traced() && pending_stop(task, &group).is_some();
        over.then_some(())
    };
    // However it ends, `work` looks again.
    let _ = FROZEN.wait(Mode::Killable, None, goes_on);
    stands_no_more(task);
}

/// The running task does nothing from now on.
pub(in crate::process) fn stand_still(task: &Arc<Task>) {
    set_still(task, true);
}

/// It goes on.
pub(in crate::process) fn stands_no_more(task: &Arc<Task>) {
    set_still(task, false);
}

fn set_still(task: &Arc<Task>, still: bool) {
    let group = task.process().group.lock();
    if task.stands_still.swap(still, Ordering::Relaxed) == still {
        return;
    }
    let Some(own) = group.cgroup.clone() else {
        return;
    };
    {
        let _tree = TREE.lock();
        for group in own.line() {
            if still {
                group.still.fetch_add(1, Ordering::Relaxed);
            } else {
                group.still.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
    drop(group);
    announce(&own);
}
