//! Limits, usage, and nice values. (Policies: [`sched`](super::sched).)

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::low32;
use kiln_core::rlimit::Rlimit;

use super::{Call, SysResult};
use crate::process::exec::memory_limits;
use crate::process::{Process, Task, table, timers, usage};

fn read_limit(call: &Call<'_>, at: UserAddr) -> Result<Rlimit, Errno> {
    let [soft, hard]: [u64; 2] = call.space.read_val(at)?;
    Ok(Rlimit { soft, hard })
}

fn write_limit(call: &Call<'_>, at: UserAddr, limit: Rlimit) -> Result<(), Errno> {
    call.space.write_val(at, &[limit.soft, limit.hard])
}

/// Sets a limit of a task's process, and tells those who keep it.
fn set_limit(call: &Call<'_>, target: &Arc<Task>, resource: u32, new: Rlimit) -> Result<(), Errno> {
    let process = target.process();
    let privileged = call.creds.has(abi::CAP_SYS_RESOURCE);
    process.with_limits(|limits| limits.set(resource, new, privileged))?;
    match resource {
        abi::RLIMIT_STACK | abi::RLIMIT_AS | abi::RLIMIT_DATA | abi::RLIMIT_MEMLOCK => {
            if let Ok(space) = target.space() {
                space.set_limits(memory_limits(&process.limits(), &target.creds()));
            }
        }
        abi::RLIMIT_CPU => timers::watch_cpu_limit(process)?,
        abi::RLIMIT_RTTIME => timers::watch_real_time_limit(process)?,
        abi::RLIMIT_FSIZE => crate::fs::limits::begin_limiting(),
        _ => {}
    }
    Ok(())
}

pub(super) fn getrlimit(call: &mut Call<'_>, resource: u32, at: UserAddr) -> SysResult {
    let limit = call
        .task
        .process()
        .limits()
        .get(resource)
        .ok_or(Errno::EINVAL)?;
    write_limit(call, at, limit)?;
    Ok(0)
}

pub(super) fn setrlimit(call: &mut Call<'_>, resource: u32, at: UserAddr) -> SysResult {
    let new = read_limit(call, at)?;
    set_limit(call, call.task, resource, new)?;
    Ok(0)
}

pub(super) fn prlimit64(
    call: &mut Call<'_>,
    pid: i32,
    resource: u32,
    new: UserAddr,
    old: UserAddr,
) -> SysResult {
    let new = if new.is_null() {
        None
    } else {
        Some(read_limit(call, new)?)
    };
    let target = table::task_or(call.task, pid)?;
    if !may_limit(call.task, &target) {
        return Err(Errno::EPERM);
    }
    let before = target
        .process()
        .limits()
        .get(resource)
        .ok_or(Errno::EINVAL)?;
    if let Some(new) = new {
        set_limit(call, &target, resource, new)?;
    }
    if !old.is_null() {
        write_limit(call, old, before)?;
    }
    Ok(0)
}

/// Whether a task may look at and set another's limits: the same user and group in every respect.
fn may_limit(task: &Arc<Task>, target: &Arc<Task>) -> bool {
    if Arc::ptr_eq(task.process(), target.process()) {
        return true;
    }
    let (own, other) = (task.creds(), target.creds());
    let (uids, gids) = (&other.uids, &other.gids);
    let same = [uids.real, uids.effective, uids.saved]
        .iter()
        .all(|id| *id == own.uids.real)
        && [gids.real, gids.effective, gids.saved]
            .iter()
            .all(|id| *id == own.gids.real);
    same || own.has(abi::CAP_SYS_RESOURCE)
}

/// `RUSAGE_SELF`, `RUSAGE_CHILDREN`, `RUSAGE_THREAD` (linux/resource.h).
const RUSAGE: [i32; 3] = [0, -1, 1];

pub(super) fn getrusage(call: &mut Call<'_>, who: i32, at: UserAddr) -> SysResult {
    let [own, children, thread] = RUSAGE;
    let process = call.task.process();
    let usage = if who == own {
        usage::of_process(process)
    } else if who == children {
        process.children_usage()
    } else if who == thread {
        let mut usage = usage::of_task(call.task);
        usage.max_resident_kib = usage::of_process(process).max_resident_kib;
        usage
    } else {
        return Err(Errno::EINVAL);
    };
    call.space.copy_out(at, &usage.encode())?;
    Ok(0)
}

/// The tasks that getpriority and setpriority mean.
pub(super) fn targets(call: &Call<'_>, which: u32, who: i32) -> Result<Vec<Arc<Task>>, Errno> {
    let mut tasks = Vec::new();
    let processes: Vec<Arc<Process>> = match which {
        abi::PRIO_PROCESS => {
            tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            tasks.push(table::task_or(call.task, who)?);
            return Ok(tasks);
        }
        abi::PRIO_PGRP => {
            let group = match u32::try_from(who).map_err(|_| Errno::ESRCH)? {
                0 => table::standing(call.task.pid()).ok_or(Errno::ESRCH)?.group,
                group => group,
            };
            table::members(group)?
        }
        abi::PRIO_USER => {
            let uid = if who == 0 {
                call.creds.uids.real
            } else {
                who.cast_unsigned()
            };
            let of_user = |process: &Arc<Process>| {
                process
                    .first_task()
                    .is_some_and(|task| task.creds().uids.real == uid)
            };
            table::select(|_, process| of_user(process))?
        }
        _ => return Err(Errno::EINVAL),
    };
    for process in processes {
        let threads = process.tasks()?;
        tasks
            .try_reserve(threads.len())
            .map_err(|_| Errno::ENOMEM)?;
        tasks.extend(threads);
    }
    if tasks.is_empty() {
        Err(Errno::ESRCH)
    } else {
        Ok(tasks)
    }
}

pub(super) fn nice(task: &Task) -> i8 {
    task.thread().map_or(0, |thread| thread.nice())
}

pub(super) fn getpriority(call: &mut Call<'_>, which: u32, who: i32) -> SysResult {
    let tasks = targets(call, which, who)?;
    let least = tasks.iter().map(|task| nice(task)).min().unwrap_or(0);
    // Told as 40..=1, so that no nice value looks like an error.
    Ok(u64::from((20 - i32::from(least)).unsigned_abs()))
}

pub(super) fn setpriority(call: &mut Call<'_>, which: u32, who: i32, value: i32) -> SysResult {
    let value = i8::try_from(value.clamp(-20, 19)).unwrap_or(19);
    let own = call.creds;
    let mut result = Ok(0);
    for task in targets(call, which, who)? {
        let theirs = task.creds().uids;
        let euid = own.uids.effective;
        if euid != theirs.real && euid != theirs.effective && !own.has(abi::CAP_SYS_NICE) {
            result = Err(Errno::EPERM);
            continue;
        }
        if value < nice(&task) && !may_raise(call, value) {
            result = Err(Errno::EACCES);
            continue;
        }
        if let Some(thread) = task.thread() {
            thread.set_nice(value);
        }
    }
    result
}

/// Whether the caller may take this nice value, by `RLIMIT_NICE` or its capability.
pub(super) fn may_raise(call: &Call<'_>, value: i8) -> bool {
    let allowed = call.task.process().limit(abi::RLIMIT_NICE);
    let needed = u64::from((20 - i32::from(value)).unsigned_abs());
    needed <= allowed || call.creds.has(abi::CAP_SYS_NICE)
}

pub(super) fn personality(call: &mut Call<'_>, new: u64) -> SysResult {
    let new = low32(new);
    let old = if new == u32::MAX {
        call.task.personality().load(Ordering::Relaxed)
    } else {
        call.task.personality().swap(new, Ordering::Relaxed)
    };
    Ok(old.into())
}
