//! Processes: ending and waiting for them; their numbers, groups and sessions. [`clone`](super::clone) makes them,
//! [`exec`](super::exec) gives them another program.

use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::wait_status::WaitStatus;

use super::{Call, SysResult};
use crate::mm::paging::shootdown;
use crate::process::unshare;
use crate::process::wait::{self, Event, WAIT4_OPTIONS, WAITID_OPTIONS, Which};
use crate::process::{events, exit, futex, pidfd, rseq as rseqs, table};

pub(super) fn exit(call: &mut Call<'_>, code: i32) -> SysResult {
    exit::end_thread(call.task, code);
    Ok(0)
}

pub(super) fn exit_group(call: &mut Call<'_>, code: i32) -> SysResult {
    exit::end_process(call.task, code);
    Ok(0)
}

pub(super) fn wait4(
    call: &mut Call<'_>,
    pid: i32,
    status: UserAddr,
    options: u32,
    usage: UserAddr,
) -> SysResult {
    if options & !WAIT4_OPTIONS != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match pid {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Which::Any,
        0 => Which::Group(own_group(call)?),
        1.. => Which::Process(pid.unsigned_abs()),
        _ => Which::Group(pid.unsigned_abs()),
    };
    let Some(event) = wait::wait(call.task, which, options | abi::WEXITED)? else {
        return Ok(0);
    };
    let space = call.space;
    if !status.is_null() {
        space.write_val(status, &event.status.encode())?;
    }
    if !usage.is_null() {
        space.copy_out(usage, &event.usage.encode())?;
    }
    Ok(event.pid.into())
}

fn own_group(call: &Call<'_>) -> Result<u32, Errno> {
    let standing = table::standing(call.task.pid()).ok_or(Errno::ESRCH)?;
    Ok(standing.group)
}

/// `P_PGID` (linux/wait.h).
const P_PGID: u32 = 2;

pub(super) fn waitid(
    call: &mut Call<'_>,
    kind: u32,
    id: i32,
    info: UserAddr,
    options: u32,
    usage: UserAddr,
) -> SysResult {
    let event = waitid_event(call, (kind, id), options);
    let space = call.space;
    if let Ok(Some(event)) = &event
        && !usage.is_null()
    {
        space.copy_out(usage, &event.usage.encode())?;
    }
    if !info.is_null() {
        // The fields that Linux writes, and no others, even when there is an error to tell: signo,
        // errno, code; pid, uid, status.
        let told = event.as_ref().ok().and_then(Option::as_ref);
        let [head, tail] = told.map_or([[0; 3]; 2], waitid_fields);
        space.write_val(info, &head)?;
        space.write_val(info.checked_add(16).ok_or(Errno::EFAULT)?, &tail)?;
    }
    event.map(|_| 0)
}

fn waitid_event(
    call: &Call<'_>,
    (kind, id): (u32, i32),
    options: u32,
) -> Result<Option<Event>, Errno> {
    let news = abi::WEXITED | abi::WSTOPPED | abi::WCONTINUED;
    if options & !WAITID_OPTIONS != 0 || options & news == 0 {
        return Err(Errno::EINVAL);
    }
    let mut options = options;
    let mut nonblocking = false;
    let which = match (kind, u32::try_from(id)) {
        (abi::P_ALL, _) => Which::Any,
        (abi::P_PID, Ok(pid @ 1..)) => Which::Process(pid),
        (P_PGID, Ok(0)) => Which::Group(own_group(call)?),
        (P_PGID, Ok(group)) => Which::Group(group),
        (abi::P_PIDFD, Ok(_)) => {
            let (process, flags) = pidfd::process_of(call.task, id)?;
            nonblocking = flags & abi::O_NONBLOCK != 0 && options & abi::WNOHANG == 0;
            // One that has been waited for is nobody's child, whoever bears its number now.
            pidfd::living(call.task, id).map_err(|_| Errno::ECHILD)?;
            Which::Process(process.pid())
        }
        _ => return Err(Errno::EINVAL),
    };
    if nonblocking {
        options |= abi::WNOHANG;
    }
    let event = wait::wait(call.task, which, options)?;
    if event.is_none() && nonblocking {
        return Err(Errno::EAGAIN);
    }
    Ok(event)
}

fn waitid_fields(event: &Event) -> [[i32; 3]; 2] {
    let (code, status) = event.status.code_and_status();
    // Unlike SIGCHLD's story, a stop's or a continuation's status is the signal here too.
    debug_assert!(status != 0 || matches!(event.status, WaitStatus::Ended(_)));
    [
        [abi::SIGCHLD.cast_signed(), 0, code],
        [event.pid.cast_signed(), event.uid.cast_signed(), status],
    ]
}

pub(super) fn getpid(call: &mut Call<'_>) -> SysResult {
    Ok(call.task.pid().into())
}

pub(super) fn gettid(call: &mut Call<'_>) -> SysResult {
    Ok(call.task.tid().into())
}

pub(super) fn getppid(call: &mut Call<'_>) -> SysResult {
    Ok(call.task.process().parent().into())
}

pub(super) fn getpgrp(call: &mut Call<'_>) -> SysResult {
    own_group(call).map(u64::from)
}

/// The process that getpgid and getsid ask for.
fn standing_of(call: &Call<'_>, pid: i32) -> Result<kiln_core::proctree::Standing, Errno> {
    let task = table::task_or(call.task, pid)?;
    table::standing(task.pid()).ok_or(Errno::ESRCH)
}

pub(super) fn getpgid(call: &mut Call<'_>, pid: i32) -> SysResult {
    standing_of(call, pid).map(|standing| standing.group.into())
}

pub(super) fn getsid(call: &mut Call<'_>, pid: i32) -> SysResult {
    standing_of(call, pid).map(|standing| standing.session.into())
}

pub(super) fn setpgid(call: &mut Call<'_>, pid: i32, group: i32) -> SysResult {
    if (if group == 0 { pid } else { group }) < 0 {
        return Err(Errno::EINVAL);
    }
    table::set_group(call.task.pid(), pid, group)?;
    Ok(0)
}

pub(super) fn setsid(call: &mut Call<'_>) -> SysResult {
    table::start_session(call.task.pid())?;
    events::session_began(call.task);
    call.task.process().leave_terminal();
    Ok(call.task.pid().into())
}

pub(super) fn set_tid_address(call: &mut Call<'_>, word: u64) -> SysResult {
    call.task.set_clear_child_tid(word);
    Ok(call.task.tid().into())
}

/// Bytes of `struct robust_list_head`.
const ROBUST_HEAD: usize = 24;

pub(super) fn set_robust_list(call: &mut Call<'_>, head: u64, len: usize) -> SysResult {
    if len != ROBUST_HEAD {
        return Err(Errno::EINVAL);
    }
    futex::set_robust_list(call.task, head);
    Ok(0)
}

pub(super) fn get_robust_list(
    call: &mut Call<'_>,
    tid: i32,
    head: UserAddr,
    len: UserAddr,
) -> SysResult {
    let task = table::task_or(call.task, tid)?;
    if !crate::process::proc::may_inspect(call.task, &task) {
        return Err(Errno::EPERM);
    }
    let space = call.space;
    space.write_val(len, &u64_of(ROBUST_HEAD))?;
    space.write_val(head, &futex::robust_list(&task))?;
    Ok(0)
}

pub(super) fn rseq(
    call: &mut Call<'_>,
    addr: UserAddr,
    len: u32,
    flags: u32,
    signature: u32,
) -> SysResult {
    rseqs::register(call.task, addr, len, flags, signature)?;
    Ok(0)
}

pub(super) fn unshare(call: &mut Call<'_>, flags: u64) -> SysResult {
    unshare::unshare(call.task, flags)?;
    Ok(0)
}

/// `membarrier` commands that are there to be had.
const BARRIERS: u32 = 0x1ff;
/// Those that register for another one, which has half their value.
const REGISTRATIONS: u32 = 4 | 16 | 64 | 256;
/// Those that must have been registered for.
const REGISTERED: u32 = 8 | 32 | 128;

/// The one that restarts sequences.
const RESTARTS: u32 = 128;

pub(super) fn membarrier(call: &mut Call<'_>, command: u32, flags: u32, _cpu: i32) -> SysResult {
    let takes_cpu = command == RESTARTS && flags == 1;
    if flags != 0 && !takes_cpu {
        return Err(Errno::EINVAL);
    }
    if command == 0 {
        return Ok(BARRIERS.into());
    }
    if !command.is_power_of_two() || command & BARRIERS == 0 {
        return Err(Errno::EINVAL);
    }
    let registered = &call.task.process().membarrier;
    if command & REGISTRATIONS != 0 {
        registered.fetch_or(u64::from(command), Ordering::Relaxed);
    } else if command & REGISTERED != 0
        && registered.load(Ordering::Relaxed) & u64::from(command << 1) == 0
    {
        return Err(Errno::EPERM);
    }
    if command == RESTARTS {
        rseqs::restart_all(call.task.process());
    }
    if command & REGISTRATIONS == 0 {
        shootdown::barrier();
    }
    Ok(0)
}
