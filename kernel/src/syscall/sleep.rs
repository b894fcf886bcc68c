//! Sleeping until a clock has gone on: nanosleep(2), clock_nanosleep(2), and restart_syscall(2), by which an
//! interrupted sleep, futex or poll goes on.
//!
//! What clocks there are is [`time`](super::time)'s.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::time::{NS_PER_US, Timespec};

use super::fs::poll::{Until, poll_until};
use super::time::{
    NEVER, cpu_clock_of, is_alarm, is_dynamic, read_clock, read_timespec, relative_deadline,
};
use super::{Call, SysResult};
use crate::arch::time::now_ns;
use crate::fs::clock;
use crate::process::timers::Clock;
use crate::process::{Restart, Task};
use crate::sched::{Mode, sleep_until};

pub(super) fn nanosleep(call: &mut Call<'_>, wanted: UserAddr, left: UserAddr) -> SysResult {
    let ns = read_timespec(call, wanted)?.to_ns()?;
    let clock = abi::CLOCK_MONOTONIC.cast_signed();
    sleep(call.task, clock, relative_deadline(ns), left)
}

pub(super) fn clock_nanosleep(
    call: &mut Call<'_>,
    id: i32,
    flags: u32,
    wanted: UserAddr,
    left: UserAddr,
) -> SysResult {
    if let Ok(
        abi::CLOCK_THREAD_CPUTIME_ID
        | abi::CLOCK_MONOTONIC_RAW
        | abi::CLOCK_REALTIME_COARSE
        | abi::CLOCK_MONOTONIC_COARSE,
    ) = u32::try_from(id)
    {
        return Err(Errno::EOPNOTSUPP);
    }
    if id > abi::CLOCK_TAI.cast_signed() {
        return Err(Errno::EINVAL);
    }
    if is_dynamic(id) {
        return Err(Errno::EOPNOTSUPP);
    }
    let ns = read_timespec(call, wanted)?.to_ns()?;
    let absolute = flags & abi::TIMER_ABSTIME != 0;
    let Ok(id) = u32::try_from(id) else {
        return sleep_cpu(call.task, id, ns, absolute, left);
    };
    if id == abi::CLOCK_PROCESS_CPUTIME_ID {
        return sleep_cpu(call.task, id.cast_signed(), ns, absolute, left);
    }
    if is_alarm(id) && !call.creds.has(abi::CAP_WAKE_ALARM) {
        return Err(Errno::EPERM);
    }
    read_clock(call.task, id.cast_signed())?;
    if !absolute {
        return sleep(call.task, id.cast_signed(), relative_deadline(ns), left);
    }
    let slept = match id {
        abi::CLOCK_REALTIME | abi::CLOCK_REALTIME_ALARM => {
            clock::sleep_until(Mode::Interruptible, ns, clock::boot_time)
        }
        abi::CLOCK_TAI => clock::sleep_until(Mode::Interruptible, ns, clock::tai_boot_time),
        _ => sleep_until(Mode::Interruptible, Some(ns.min(NEVER))),
    };
    match slept {
        Ok(()) => Ok(0),
        Err(_) => Err(Errno::ERESTARTNOHAND),
    }
}

/// Sleeps for a time; when interrupted, says what is left and how to go on.
fn sleep(task: &Arc<Task>, clock: i32, deadline: u64, remaining: UserAddr) -> SysResult {
    if sleep_until(Mode::Interruptible, Some(deadline)).is_ok() {
        return Ok(0);
    }
    let left = deadline.saturating_sub(now_ns());
    if left == 0 {
        return Ok(0);
    }
    if !remaining.is_null() {
        let left = Timespec::from_ns(left);
        task.space()?.copy_out(remaining, &left.encode())?;
    }
    task.set_restart(Restart::Nanosleep {
        clock,
        deadline,
        remaining,
    });
    Err(Errno::ERESTART_RESTARTBLOCK)
}

/// Sleeps until a clock of processor time has gone on so far (`posix_cpu_nsleep`).
fn sleep_cpu(task: &Arc<Task>, id: i32, ns: u64, absolute: bool, remaining: UserAddr) -> SysResult {
    let clock = cpu_clock_of(task, id, false)?;
    // While the caller sleeps its own clock stands still.
    if let Clock::Thread(thread, _) = &clock
        && thread.upgrade().is_some_and(|it| Arc::ptr_eq(&it, task))
    {
        return Err(Errno::EINVAL);
    }
    let start = if absolute { 0 } else { clock.now() };
    sleep_cpu_until(task, id, start.saturating_add(ns), absolute, remaining)
}

fn sleep_cpu_until(
    task: &Arc<Task>,
    id: i32,
    target: u64,
    absolute: bool,
    remaining: UserAddr,
) -> SysResult {
    let clock = cpu_clock_of(task, id, false)?;
    loop {
        let left = target.saturating_sub(clock.now());
        if left == 0 {
            return Ok(0);
        }
        let wait = clock.real_time(left).max(NS_PER_US);
        if sleep_until(Mode::Interruptible, Some(relative_deadline(wait))).is_ok() {
            continue;
        }
        if absolute {
            return Err(Errno::ERESTARTNOHAND);
        }
        if !remaining.is_null() {
            let left = Timespec::from_ns(target.saturating_sub(clock.now()));
            task.space()?.copy_out(remaining, &left.encode())?;
        }
        task.set_restart(Restart::Nanosleep {
            clock: id,
            deadline: target,
            remaining,
        });
        return Err(Errno::ERESTART_RESTARTBLOCK);
    }
}

pub(super) fn restart_syscall(call: &mut Call<'_>) -> SysResult {
    match call.task.take_restart() {
        Restart::None => Err(Errno::EINTR),
        Restart::Nanosleep {
            clock,
            deadline,
            remaining,
        } if clock < 0 || clock == abi::CLOCK_PROCESS_CPUTIME_ID.cast_signed() => {
            sleep_cpu_until(call.task, clock, deadline, false, remaining)
        }
        Restart::Nanosleep {
            clock,
            deadline,
            remaining,
        } => sleep(call.task, clock, deadline, remaining),
        restart @ Restart::Futex { .. } => super::futex::resume(call.task, restart),
        Restart::Poll {
            fds,
            count,
            deadline,
        } => {
            let until = match deadline {
                u64::MAX => Until::Forever,
                deadline => Until::Time(deadline),
            };
            poll_until(call.task, fds, count, until)
        }
    }
}
