//! Clocks, sleeping, and timers.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{high32, low32};
use kiln_core::signal::Signal;
use kiln_core::time::{NS_PER_SEC, NS_PER_US, Timespec, Timeval, USER_HZ, ticks};
use kiln_core::vdso::COARSE_NS;

use super::fs::poll::{Until, poll_until};
use super::{Call, SysResult};
use crate::arch::time::{now_ns, ordered_now_ns};
use crate::fs::clock;
use crate::process::timers::{self, Clock, Notice, Setting};
use crate::process::{Process, Restart, Task, table, usage};
use crate::sched::{Mode, sleep_until};

/// Sleeps end at the latest after this long, which is never.
const NEVER: u64 = u64::MAX / 2;

/// Reads a timespec of the program's.
pub(super) fn read_timespec(call: &Call<'_>, at: UserAddr) -> Result<Timespec, Errno> {
    Ok(Timespec::decode(&call.task.space()?.read_val(at)?))
}

fn write_timespec(call: &Call<'_>, at: UserAddr, ns: u64) -> Result<(), Errno> {
    call.task
        .space()?
        .copy_out(at, &Timespec::from_ns(ns).encode())
}

/// A point in time by which something is to happen, so many nanoseconds from now.
pub(super) fn relative_deadline(ns: u64) -> u64 {
    now_ns().saturating_add(ns).min(NEVER)
}

/// The point in time when a clock shows `ns`: of the wall clock, or since boot.
pub(super) fn absolute_deadline(ns: u64, wall: bool) -> u64 {
    let base = if wall { clock::boot_time() } else { 0 };
    ns.saturating_sub(base).min(NEVER)
}

/// Where a clock that isn't of processor time begins, in nanoseconds before the boot.
fn base(id: u32) -> u64 {
    match id {
        abi::CLOCK_REALTIME | abi::CLOCK_REALTIME_COARSE | abi::CLOCK_REALTIME_ALARM => {
            clock::boot_time()
        }
        abi::CLOCK_TAI => clock::tai_boot_time(),
        _ => 0,
    }
}

/// Whether the clock would wake a sleeping machine, for which there is a capability.
fn is_alarm(id: u32) -> bool {
    matches!(id, abi::CLOCK_REALTIME_ALARM | abi::CLOCK_BOOTTIME_ALARM)
}

/// Whether the number means a descriptor of a device's clock (`CLOCKFD`). There are none of those.
const fn is_dynamic(id: i32) -> bool {
    id < 0 && id & 7 == 3
}

/// A clock of processor time by its negative number: `!pid << 3 | thread << 2 | kind`; `reads`: by its
/// thread's number a process of one's own is found as well (`pid_for_clock`).
fn cpu_clock(task: &Arc<Task>, id: i32, reads: bool) -> Result<Clock, Errno> {
    let pid = !(id >> 3);
    let (is_thread, kind) = (id & 4 != 0, id & 3);
    if kind == 3 {
        return Err(Errno::EINVAL);
    }
    // Kinds: profiling (both), virtual (user), scheduler (both).
    let user = kind == 1;
    let target = table::task_or(task, pid).map_err(|_| Errno::EINVAL)?;
    if is_thread {
        if !Arc::ptr_eq(target.process(), task.process()) {
            return Err(Errno::EINVAL);
        }
        return Ok(Clock::Thread(Arc::downgrade(&target), user));
    }
    let own = reads && Arc::ptr_eq(&target, task);
    if pid != 0 && !own && target.tid() != target.pid() {
        return Err(Errno::EINVAL);
    }
    Ok(Clock::Process(Arc::downgrade(target.process()), user))
}

/// The clock of processor time with this number, which may be one of the two that are the caller's.
fn cpu_clock_of(task: &Arc<Task>, id: i32, reads: bool) -> Result<Clock, Errno> {
    match u32::try_from(id) {
        Ok(abi::CLOCK_PROCESS_CPUTIME_ID) => {
            Ok(Clock::Process(Arc::downgrade(task.process()), false))
        }
        Ok(abi::CLOCK_THREAD_CPUTIME_ID) => Ok(Clock::Thread(Arc::downgrade(task), false)),
        Ok(_) => Err(Errno::EINVAL),
        Err(_) => cpu_clock(task, id, reads),
    }
}

/// What a clock shows, in nanoseconds.
fn read_clock(task: &Arc<Task>, id: i32) -> Result<u64, Errno> {
    match u32::try_from(id) {
        Ok(
            number @ (abi::CLOCK_REALTIME
            | abi::CLOCK_MONOTONIC
            | abi::CLOCK_MONOTONIC_RAW
            | abi::CLOCK_BOOTTIME
            | abi::CLOCK_REALTIME_ALARM
            | abi::CLOCK_BOOTTIME_ALARM
            | abi::CLOCK_TAI),
        ) => Ok(base(number).wrapping_add(ordered_now_ns())),
        Ok(number @ (abi::CLOCK_REALTIME_COARSE | abi::CLOCK_MONOTONIC_COARSE)) => {
            let now = base(number).wrapping_add(ordered_now_ns());
            Ok(now - now % COARSE_NS)
        }
        _ => Ok(cpu_clock_of(task, id, true)?.now()),
    }
}

pub(super) fn clock_gettime(call: &mut Call<'_>, id: i32, at: UserAddr) -> SysResult {
    let now = read_clock(call.task, id)?;
    write_timespec(call, at, now)?;
    Ok(0)
}

pub(super) fn clock_getres(call: &mut Call<'_>, id: i32, at: UserAddr) -> SysResult {
    read_clock(call.task, id)?;
    let coarse = match u32::try_from(id) {
        Ok(id) => matches!(id, abi::CLOCK_REALTIME_COARSE | abi::CLOCK_MONOTONIC_COARSE),
        // Linux counts these two kinds of processor time by ticks (`posix_cpu_clock_getres`).
        Err(_) => id & 3 != 2,
    };
    let resolution = if coarse { COARSE_NS } else { 1 };
    if !at.is_null() {
        write_timespec(call, at, resolution)?;
    }
    Ok(0)
}

/// The last second that the time of day can be set to: 30 years before nanoseconds of 64 bits with a
/// sign overflow (`TIME_SETTOD_SEC_MAX`).
const LAST_SECOND: i64 = 8_277_292_036;

fn set_wall(call: &Call<'_>, time: Timespec) -> SysResult {
    let ns = time.to_ns()?;
    if time.sec >= LAST_SECOND {
        return Err(Errno::EINVAL);
    }
    if !call.task.creds().has(abi::CAP_SYS_TIME) {
        return Err(Errno::EPERM);
    }
    // The time of day never was before the boot.
    let boot = ns.checked_sub(now_ns()).ok_or(Errno::EINVAL)?;
    clock::set_boot_time(boot);
    Ok(0)
}

pub(super) fn clock_settime(call: &mut Call<'_>, id: i32, at: UserAddr) -> SysResult {
    if id < 0 {
        // Clocks of processor time have a time to read, and can't be set.
        read_timespec(call, at)?;
        cpu_clock(call.task, id, false)?;
        return Err(Errno::EPERM);
    }
    if id != abi::CLOCK_REALTIME.cast_signed() {
        return Err(Errno::EINVAL);
    }
    set_wall(call, read_timespec(call, at)?)
}

pub(super) fn gettimeofday(call: &mut Call<'_>, at: UserAddr, zone: UserAddr) -> SysResult {
    let space = call.task.space()?;
    if !at.is_null() {
        let now = Timeval::from_ns(clock::boot_time() + now_ns());
        space.copy_out(at, &now.encode())?;
    }
    if !zone.is_null() {
        space.write_val(zone, &clock::zone())?;
    }
    Ok(0)
}

pub(super) fn settimeofday(call: &mut Call<'_>, at: UserAddr, zone: UserAddr) -> SysResult {
    let space = call.task.space()?;
    let time = if at.is_null() {
        None
    } else {
        let ns = Timeval::decode(&space.read_val(at)?).to_ns()?;
        Some(Timespec::from_ns(ns))
    };
    let zone = if zone.is_null() {
        None
    } else {
        let word: u64 = space.read_val(zone)?;
        Some([low32(word), high32(word)].map(u32::cast_signed))
    };
    if time.is_some_and(|time| time.sec >= LAST_SECOND) {
        return Err(Errno::EINVAL);
    }
    if !call.task.creds().has(abi::CAP_SYS_TIME) {
        return Err(Errno::EPERM);
    }
    if let Some(zone) = zone {
        set_zone(zone, time.is_none())?;
    }
    time.map_or(Ok(0), |time| set_wall(call, time))
}

/// Sets the time zone. The first who does, and sets nothing else, says that the clock so far showed
/// local time: it is put right (`do_sys_settimeofday64`).
fn set_zone(zone: [i32; 2], alone: bool) -> Result<(), Errno> {
    static FIRST: AtomicBool = AtomicBool::new(true);
    let [west, _] = zone;
    if !(-15 * 60..=15 * 60).contains(&west) {
        return Err(Errno::EINVAL);
    }
    clock::set_zone(zone);
    if FIRST.swap(false, Ordering::Relaxed) && alone && west != 0 {
        let moved = i64::from(west) * 60 * NS_PER_SEC.cast_signed();
        clock::set_boot_time(clock::boot_time().saturating_add_signed(moved));
    }
    Ok(())
}

pub(super) fn time(call: &mut Call<'_>, at: UserAddr) -> SysResult {
    let seconds = (clock::boot_time() + now_ns()) / NS_PER_SEC;
    if !at.is_null() {
        call.task.space()?.write_val(at, &seconds)?;
    }
    Ok(seconds)
}

pub(super) fn times(call: &mut Call<'_>, at: UserAddr) -> SysResult {
    if !at.is_null() {
        let process = call.task.process();
        let own = usage::of_process(process);
        let children = process.children_usage();
        let words = [
            own.user_ns,
            own.system_ns,
            children.user_ns,
            children.system_ns,
        ]
        .map(ticks);
        call.task.space()?.write_val(at, &words)?;
    }
    Ok(now_ns() / (NS_PER_SEC / USER_HZ))
}

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
    if is_alarm(id) && !call.task.creds().has(abi::CAP_WAKE_ALARM) {
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

/// An interval timer's setting in timevals: period first.
fn read_setting(call: &Call<'_>, at: UserAddr) -> Result<Setting, Errno> {
    let space = call.task.space()?;
    let period = Timeval::decode(&space.read_val(at)?);
    let left = Timeval::decode(&space.read_val(at.checked_add(16).ok_or(Errno::EFAULT)?)?);
    Ok(Setting {
        left: left.to_ns()?,
        period: period.to_ns()?,
    })
}

fn write_setting(call: &Call<'_>, at: UserAddr, setting: Setting) -> Result<(), Errno> {
    let space = call.task.space()?;
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
    let [value, kinds, thread]: [u64; 3] = call.task.space()?.read_val(at)?;
    Ok((
        value,
        low32(kinds).cast_signed(),
        kiln_core::num::high32(kinds),
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
    let may_wake = call.task.creds().has(abi::CAP_WAKE_ALARM);
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
    let number = timers::create_posix(process, clock, notice, thread.as_ref())?;
    let told = call.task.space()?.write_val(created, &number);
    // The clock has the last word: after the number is told.
    let made = told.and(if is_refused {
        Err(Errno::EPERM)
    } else {
        Ok(())
    });
    if let Err(errno) = made {
        timers::delete_posix(process, number)?;
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
    let timer = timers::posix(call.task.process(), id)?;
    let absolute = flags & abi::TIMER_ABSTIME != 0;
    let before = timer.set(Setting { left, period }, absolute);
    if !old.is_null() {
        write_itimerspec(call, old, before)?;
    }
    Ok(0)
}

pub(super) fn timer_gettime(call: &mut Call<'_>, id: i32, at: UserAddr) -> SysResult {
    let setting = timers::posix(call.task.process(), id)?.get();
    write_itimerspec(call, at, setting)?;
    Ok(0)
}

pub(super) fn timer_getoverrun(call: &mut Call<'_>, id: i32) -> SysResult {
    let overrun = timers::posix(call.task.process(), id)?.overrun();
    Ok(u64::from(overrun.unsigned_abs()))
}

pub(super) fn timer_delete(call: &mut Call<'_>, id: i32) -> SysResult {
    timers::delete_posix(call.task.process(), id)?;
    Ok(0)
}
