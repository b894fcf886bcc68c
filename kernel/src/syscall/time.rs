//! Clocks: reading and setting them, and what their numbers mean; processor time (times(2)).
//!
//! [`sleep`](super::sleep) and [`timer`](super::timer) wait for them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{high32, low32};
use kiln_core::time::{NS_PER_SEC, Timespec, Timeval, USER_HZ, ticks};
use kiln_core::vdso::COARSE_NS;

use super::{Call, SysResult};
use crate::arch::time::{now_ns, ordered_now_ns};
use crate::fs::clock;
use crate::process::timers::Clock;
use crate::process::{Task, table, usage};

/// Sleeps end at the latest after this long, which is never.
pub(super) const NEVER: u64 = u64::MAX / 2;

/// Reads a timespec of the program's.
pub(super) fn read_timespec(call: &Call<'_>, at: UserAddr) -> Result<Timespec, Errno> {
    Ok(Timespec::decode(&call.space.read_val(at)?))
}

pub(super) fn write_timespec(call: &Call<'_>, at: UserAddr, ns: u64) -> Result<(), Errno> {
    call.space.copy_out(at, &Timespec::from_ns(ns).encode())
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
pub(super) fn is_alarm(id: u32) -> bool {
    matches!(id, abi::CLOCK_REALTIME_ALARM | abi::CLOCK_BOOTTIME_ALARM)
}

/// Whether the number means a descriptor of a device's clock (`CLOCKFD`). There are none of those.
pub(super) const fn is_dynamic(id: i32) -> bool {
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
pub(super) fn cpu_clock_of(task: &Arc<Task>, id: i32, reads: bool) -> Result<Clock, Errno> {
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
pub(super) fn read_clock(task: &Arc<Task>, id: i32) -> Result<u64, Errno> {
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
    if !call.creds.has(abi::CAP_SYS_TIME) {
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
    let space = call.space;
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
    let space = call.space;
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
    if !call.creds.has(abi::CAP_SYS_TIME) {
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
        call.space.write_val(at, &seconds)?;
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
        call.space.write_val(at, &words)?;
    }
    Ok(now_ns() / (NS_PER_SEC / USER_HZ))
}
