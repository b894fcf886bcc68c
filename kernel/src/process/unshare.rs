//! What a task no longer shares with others: unshare(2), and what exec and close_range(2) want of it.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::errno::Errno;

use super::table;
use super::task::{Shared, Task};
use crate::fs::{FdTable, FsContext};

/// The task's descriptors, of which it has a copy of its own from now on if others shared them.
///
/// # Errors
/// `ENOMEM`; `ESRCH` once the task has ended.
pub(crate) fn own_files(task: &Task) -> Result<Arc<FdTable>, Errno> {
    let files = task.files()?;
    // One count is the task's, one its thread's (every caller serves a system call), and one ours.
    if Arc::strong_count(&files) <= 3 {
        return Ok(files);
    }
    let own = files.fork()?;
    drop(files);
    share(task, |shared| shared.files = Some(Arc::clone(&own)));
    Ok(own)
}

/// Whether another process has the same root, working directory and umask as the task: `fs`.
pub(super) fn shares_directories(task: &Task, fs: &Arc<FsContext>) -> bool {
    let has = |other: &Arc<Task>| other.fs().is_ok_and(|theirs| Arc::ptr_eq(&theirs, fs));
    let others = table::select(|pid, _| pid != task.pid());
    // When there is no memory to look, there may be one.
    others.map_or(true, |all| {
        all.iter()
            .any(|other| other.first_task().as_ref().is_some_and(has))
    })
}

/// Changes what the task shares; what goes is dropped without the lock.
fn share(task: &Task, change: impl FnOnce(&mut Shared)) {
    let old = task.replace_shared(|shared| {
        let old = shared.clone();
        change(shared);
        old
    });
    drop(old);
}

/// unshare(2): gives the task files or directories of its own.
///
/// # Errors
/// `EINVAL` for namespaces, and for memory or signals shared with other threads.
pub(crate) fn unshare(task: &Arc<Task>, flags: u64) -> Result<(), Errno> {
    let threads = u64::from(abi::CLONE_THREAD | abi::CLONE_SIGHAND | abi::CLONE_VM);
    let own = u64::from(abi::CLONE_FS | abi::CLONE_FILES | abi::CLONE_SYSVSEM);
    if flags & !(threads | own) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & threads != 0 && task.process().thread_count() > 1 {
        return Err(Errno::EINVAL);
    }
    // Whatever may fail comes first.
    let fs = if flags & u64::from(abi::CLONE_FS) != 0 {
        Some(task.fs()?.fork()?)
    } else {
        None
    };
    if flags & u64::from(abi::CLONE_FILES) != 0 {
        own_files(task)?;
    }
    if let Some(fs) = fs {
        share(task, |shared| shared.fs = Some(fs));
    }
    Ok(())
}
