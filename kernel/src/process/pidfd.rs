//! Process descriptors (pidfd_open(2)): an open file that stands for a process, whatever becomes of
//! its number. It becomes readable when the process has ended.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::num::usize_of;

use super::{Process, Task, table};
use crate::fs::anon::event_file;
use crate::fs::file::{Events, File, FileOps, Watch};
use crate::fs::memory::try_arc;
use crate::fs::procfs;

/// What a process descriptor's file does.
struct PidFd {
    process: Arc<Process>,
}

impl FileOps for PidFd {
    fn is_stream(&self) -> bool {
        true
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch
            && let Ok(queue) = self.process.watched_end()
        {
            watch.add(queue);
        }
        match self.process.ended() {
            Some(_) => Events::READABLE,
            None => Events::empty(),
        }
    }

    fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        let number = match number(&self.process) {
            Some(pid) => i64::from(pid),
            None => -1,
        };
        write!(out, "Pid:\t{number}\nNSpid:\t{number}\n")
    }
}

/// The process's number while it has one: until its parent has waited for it.
fn number(process: &Arc<Process>) -> Option<u32> {
    let pid = process.pid();
    let there = table::process_of(pid)?;
    Arc::ptr_eq(&there, process).then_some(pid)
}

/// A file that stands for the process; `flags` may hold `O_NONBLOCK`.
pub(crate) fn open(process: Arc<Process>, flags: u32) -> Result<Arc<File>, Errno> {
    event_file(b"[pidfd]", try_arc(PidFd { process })?, flags)
}

/// Puts a descriptor for the process into the task's table; it is closed on exec.
pub(crate) fn install(task: &Task, process: &Arc<Process>, flags: u32) -> Result<i32, Errno> {
    let file = open(Arc::clone(process), flags)?;
    let limit = usize_of(task.process().limit(abi::RLIMIT_NOFILE));
    task.files()?.install(file, true, limit)
}

/// The process that a descriptor stands for, and the flags of its file.
///
/// # Errors
/// `EBADF`, also for another kind of file.
pub(crate) fn process_of(task: &Task, fd: i32) -> Result<(Arc<Process>, u32), Errno> {
    let file = task.files()?.get(fd)?;
    let pidfd: &PidFd = file.ops_as().ok_or(Errno::EBADF)?;
    let process = Arc::clone(&pidfd.process);
    Ok((process, file.flags()))
}

/// As [`process_of`], for pidfd_send_signal(2), which takes a process's directory in `/proc` as well.
///
/// # Errors
/// `EBADF`, `ESRCH`.
pub(crate) fn signalled(task: &Task, fd: i32) -> Result<Arc<Process>, Errno> {
    let file = task.files()?.get(fd)?;
    match file
        .path
        .inode()
        .ok()
        .and_then(|inode| procfs::process_of(inode))
    {
        Some(pid) => table::process_of(pid).ok_or(Errno::ESRCH),
        None => process_of(task, fd).map(|(process, _)| process),
    }
}

/// As [`process_of`], for calls that need the process not to have been waited for.
///
/// # Errors
/// `EBADF`, `ESRCH`.
pub(crate) fn living(task: &Task, fd: i32) -> Result<Arc<Process>, Errno> {
    let (process, _) = process_of(task, fd)?;
    must_live(&process).map(|()| process)
}

/// Refuses a process that has been waited for.
///
/// # Errors
/// `ESRCH`.
pub(crate) fn must_live(process: &Arc<Process>) -> Result<(), Errno> {
    number(process).map(drop).ok_or(Errno::ESRCH)
}
