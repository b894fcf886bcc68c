//! What the process room tells `/proc` ([`Processes`]): who there is, each file's text ([`task`], [`status`]),
//! and the system's files that are about processors and processes ([`system`], [`sched`]).

/// Appends formatted text to a [`Text`].
macro_rules! put {
    ($out:expr, $($format:tt)*) => { $out.put(format_args!($($format)*)) };
}

mod config;
mod sched;
mod status;
mod system;
mod task;

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi::{CAP_SYS_ADMIN, CAP_SYS_PTRACE};
use kiln_core::cred::Ids;
use kiln_core::errno::Errno;
use kiln_core::num::{low32, u64_of};

use super::ipc::{self, mqueue};
use super::{Process, Task, cgroup, current, events, file_limit, table};
use crate::fs::procfs::{self, PidFile, PidLink, Processes, SystemFile, Text};
use crate::fs::{FdTable, FsContext, Path, limits, superblock};
use crate::net;
use crate::vm::AddressSpace;

/// What this room and that of sockets tell `/proc` of the system.
static FILES: [&[SystemFile]; 6] = [
    system::FILES,
    sched::FILES,
    ipc::FILES,
    mqueue::FILES,
    net::FILES,
    cgroup::SYSTEM_FILES,
];

/// Makes processes appear in `/proc`, and their limits known where files are written.
pub(crate) fn register() {
    procfs::set_processes(&Table);
    limits::set_hooks(file_limit::room, file_limit::keeps_set_id);
    procfs::register(&FILES);
    superblock::register(&[mqueue::tree::TYPE, cgroup::TYPE]);
}

/// Nanoseconds of a clock tick as `/proc` counts (`USER_HZ` is 100).
const NS_PER_TICK: u64 = 10_000_000;

struct Table;

fn set_name(task: &Task, name: &[u8]) {
    if let Some(thread) = task.thread() {
        thread.set_name(name);
        events::renamed(task);
    }
}

fn process(pid: u32) -> Result<Arc<Process>, Errno> {
    table::process_of(pid).ok_or(Errno::ESRCH)
}

/// The thread a file is about; the first of the process where they don't differ.
fn task_of(pid: u32, tid: u32) -> Result<Arc<Task>, Errno> {
    match table::task(tid) {
        // The directory of a thread's number is about the thread.
        Some(task) if task.pid() == pid || pid == tid => Ok(task),
        _ => process(pid)?.first_task().ok_or(Errno::ESRCH),
    }
}

impl Processes for Table {
    fn current(&self) -> (u32, u32) {
        current().map_or((0, 0), |task| (task.pid(), task.tid()))
    }

    fn next_process(&self, from: u32) -> Option<u32> {
        table::pids()
            .ok()?
            .into_iter()
            .filter(|pid| *pid >= from)
            .min()
    }

    fn next_thread(&self, pid: u32, from: u32) -> Option<u32> {
        let tasks = process(pid).ok()?.tasks().ok()?;
        let tids = tasks.iter().map(|task| task.tid());
        // The first one's number lasts as long as the process.
        let tids = tids.chain(core::iter::once(pid));
        tids.filter(|tid| *tid >= from).min()
    }

    fn threads(&self, pid: u32) -> u32 {
        process(pid).map_or(0, |process| low32(u64_of(process.thread_count())))
    }

    fn owner(&self, pid: u32) -> Result<(u32, u32), Errno> {
        let Some(task) = process(pid)?.first_task() else {
            return Ok((0, 0));
        };
        let creds = task.creds();
        Ok((creds.uids.effective, creds.gids.effective))
    }

    fn is_dumpable(&self, pid: u32) -> bool {
        process(pid).is_ok_and(|process| process.is_dumpable())
    }

    fn text(&self, pid: u32, tid: u32, file: PidFile, out: &mut Text) -> Result<(), Errno> {
        if matches!(file, PidFile::Cgroup) {
            return cgroup::tell(&*process(pid)?, out);
        }
        match task_of(pid, tid) {
            Ok(task) => task::text(&task, file, out),
            Err(_) => status::zombie(&*process(pid)?, file, out),
        }
    }

    fn set(&self, pid: u32, tid: u32, file: PidFile, value: &[u8]) -> Result<(), Errno> {
        let task = task_of(pid, tid)?;
        match file {
            PidFile::Comm => {
                let own = current().is_some_and(|own| own.pid() == task.pid());
                own.then_some(()).ok_or(Errno::EINVAL)?;
                set_name(&task, system::first_line(value));
                Ok(())
            }
            PidFile::CoredumpFilter => {
                let filter = procfs::number(value)?;
                task.process()
                    .core_filter
                    .store(low32(filter), Ordering::Relaxed);
                Ok(())
            }
            // Once told, ids aren't told otherwise.
            PidFile::IdMap | PidFile::SetGroups => Err(Errno::EPERM),
            PidFile::OomScoreAdj => {
                let text = core::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
                let value: i64 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
                if !(-1000..=1000).contains(&value) {
                    return Err(Errno::EINVAL);
                }
                let biased = u32::try_from(value + 1000).map_err(|_| Errno::EINVAL)?;
                task.process()
                    .oom_adjustment
                    .store(biased, Ordering::Relaxed);
                Ok(())
            }
            PidFile::TimerSlack => {
                task::may_pace(&task)?;
                task.set_timer_slack(procfs::number(value)?);
                Ok(())
            }
            PidFile::ClearRefs => {
                let space = task.space()?;
                match value.trim_ascii() {
                    b"1" => space.clear_references(None),
                    b"2" => space.clear_references(Some(false)),
                    b"3" => space.clear_references(Some(true)),
                    // Nothing is kept of what is written ("soft-dirty").
                    b"4" => {}
                    b"5" => space.forget_most_resident(),
                    _ => return Err(Errno::EINVAL),
                }
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn link(&self, pid: u32, tid: u32, link: PidLink) -> Result<Path, Errno> {
        let task = task_of(pid, tid)?;
        match link {
            PidLink::Cwd => Ok(task.fs()?.cwd()),
            PidLink::Root => Ok(task.fs()?.root()),
            PidLink::Exe => {
                let exe = task.process().exe().ok_or(Errno::ENOENT)?;
                Ok(exe.path().clone())
            }
        }
    }

    fn memory(&self, pid: u32, tid: u32) -> Result<Arc<AddressSpace>, Errno> {
        task_of(pid, tid)?.space()
    }

    fn files(&self, pid: u32, tid: u32) -> Result<Arc<FdTable>, Errno> {
        task_of(pid, tid)?.files()
    }

    fn context(&self, pid: u32, tid: u32) -> Result<Arc<FsContext>, Errno> {
        task_of(pid, tid)?.fs()
    }

    fn may_inspect(&self, pid: u32) -> bool {
        let (Some(caller), Ok(process)) = (current(), process(pid)) else {
            return false;
        };
        let Some(task) = process.first_task() else {
            return true;
        };
        may_inspect(&caller, &task)
    }

    fn may_see_frames(&self) -> bool {
        current().is_some_and(|caller| caller.creds().has(CAP_SYS_ADMIN))
    }
}

/// Whether the caller may look into the other task (ptrace(2), "Ptrace access mode checking").
pub(crate) fn may_inspect(caller: &Task, other: &Task) -> bool {
    if Arc::ptr_eq(caller.process(), other.process()) {
        return true;
    }
    let is_dumpable = other.process().is_dumpable();
    let (own, other) = (caller.creds(), other.creds());
    let all = |ids: Ids, id| [ids.real, ids.effective, ids.saved] == [id; 3];
    let same = all(other.uids, own.uids.fs) && all(other.gids, own.gids.fs);
    own.has(CAP_SYS_PTRACE) || same && is_dumpable
}
