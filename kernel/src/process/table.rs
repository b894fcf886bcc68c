//! All processes and threads by number: the kernel's [`ProcessTree`] under its lock.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::errno::Errno;
use kiln_core::proctree::{ProcessTree, Standing};

use super::group::Process;
use super::task::Task;
use crate::sync::{Once, SpinLock};

pub(super) type Tree = ProcessTree<Arc<Process>, Arc<Task>>;

static TREE: Once<SpinLock<Tree>> = Once::new();

/// The tree. Nothing may sleep, copy from a program or drop files while it is locked.
pub(super) fn tree() -> &'static SpinLock<Tree> {
    TREE.call_once(|| SpinLock::new(Tree::new()))
}

/// The thread with this number.
pub(crate) fn task(tid: u32) -> Option<Arc<Task>> {
    tree().lock().thread(tid)
}

/// The process that this number, a process's or one of its threads', belongs to.
pub(crate) fn process_of(number: u32) -> Option<Arc<Process>> {
    let tree = tree().lock();
    let by_pid = tree.process(number);
    by_pid.or_else(|| tree.thread(number).map(|task| Arc::clone(task.process())))
}

/// The task that a call with a process or thread number means: 0 is the caller.
pub(crate) fn task_or(caller: &Arc<Task>, tid: i32) -> Result<Arc<Task>, Errno> {
    if tid == 0 {
        return Ok(Arc::clone(caller));
    }
    let tid = u32::try_from(tid).map_err(|_| Errno::ESRCH)?;
    task(tid).ok_or(Errno::ESRCH)
}

/// Every process number, ascending.
pub(crate) fn pids() -> Result<Vec<u32>, Errno> {
    tree().lock().pids()
}

/// Where a process stands: parent, group, session.
pub(crate) fn standing(pid: u32) -> Option<Standing> {
    tree().lock().standing(pid)
}

/// Numbers are below this, and become so for those who are made from now on.
pub(crate) fn max_number() -> u32 {
    tree().lock().max()
}

/// Sets that.
pub(crate) fn set_max_number(max: u32) {
    tree().lock().set_max(max);
}

/// How many threads there are, and the number given out last.
pub(crate) fn counts() -> (usize, u32) {
    let tree = tree().lock();
    (tree.thread_count(), tree.last_number())
}

/// Whether a process group is orphaned: stopping it would leave nobody to continue it.
pub(crate) fn group_is_orphaned(group: u32) -> bool {
    tree().lock().is_orphaned(group, None)
}

/// The session of a process group, or else of the process, of that number.
pub(crate) fn session_of_group(number: u32) -> Option<u32> {
    let tree = tree().lock();
    let member = tree.group_members(number).next().map(|(pid, _)| pid);
    let standing = tree.standing(member.unwrap_or(number));
    standing.map(|standing| standing.session)
}

/// The processes of a session.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn session_members(session: u32) -> Result<Vec<Arc<Process>>, Errno> {
    let tree = tree().lock();
    let mut found = Vec::new();
    for (pid, process) in tree.processes() {
        if tree
            .standing(pid)
            .is_some_and(|standing| standing.session == session)
        {
            found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            found.push(Arc::clone(process));
        }
    }
    Ok(found)
}

/// setpgid(2) by the process `caller`.
///
/// # Errors
/// As the man page says.
pub(crate) fn set_group(caller: u32, pid: i32, group: i32) -> Result<(), Errno> {
    tree().lock().set_group(caller, pid, group)
}

/// setsid(2).
///
/// # Errors
/// `EPERM`.
pub(crate) fn start_session(pid: u32) -> Result<(), Errno> {
    tree().lock().start_session(pid)
}

/// The processes that satisfy `wanted`, in no order.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn select(
    mut wanted: impl FnMut(u32, &Arc<Process>) -> bool,
) -> Result<Vec<Arc<Process>>, Errno> {
    let tree = tree().lock();
    let mut found = Vec::new();
    for (pid, process) in tree.processes() {
        if wanted(pid, process) {
            found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            found.push(Arc::clone(process));
        }
    }
    Ok(found)
}

/// The process with the most points; those with `None` don't count. Needs no memory.
pub(crate) fn highest(points: impl Fn(&Arc<Process>) -> Option<u64>) -> Option<Arc<Process>> {
    let tree = tree().lock();
    tree.processes()
        .filter_map(|(_, process)| points(process).map(|points| (points, process)))
        .max_by_key(|(points, _)| *points)
        .map(|(_, process)| Arc::clone(process))
}

/// The members of a process group.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn members(group: u32) -> Result<Vec<Arc<Process>>, Errno> {
    let tree = tree().lock();
    let mut found = Vec::new();
    for (_, process) in tree.group_members(group) {
        found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        found.push(Arc::clone(process));
    }
    Ok(found)
}
