//! How threads share the CPUs: policies and priorities (sched(7)), and which CPUs they may use.

use alloc::sync::Arc;
use core::ops::RangeInclusive;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::bandwidth::Params;
use kiln_core::errno::Errno;
use kiln_core::num::{low8, low32, u64_of};
use kiln_core::time::Timespec;

use super::limits::{may_raise, nice};
use super::{Call, SysResult};
use crate::arch::smp;
use crate::process::task::Policy;
use crate::process::{Task, futex, table};
use crate::sched::{self, ROUND_NS};

pub(super) fn give_way(_: &mut Call<'_>) -> SysResult {
    sched::yield_now();
    Ok(0)
}

/// Bytes of a set of CPUs: one word has room for all that there can be.
const CPU_SET: usize = 8;

fn target(call: &Call<'_>, pid: i32) -> Result<Arc<Task>, Errno> {
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    table::task_or(call.task, pid)
}

/// Whether the caller may change how the target is run: it is the same user's.
fn is_own(call: &Call<'_>, target: &Task) -> bool {
    let (euid, theirs) = (call.creds.uids.effective, target.creds().uids);
    euid == theirs.effective || euid == theirs.real
}

fn may_nice(call: &Call<'_>) -> bool {
    call.creds.has(abi::CAP_SYS_NICE)
}

pub(super) fn getaffinity(call: &mut Call<'_>, pid: i32, size: usize, at: UserAddr) -> SysResult {
    if size < CPU_SET || !size.is_multiple_of(CPU_SET) {
        return Err(Errno::EINVAL);
    }
    let target = table::task_or(call.task, pid)?;
    let allowed = target.thread().map_or(1, |thread| thread.allowed());
    call.space.write_val(at, &allowed)?;
    Ok(u64_of(CPU_SET))
}

pub(super) fn setaffinity(call: &mut Call<'_>, pid: i32, size: usize, at: UserAddr) -> SysResult {
    let mut bytes = [0; CPU_SET];
    let given = bytes.get_mut(..size.min(CPU_SET)).unwrap_or_default();
    call.space.copy_in(given, at)?;
    let target = table::task_or(call.task, pid)?;
    if !is_own(call, &target) && !may_nice(call) {
        return Err(Errno::EPERM);
    }
    let mask = u64::from_le_bytes(bytes) & smp::mask();
    let reserves = base_of(target.policy()) == abi::SCHED_DEADLINE;
    if reserves && mask != smp::mask() && sched::limit().runtime.is_some() {
        return Err(Errno::EBUSY);
    }
    if mask == 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(thread) = target.thread() {
        thread.set_allowed(mask);
    }
    Ok(0)
}

pub(super) fn getcpu(
    call: &mut Call<'_>,
    cpu: UserAddr,
    node: UserAddr,
    _cache: UserAddr,
) -> SysResult {
    let space = call.space;
    let number = call.task.thread().map_or(0, |thread| thread.last_cpu());
    for (place, value) in [(cpu, number), (node, 0)] {
        if !place.is_null() {
            space.write_val(place, &value)?;
        }
    }
    Ok(0)
}

/// A policy without `SCHED_RESET_ON_FORK`.
const fn base_of(policy: Policy) -> u32 {
    policy.policy & !abi::SCHED_RESET_ON_FORK
}

/// The priorities that a policy knows: those of real time from 1 to 99, the others only 0.
fn priorities(policy: u32) -> Result<RangeInclusive<u32>, Errno> {
    match policy {
        abi::SCHED_FIFO | abi::SCHED_RR => Ok(1..=99),
        abi::SCHED_NORMAL | abi::SCHED_BATCH | abi::SCHED_IDLE | abi::SCHED_DEADLINE => Ok(0..=0),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn get_priority_max(_: &mut Call<'_>, policy: u32) -> SysResult {
    Ok(u64::from(*priorities(policy)?.end()))
}

pub(super) fn get_priority_min(_: &mut Call<'_>, policy: u32) -> SysResult {
    Ok(u64::from(*priorities(policy)?.start()))
}

/// Sets a policy, with `SCHED_RESET_ON_FORK` or without, a priority or a reservation, and for those
/// that share by virtual time a nice value.
fn set_policy(call: &Call<'_>, target: &Task, mut new: Policy, nice_value: i8) -> SysResult {
    let base = base_of(new);
    if !priorities(base)?.contains(&new.priority) {
        return Err(Errno::EINVAL);
    }
    if base == abi::SCHED_DEADLINE {
        new.reserved = new.reserved.checked().ok_or(Errno::EINVAL)?;
    } else {
        (new.reserved, new.flags) = (Params::default(), 0);
    }
    if !may_change(call, target, new, nice_value) && !may_nice(call) {
        return Err(Errno::EPERM);
    }
    let thread = target.thread().ok_or(Errno::ESRCH)?;
    let limited = sched::limit().runtime.is_some();
    if base == abi::SCHED_DEADLINE && limited && thread.allowed() != smp::mask() {
        return Err(Errno::EPERM);
    }
    let (policy, priority) = (low8(base.into()), low8(new.priority.into()));
    thread
        .set_schedule(policy, priority, new.reserved)
        .map_err(|sched::Overbooked| Errno::EBUSY)?;
    if matches!(base, abi::SCHED_NORMAL | abi::SCHED_BATCH) {
        thread.set_nice(nice_value);
    }
    target.set_policy(new);
    futex::rescheduled(target);
    Ok(0)
}

/// Whether the change needs no privilege.
fn may_change(call: &Call<'_>, target: &Task, new: Policy, nice_value: i8) -> bool {
    let old = target.policy();
    let base = |policy: u32| policy & !abi::SCHED_RESET_ON_FORK;
    let keeps_reset = |policy: u32| policy & abi::SCHED_RESET_ON_FORK != 0;
    let limit = target.process().limit(abi::RLIMIT_RTPRIO);
    let fits = match base(new.policy) {
        abi::SCHED_FIFO | abi::SCHED_RR => {
            let entitled = base(new.policy) == base(old.policy) || limit != 0;
            let priority = u64::from(new.priority);
            entitled && (priority <= u64::from(old.priority) || priority <= limit)
        }
        abi::SCHED_NORMAL | abi::SCHED_BATCH => {
            nice_value >= nice(target) || may_raise(call, nice_value)
        }
        abi::SCHED_DEADLINE => false,
        _ => true,
    };
    let idle = |policy| base(policy) == abi::SCHED_IDLE;
    let leaves_idle = idle(old.policy) && !idle(new.policy) && !may_raise(call, nice(target));
    let drops_reset = keeps_reset(old.policy) && !keeps_reset(new.policy);
    fits && !leaves_idle && !drops_reset && is_own(call, target)
}

/// The priority that a `struct sched_param` holds.
fn read_priority(call: &Call<'_>, pid: i32, param: UserAddr) -> Result<u32, Errno> {
    if param.is_null() || pid < 0 {
        return Err(Errno::EINVAL);
    }
    call.space.read_val(param)
}

pub(super) fn setscheduler(
    call: &mut Call<'_>,
    pid: i32,
    policy: u32,
    param: UserAddr,
) -> SysResult {
    if policy.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    let priority = read_priority(call, pid, param)?;
    let target = target(call, pid)?;
    let nice_value = nice(&target);
    let new = Policy {
        policy,
        priority,
        ..Policy::default()
    };
    set_policy(call, &target, new, nice_value)
}

pub(super) fn getscheduler(call: &mut Call<'_>, pid: i32) -> SysResult {
    Ok(target(call, pid)?.policy().policy.into())
}

pub(super) fn setparam(call: &mut Call<'_>, pid: i32, param: UserAddr) -> SysResult {
    let priority = read_priority(call, pid, param)?;
    let target = target(call, pid)?;
    let policy = target.policy().policy;
    let nice_value = nice(&target);
    let new = Policy {
        policy,
        priority,
        ..Policy::default()
    };
    set_policy(call, &target, new, nice_value)
}

pub(super) fn getparam(call: &mut Call<'_>, pid: i32, param: UserAddr) -> SysResult {
    if param.is_null() {
        return Err(Errno::EINVAL);
    }
    let priority = target(call, pid)?.policy().priority;
    call.space.write_val(param, &priority)?;
    Ok(0)
}

/// A tick of Linux's with `CONFIG_HZ=250`, in which it tells a round.
const TICK_NS: u64 = 4_000_000;

pub(super) fn rr_get_interval(call: &mut Call<'_>, pid: i32, at: UserAddr) -> SysResult {
    let policy = target(call, pid)?.policy().policy & !abi::SCHED_RESET_ON_FORK;
    let slice = match policy {
        abi::SCHED_FIFO | abi::SCHED_DEADLINE => 0,
        abi::SCHED_RR => ROUND_NS.load(Ordering::Relaxed).next_multiple_of(TICK_NS),
        _ => kiln_core::runqueue::SLICE_NS,
    };
    call.space
        .copy_out(at, &Timespec::from_ns(slice).encode())?;
    Ok(0)
}

/// Bytes of the first version of `struct sched_attr` (linux/sched/types.h), and of the one with
/// utilization clamps.
const ATTR_SIZE: u32 = 48;
const ATTR_SIZE_NOW: u32 = 56;
const PAGE: u32 = 4096;

pub(super) fn getattr(
    call: &mut Call<'_>,
    pid: i32,
    at: UserAddr,
    size: u32,
    flags: u32,
) -> SysResult {
    if at.is_null() || !(ATTR_SIZE..=PAGE).contains(&size) || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let target = target(call, pid)?;
    let policy = target.policy();
    let base = base_of(policy);
    let reset = u32::from(policy.policy != base);
    let nice_value = match base {
        abi::SCHED_FIFO | abi::SCHED_RR | abi::SCHED_DEADLINE => 0,
        _ => i32::from(nice(&target)).cast_unsigned(),
    };
    let known = size.min(ATTR_SIZE_NOW);
    let Params {
        runtime,
        deadline,
        period,
    } = policy.reserved;
    let halves = |value: u64| [low32(value), low32(value >> 32)];
    let ([rl, rh], [dl, dh], [pl, ph]) = (halves(runtime), halves(deadline), halves(period));
    let flags = reset | policy.flags;
    // size, policy, flags (two words), nice, priority, run time, deadline, period, clamps.
    let words: [u32; 14] = [
        known,
        base,
        flags,
        0,
        nice_value,
        policy.priority,
        rl,
        rh,
        dl,
        dh,
        pl,
        ph,
        0,
        0,
    ];
    let space = call.space;
    if known < ATTR_SIZE_NOW {
        let [first @ .., _, _] = words;
        space.write_val(at, &first)?;
    } else {
        space.write_val(at, &words)?;
    }
    Ok(0)
}

pub(super) fn setattr(call: &mut Call<'_>, pid: i32, at: UserAddr, flags: u32) -> SysResult {
    if at.is_null() || pid < 0 || flags != 0 {
        return Err(Errno::EINVAL);
    }
    let space = call.space;
    let size: u32 = space.read_val(at)?;
    let size = if size == 0 { ATTR_SIZE } else { size };
    if !(ATTR_SIZE..=PAGE).contains(&size) || !rest_is_zero(call, at, size)? {
        space.write_val(at, &ATTR_SIZE_NOW)?;
        return Err(Errno::E2BIG);
    }
    let words: [u32; 12] = space.read_val(at)?;
    let [
        _,
        policy,
        attr_flags,
        high_flags,
        nice_value,
        priority,
        times @ ..,
    ] = words;
    let clamps = abi::SCHED_FLAG_UTIL_CLAMP_MIN | abi::SCHED_FLAG_UTIL_CLAMP_MAX;
    if attr_flags & clamps != 0 && size < ATTR_SIZE_NOW {
        return Err(Errno::EINVAL);
    }
    if policy.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    let target = target(call, pid)?;
    let old = target.policy();
    if policy & abi::SCHED_RESET_ON_FORK != 0 {
        return Err(Errno::EINVAL);
    }
    let mut new = Policy {
        policy,
        priority,
        reserved: params(times),
        flags: attr_flags & OF_DEADLINES,
    };
    let mut nice_value = i8::try_from(nice_value.cast_signed().clamp(-20, 19)).unwrap_or(19);
    if attr_flags & abi::SCHED_FLAG_KEEP_POLICY != 0 {
        new.policy = old.policy;
    } else if attr_flags & abi::SCHED_FLAG_RESET_ON_FORK != 0 {
        new.policy |= abi::SCHED_RESET_ON_FORK;
    }
    if attr_flags & abi::SCHED_FLAG_KEEP_PARAMS != 0 {
        nice_value = nice(&target);
        new = Policy {
            policy: new.policy,
            ..old
        };
    }
    if high_flags != 0 || attr_flags & !abi::SCHED_FLAG_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    if attr_flags & clamps != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    set_policy(call, &target, new, nice_value)
}

/// The flags of sched_setattr(2) that are about deadlines.
const OF_DEADLINES: u32 = abi::SCHED_FLAG_RECLAIM | abi::SCHED_FLAG_DL_OVERRUN;

/// Run time, deadline and period, each as its low and its high half.
fn params([rl, rh, dl, dh, pl, ph]: [u32; 6]) -> Params {
    let whole = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    Params {
        runtime: whole(rl, rh),
        deadline: whole(dl, dh),
        period: whole(pl, ph),
    }
}

/// Whether a structure larger than what is known has nothing in the rest.
fn rest_is_zero(call: &Call<'_>, at: UserAddr, size: u32) -> Result<bool, Errno> {
    let space = call.space;
    for offset in ATTR_SIZE_NOW..size {
        let place = at.checked_add(offset.into()).ok_or(Errno::EFAULT)?;
        let byte: u8 = space.read_val(place)?;
        if byte != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
