//! Waiting for signals: sigtimedwait(2), sigsuspend(2) and pause(2).

use alloc::sync::Arc;

use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, SigSet};

use crate::process::task::Task;
use crate::process::timers;
use crate::sched::{Deadline, Mode, WaitQueue, Wake};

/// Takes a pending signal of the set, sleeping for one until the deadline.
///
/// # Errors
/// `EAGAIN` when none came, `EINTR` when another signal did.
pub(crate) fn take_one(
    task: &Arc<Task>,
    set: SigSet,
    deadline: Deadline,
) -> Result<SigInfo, Errno> {
    let set = set.minus(SigSet::UNBLOCKABLE);
    let take = || {
        let mut group = task.process().group.lock();
        let mut signals = task.signals.lock();
        let outside = SigSet::FULL.minus(set);
        let taken = signals.pending.take(outside);
        taken.or_else(|| group.pending.take(outside))
    };
    task.signals.lock().awaited = set;
    let result = sleep_for(deadline, take);
    task.signals.lock().awaited = SigSet::EMPTY;
    result.map(|info| timers::dequeued(task.process(), info))
}

fn sleep_for(
    deadline: Deadline,
    mut take: impl FnMut() -> Option<SigInfo>,
) -> Result<SigInfo, Errno> {
    let queue = WaitQueue::new();
    match queue.wait(Mode::Interruptible, deadline, &mut take) {
        Ok(info) => Ok(info),
        Err(Wake::Timeout) => take().ok_or(Errno::EAGAIN),
        Err(Wake::Signal) => take().ok_or(Errno::EINTR),
    }
}

/// Sleeps until a signal is delivered, with another mask if one is given.
///
/// Answers the error to return, which becomes `EINTR` when a handler ran.
pub(crate) fn until_signal(task: &Arc<Task>, mask: Option<SigSet>) -> Errno {
    if let Some(mask) = mask {
        super::swap_mask_for_call(task, mask);
    }
    let queue = WaitQueue::new();
    let _ = queue.wait(Mode::Interruptible, None, || None::<()>);
    Errno::ERESTARTNOHAND
}
