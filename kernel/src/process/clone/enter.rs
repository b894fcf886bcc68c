//! A new task's place: its number, its parent, the process it is a thread of, its control group.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::errno::Errno;

use super::CloneArgs;
use crate::process::cgroup::{self, Cgroup};
use crate::process::group::Stop;
use crate::process::task::Task;
use crate::process::{seccomp, table};
use crate::sched::NOTIFY_SIGNAL;

/// `CLONE_INTO_CGROUP`: where the child is to be. A thread can't be elsewhere than its process.
pub(super) fn into_cgroup(
    parent: &Arc<Task>,
    args: &CloneArgs,
) -> Result<Option<Arc<Cgroup>>, Errno> {
    if args.flags & abi::CLONE_INTO_CGROUP == 0 {
        return Ok(None);
    }
    let into = cgroup::destination(parent, args.cgroup)?;
    if args.has(abi::CLONE_THREAD) {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(Some(into))
}

/// Gives the child its number and its place among its relatives. Answers the number, and the control group that has one
/// more, which is to be announced.
pub(super) fn enter(
    parent: &Arc<Task>,
    child: &Arc<Task>,
    args: &CloneArgs,
    into: Option<Arc<Cgroup>>,
) -> Result<(u32, Option<Arc<Cgroup>>), Errno> {
    let is_thread = args.has(abi::CLONE_THREAD);
    let process = child.process();
    let mut tree = table::tree().lock();
    let wanted = (args.set_tid != 0).then_some(args.set_tid);
    tree.add_thread(wanted, |tid| {
        child.set_tid(tid);
        if !is_thread {
            process.set_pid(tid);
        }
        Ok(Arc::clone(child))
    })?;
    let tid = child.tid();
    let entered = if is_thread {
        join_group(parent, child, None)
    } else {
        let above = if args.has(abi::CLONE_PARENT) {
            tree.standing(parent.pid()).map_or(1, |at| at.parent)
        } else {
            parent.pid()
        };
        process.set_parent(above);
        tree.add_process(tid, above, Arc::clone(process))
            .and_then(|()| {
                let joined = join_group(parent, child, into);
                if joined.is_err() {
                    tree.remove_process(tid);
                }
                joined
            })
    };
    if entered.is_err() {
        tree.remove_thread(tid);
    }
    entered.map(|joined| (tid, joined))
}

/// `into`: the control group of a new process that isn't to be in its parent's.
fn join_group(
    parent: &Task,
    child: &Arc<Task>,
    into: Option<Arc<Cgroup>>,
) -> Result<Option<Arc<Cgroup>>, Errno> {
    let (is_ending, cgroup) = {
        let group = parent.process().group.lock();
        // A process that was killed has no more children: whoever kills a whole group finds all of them.
        (group.exit.is_some(), group.cgroup.clone())
    };
    let process = child.process();
    let mut group = process.group.lock();
    if group.tasks.is_empty() {
        group.cgroup = into.or(cgroup);
    }
    group.tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    if is_ending
        || group.exit.is_some()
        || parent.must_exit.load(core::sync::atomic::Ordering::Relaxed)
    {
        // The process is ending: the caller never sees this answer.
        return Err(Errno::ERESTARTNOINTR);
    }
    let joined = cgroup::enter(&group)?;
    // With the group locked: whoever binds all threads meanwhile finds the child, or its parent bound.
    seccomp::inherit(parent, child);
    group.tasks.push(Arc::clone(child));
    if (group.stop != Stop::Running || cgroup::is_to_freeze(&group))
        && let Some(thread) = child.thread()
    {
        thread.notify(NOTIFY_SIGNAL);
    }
    Ok(joined)
}
