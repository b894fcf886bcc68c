//! The texts of `/proc/PID`'s files (proc(5)). What is told of a task altogether, `stat`, `statm` and `status`, is in
//! [`status`](super::status).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use kiln_core::sort;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use super::sched;
use super::status::{stat, statm, status};
use crate::fs::procfs::{PidFile, Text};
use crate::process::{Task, current, oom, table, usage};
use crate::vm::AddressSpace;

/// Writes the text of a task's file.
pub(super) fn text(task: &Task, file: PidFile, out: &mut Text) -> Result<(), Errno> {
    match file {
        PidFile::Auxv => auxv(task, out),
        PidFile::Cmdline => cmdline(task, out),
        PidFile::Children => children(task, out),
        PidFile::Comm => {
            out.bytes(&name(task))?;
            out.bytes(b"\n")
        }
        PidFile::CoredumpFilter => {
            let filter = task.process().core_filter.load(Ordering::Relaxed);
            put!(out, "{filter:08x}\n")
        }
        PidFile::Environ => environ(task, out),
        PidFile::Io => io(task, out),
        PidFile::Limits => limits(task, out),
        PidFile::Maps => of_space(task, AddressSpace::maps, out),
        PidFile::OomScoreAdj => put!(out, "{}\n", oom_adjustment(task)),
        PidFile::OomAdj => put!(out, "{}\n", oom_adjustment(task) * 17 / 1000),
        PidFile::OomScore => put!(out, "{}\n", oom::score(task.process())),
        PidFile::Smaps => of_space(task, AddressSpace::smaps, out),
        PidFile::SmapsRollup => of_space(task, AddressSpace::smaps_rollup, out),
        PidFile::NumaMaps => of_space(task, AddressSpace::numa_maps, out),
        PidFile::Wchan => out.bytes(b"0"),
        PidFile::Personality => put!(out, "{:08x}\n", task.personality.load(Ordering::Relaxed)),
        PidFile::Sched => sched::of_task(task, out),
        PidFile::SchedStat => sched::turns(task, out),
        PidFile::NoLogin => out.bytes(b"4294967295"),
        PidFile::Stat => stat(task, out),
        PidFile::Statm => statm(task, out),
        PidFile::Status => status(task, out),
        PidFile::TimerSlack => {
            may_pace(task)?;
            put!(out, "{}\n", task.timer_slack())
        }
        PidFile::Syscall => out.bytes(b"running\n"),
        _ => Err(Errno::ENOENT),
    }
}

/// Whether the running task may look at another's timer slack, and set it: it may its own.
pub(super) fn may_pace(task: &Task) -> Result<(), Errno> {
    let current = current().ok_or(Errno::EPERM)?;
    let may = core::ptr::eq(&raw const *current, task) || current.creds().has(abi::CAP_SYS_NICE);
    may.then_some(()).ok_or(Errno::EPERM)
}

/// The children of a process, which its first thread tells.
fn children(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let pid = task.pid();
    if task.tid() != pid {
        return Ok(());
    }
    let mut pids = table::pids()?;
    sort::by_key(&mut pids, |pid| *pid);
    for child in pids {
        let standing = table::standing(child);
        if standing.is_some_and(|standing| standing.parent == pid) && child != pid {
            put!(out, "{child} ")?;
        }
    }
    Ok(())
}

/// The name without its padding.
pub(super) fn name(task: &Task) -> Vec<u8> {
    task.comm()
        .into_iter()
        .take_while(|byte| *byte != 0)
        .collect()
}

pub(super) fn space(task: &Task) -> Option<Arc<AddressSpace>> {
    task.space().ok()
}

/// What lies in `range` of the program's memory.
fn memory(task: &Task, range: (u64, u64), out: &mut Text) -> Result<(), Errno> {
    let Some(space) = space(task) else {
        return Ok(());
    };
    let mut at = range.0;
    while at < range.1 {
        let mut bytes = [0; 512];
        let len = usize_of(range.1 - at).min(bytes.len());
        let part = bytes.get_mut(..len).unwrap_or_default();
        let count = space.peek(part, UserAddr::new(at));
        out.bytes(part.get(..count).unwrap_or_default())?;
        if count < len {
            break;
        }
        at += u64_of(count);
    }
    Ok(())
}

fn cmdline(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let range = space(task).map_or((0, 0), |space| space.info().args);
    memory(task, range, out)
}

fn environ(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let range = space(task).map_or((0, 0), |space| space.info().env);
    memory(task, range, out)
}

fn auxv(task: &Task, out: &mut Text) -> Result<(), Errno> {
    match space(task) {
        Some(space) => out.bytes(&space.info().auxv),
        None => Ok(()),
    }
}

/// What a process has moved, with its children that it has waited for; of another thread than its first, what that
/// has. What goes to disks and comes from there past the page cache isn't counted.
fn io(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let process = task.process();
    let mut usage = usage::of_task(task);
    if task.tid() == process.pid() {
        usage = usage::of_process(process);
        usage.add(&process.children_usage());
    }
    const NAMES: [&str; 6] = [
        "rchar",
        "wchar",
        "syscr",
        "syscw",
        "read_bytes",
        "write_bytes",
    ];
    for (name, count) in NAMES.iter().zip(usage.moved) {
        put!(out, "{name}: {count}\n")?;
    }
    out.bytes(b"cancelled_write_bytes: 0\n")
}

/// A text that the space itself writes.
fn of_space(
    task: &Task,
    write: fn(&AddressSpace) -> Result<Vec<u8>, Errno>,
    out: &mut Text,
) -> Result<(), Errno> {
    match space(task) {
        Some(space) => out.bytes(&write(&space)?),
        None => Ok(()),
    }
}

/// Name, unit and resource number of each line of `limits` (fs/proc/base.c's order).
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

fn limits(task: &Task, out: &mut Text) -> Result<(), Errno> {
    put!(
        out,
        "{:<25} {:<20} {:<20} {:<10}\n",
        "Limit",
        "Soft Limit",
        "Hard Limit",
        "Units"
    )?;
    let limits = task.process().limits();
    for (resource, (name, unit)) in (0u32..).zip(LIMITS) {
        let Some(limit) = limits.get(resource) else {
            break;
        };
        put!(out, "{name:<25} ")?;
        for value in [limit.soft, limit.hard] {
            match value {
                u64::MAX => put!(out, "{:<20} ", "unlimited")?,
                value => put!(out, "{value:<20} ")?,
            }
        }
        put!(out, "{unit:<10}\n")?;
    }
    Ok(())
}

fn oom_adjustment(task: &Task) -> i64 {
    i64::from(task.process().oom_adjustment.load(Ordering::Relaxed)) - 1000
}
