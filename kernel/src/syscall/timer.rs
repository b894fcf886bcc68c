//! Timers that signal: alarm(2), setitimer(2), and POSIX timers, timer_create(2) and its kin.
//!
//! The timers themselves are `process::timers`'; descriptors that tell of one (timerfd) are in
//! [`event`](super::event).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{high32, low32};
use kiln_core::signal::Signal;
use kiln_core::time::{NS_PER_SEC, NS_PER_US, Timeval};

use super::time::{cpu_clock_of, is_alarm, is_dynamic, read_timespec, write_timespec};
use super::{Call, SysResult};
use crate::process::timers::posix::{self, Notice};
use crate::process::timers::{self, Clock, Setting};
use crate::process::{Process, Task, table};

/// An interval timer's setting in timevals: period first.
fn read_setting(call: &Call<'_>, at: UserAddr) -> Result<Setting, Errno> {
    let space = call.space;
    let period = Timeval::decode(&space.read_val(at)?);
    let left = Timeval::decode(&space.read_val(at.checked_add(16).ok_or(Errno::EFAULT)?)?);
    Ok(Setting {
        left: left.to_ns()?,
        period: period.to_ns()?,
    })
}

fn write_setting(call: &Call<'_>, at: UserAddr, setting: Setting) -> Result<(), Errno> {
    let space = call.space;
    // What is left is never told as nothing.
    let left = if setting.left == 0 {
        0
    } else {
        setting.left.max(NS_PER_US)
    };
    space.copy_out(at, &Timeval::from_ns(setting.period).encode())?;
    let behind = at.checked_add(16).ok_or(Errno::EFAULT)?;
    space.copy_out(behind, &Timeval::from_ns(left).encode())
}

pub(super) fn getitimer(call: &mut Call<'_>, which: u32, at: UserAddr) -> SysResult {
    let setting = timers::get_interval(call.task.process(), which)?;
    write_setting(call, at, setting)?;
    Ok(0)
}

pub(super) fn setitimer(
    call: &mut Call<'_>,
    which: u32,
    new: UserAddr,
    old: UserAddr,
) -> SysResult {
    // A null pointer stops the timer (Linux says so with a warning).
    let setting = if new.is_null() {
        Setting::default()
    } else {
        read_setting(call, new)?
    };
    let before = timers::set_interval(call.task.process(), which, setting)?;
    if !old.is_null() {
        write_setting(call, old, before)?;
    }
    Ok(0)
}

pub(super) fn alarm(call: &mut Call<'_>, seconds: u32) -> SysResult {
    let new = Setting {
        left: u64::from(seconds) * NS_PER_SEC,
        period: 0,
    };
    let old = timers::set_interval(call.task.process(), abi::ITIMER_REAL, new)?;
    // Rounded to seconds, but never to none when there is some.
    let rest = old.left % NS_PER_SEC;
    let whole = old.left / NS_PER_SEC;
    let up = (whole == 0 && rest > 0) || rest >= NS_PER_SEC / 2;
    Ok(whole + u64::from(up))
}

/// `struct sigevent`: value, signal, kind, thread.
fn read_event(call: &Call<'_>, at: UserAddr) -> Result<(u64, i32, u32, i32), Errno> {
    let [value, kinds, thread]: [u64; 3] = call.space.read_val(at)?;
    Ok((
        value,
        low32(kinds).cast_signed(),
        high32(kinds),
        low32(thread).cast_signed(),
    ))
}

/// What timer_create's event asks for, and for which thread.
fn notice(call: &Call<'_>, event: UserAddr) -> Result<(Notice, Option<Arc<Task>>), Errno> {
    if event.is_null() {
        return Ok((
            Notice {
                signal: Some(Signal::ALRM),
                value: None,
            },
            None,
        ));
    }
    let (value, signal, kind, tid) = read_event(call, event)?;
    let valid = u32::try_from(signal).ok().and_then(Signal::new);
    let mut thread = None;
    let signal = match kind {
        abi::SIGEV_NONE => None,
        abi::SIGEV_SIGNAL | abi::SIGEV_THREAD => Some(valid.ok_or(Errno::EINVAL)?),
        abi::SIGEV_THREAD_ID => {
            let target = table::task_or(call.task, tid).map_err(|_| Errno::EINVAL)?;
            if tid <= 0 || !Arc::ptr_eq(target.process(), call.task.process()) {
                return Err(Errno::EINVAL);
            }
            thread = Some(target);
            Some(valid.ok_or(Errno::EINVAL)?)
        }
        _ => return Err(Errno::EINVAL),
    };
    Ok((
        Notice {
            signal,
            value: Some(value),
        },
        thread,
    ))
}

pub(super) fn timer_create(
    call: &mut Call<'_>,
    id: i32,
    event: UserAddr,
    created: UserAddr,
) -> SysResult {
    if !event.is_null() {
        // Read before the clock is judged.
        read_event(call, event)?;
    }
    let may_wake = call.creds.has(abi::CAP_WAKE_ALARM);
    let is_refused = u32::try_from(id).is_ok_and(is_alarm) && !may_wake;
    let clock = match u32::try_from(id) {
        Ok(abi::CLOCK_REALTIME | abi::CLOCK_REALTIME_ALARM) => Clock::Realtime,
        Ok(abi::CLOCK_TAI) => Clock::Tai,
        Ok(abi::CLOCK_MONOTONIC | abi::CLOCK_BOOTTIME | abi::CLOCK_BOOTTIME_ALARM) => {
            Clock::Monotonic
        }
        Ok(abi::CLOCK_MONOTONIC_RAW..=abi::CLOCK_MONOTONIC_COARSE) => {
            return Err(Errno::EOPNOTSUPP);
        }
        _ if is_dynamic(id) => return Err(Errno::EOPNOTSUPP),
        _ => cpu_clock_of(call.task, id, false)?,
    };
    let (notice, thread) = notice(call, event)?;
    let process: &Arc<Process> = call.task.process();
    let number = posix::create(process, clock, notice, thread.as_ref())?;
    let told = call.space.write_val(created, &number);
    // The clock has the last word: after the number is told.
    let made = told.and(if is_refused {
        Err(Errno::EPERM)
    } else {
        Ok(())
    });
    if let Err(errno) = made {
        posix::delete(process, number)?;
        return Err(errno);
    }
    Ok(0)
}

fn write_itimerspec(call: &Call<'_>, at: UserAddr, setting: Setting) -> Result<(), Errno> {
    write_timespec(call, at, setting.period)?;
    let behind = at.checked_add(16).ok_or(Errno::EFAULT)?;
    write_timespec(call, behind, setting.left)
}

pub(super) fn timer_settime(
    call: &mut Call<'_>,
    id: i32,
    flags: u32,
    new: UserAddr,
    old: UserAddr,
) -> SysResult {
    if new.is_null() {
        return Err(Errno::EINVAL);
    }
    let period = read_timespec(call, new)?.to_ns()?;
    let behind = new.checked_add(16).ok_or(Errno::EFAULT)?;
    let left = read_timespec(call, behind)?.to_ns()?;
    let timer = posix::get(call.task.process(), id)?;
    let absolute = flags & abi::TIMER_ABSTIME != 0;
    let before = timer.set(Setting { left, period }, absolute);
    if !old.is_null() {
        write_itimerspec(call, old, before)?;
    }
    Ok(0)
}

pub(super) fn timer_gettime(call: &mut Call<'_>, id: i32, at: UserAddr) -> SysResult {
    let setting = posix::get(call.task.process(), id)?.get();
    write_itimerspec(call, at, setting)?;
    Ok(0)
}

pub(super) fn timer_getoverrun(call: &mut Call<'_>, id: i32) -> SysResult {
    let overrun = posix::get(call.task.process(), id)?.overrun();
    Ok(u64::from(overrun.unsigned_abs()))
}

pub(super) fn timer_delete(call: &mut Call<'_>, id: i32) -> SysResult {
    posix::delete(call.task.process(), id)?;
    Ok(0)
}
