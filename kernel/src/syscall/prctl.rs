//! prctl(2): what a thread or process asks of its own. Options of other architectures, and of
//! features this machine hasn't, answer as a Linux without them: EINVAL, or ENODEV.

use core::sync::atomic::Ordering;

use kiln_core::abi::{self, prctl as ctl};
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::errno::Errno;
use kiln_core::num::{low8, low32, usize_of};
use kiln_core::signal::Signal;

use super::{Call, SysResult, seccomp};
use crate::fs::memory::{try_arc, try_zeros};
use crate::process::{events, user_dispatch};
use crate::vm::ProgramInfo;

pub(super) fn prctl(
    call: &mut Call<'_>,
    option: u32,
    second: u64,
    third: u64,
    fourth: u64,
    fifth: u64,
) -> SysResult {
    let args = [second, third, fourth, fifth];
    match option {
        ctl::PR_SET_NAME | ctl::PR_GET_NAME => name(call, option, UserAddr::new(second)),
        ctl::PR_SET_PDEATHSIG
        | ctl::PR_GET_PDEATHSIG
        | ctl::PR_SET_DUMPABLE
        | ctl::PR_GET_DUMPABLE
        | ctl::PR_SET_CHILD_SUBREAPER
        | ctl::PR_GET_CHILD_SUBREAPER
        | ctl::PR_SET_NO_NEW_PRIVS
        | ctl::PR_GET_NO_NEW_PRIVS
        | ctl::PR_GET_TID_ADDRESS => of_process(call, option, args),
        ctl::PR_SET_TIMERSLACK
        | ctl::PR_GET_TIMERSLACK
        | ctl::PR_GET_TIMING
        | ctl::PR_SET_TIMING
        | ctl::PR_GET_TSC
        | ctl::PR_SET_TSC => of_time(call, option, second),
        ctl::PR_MCE_KILL => set_machine_check(call, args),
        ctl::PR_MCE_KILL_GET if args == [0; 4] => Ok(machine_check(call)),
        ctl::PR_SET_IO_FLUSHER | ctl::PR_GET_IO_FLUSHER => flusher(call, option, args),
        ctl::PR_SET_THP_DISABLE | ctl::PR_GET_THP_DISABLE => huge_pages(call, option, args),
        ctl::PR_GET_SPECULATION_CTRL | ctl::PR_SET_SPECULATION_CTRL => speculation(option, args),
        ctl::PR_SET_MM => set_memory(call, args),
        ctl::PR_GET_SECCOMP => Ok(call.task.seccomp_mode().into()),
        ctl::PR_SET_SECCOMP => seccomp::set_mode(call, second, UserAddr::new(third)),
        // No counter of performance is open, so all of them stand still, or run, at once.
        ctl::PR_TASK_PERF_EVENTS_DISABLE | ctl::PR_TASK_PERF_EVENTS_ENABLE => Ok(0),
        ctl::PR_SET_PTRACER => Ok(0),
        ctl::PR_SET_SYSCALL_USER_DISPATCH => dispatch(call, args),
        _ => capability_control(call, option, second, args),
    }
}

fn dispatch(call: &Call<'_>, [what, start, len, selector]: [u64; 4]) -> SysResult {
    if what == u64::from(ctl::PR_SYS_DISPATCH_OFF) && start | len | selector == 0 {
        user_dispatch::switch_off(call.task);
    } else if what == u64::from(ctl::PR_SYS_DISPATCH_ON) {
        user_dispatch::switch_on(call.task, start, len, UserAddr::new(selector))?;
    } else {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

fn of_process(call: &Call<'_>, option: u32, [second, rest @ ..]: [u64; 4]) -> SysResult {
    let (task, at) = (call.task, UserAddr::new(second));
    let process = task.process();
    let none_after = rest == [0; 3];
    match option {
        ctl::PR_SET_PDEATHSIG => {
            let number = low32(second);
            if second > u64::from(abi::NSIG) || (number != 0 && Signal::new(number).is_none()) {
                return Err(Errno::EINVAL);
            }
            task.set_parent_death_signal(number);
        }
        ctl::PR_GET_PDEATHSIG => task.space()?.write_val(at, &task.parent_death_signal())?,
        ctl::PR_GET_DUMPABLE => return Ok(process.dumpable.load(Ordering::Relaxed).into()),
        ctl::PR_SET_DUMPABLE if second <= 1 => {
            process.dumpable.store(low8(second), Ordering::Relaxed);
        }
        ctl::PR_SET_CHILD_SUBREAPER => process.is_subreaper.store(second != 0, Ordering::Relaxed),
        ctl::PR_GET_CHILD_SUBREAPER => {
            let is = process.is_subreaper.load(Ordering::Relaxed);
            task.space()?.write_val(at, &u32::from(is))?;
        }
        ctl::PR_SET_NO_NEW_PRIVS if second == 1 && none_after => task.set_no_new_privileges(),
        ctl::PR_GET_NO_NEW_PRIVS if second == 0 && none_after => {
            return Ok(task.has_no_new_privileges().into());
        }
        ctl::PR_GET_TID_ADDRESS => task.space()?.write_val(at, &task.clear_child_tid())?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn of_time(call: &Call<'_>, option: u32, second: u64) -> SysResult {
    let task = call.task;
    match option {
        ctl::PR_SET_TIMERSLACK => task.set_timer_slack(second),
        ctl::PR_GET_TIMERSLACK => return Ok(task.timer_slack()),
        // Time is counted by statistics, as it always says (`PR_TIMING_STATISTICAL`).
        ctl::PR_GET_TIMING => {}
        ctl::PR_SET_TIMING if second == u64::from(ctl::PR_TIMING_STATISTICAL) => {}
        ctl::PR_SET_TSC => match u32::try_from(second) {
            Ok(ctl::PR_TSC_ENABLE) => task.set_timeless(false),
            Ok(ctl::PR_TSC_SIGSEGV) => task.set_timeless(true),
            _ => return Err(Errno::EINVAL),
        },
        ctl::PR_GET_TSC => {
            let now = ctl::PR_TSC_ENABLE + u32::from(task.is_timeless());
            call.space.write_val(UserAddr::new(second), &now)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn name(call: &Call<'_>, option: u32, at: UserAddr) -> SysResult {
    let space = call.space;
    let thread = call.task.thread().ok_or(Errno::ESRCH)?;
    if option == ctl::PR_GET_NAME {
        space.copy_out(at, &thread.name())?;
        return Ok(0);
    }
    let mut name = [0; 15];
    let copied = space.copy_in_some(&mut name, at);
    let copied = name.get(..copied).unwrap_or_default();
    let end = copied.iter().position(|byte| *byte == 0);
    if end.is_none() && copied.len() < name.len() {
        return Err(Errno::EFAULT);
    }
    thread.set_name(
        copied
            .get(..end.unwrap_or(copied.len()))
            .unwrap_or_default(),
    );
    events::renamed(call.task);
    Ok(0)
}

/// Bits of a task's habits: it chose what becomes of it when memory is broken, early or late
/// (`PF_MCE_PROCESS`, `PF_MCE_EARLY`), and it writes out what others wait for.
const CHOSE: u32 = 1;
const EARLY: u32 = 2;
const FLUSHER: u32 = 4;

fn machine_check(call: &Call<'_>) -> u64 {
    let policy = match call.task.habits.load(Ordering::Relaxed) {
        habits if habits & CHOSE == 0 => ctl::PR_MCE_KILL_DEFAULT,
        habits if habits & EARLY != 0 => ctl::PR_MCE_KILL_EARLY,
        _ => ctl::PR_MCE_KILL_LATE,
    };
    policy.into()
}

fn set_machine_check(call: &Call<'_>, [what, policy, rest @ ..]: [u64; 4]) -> SysResult {
    if rest != [0; 2] {
        return Err(Errno::EINVAL);
    }
    let chosen = match (low32(what), low32(policy)) {
        (ctl::PR_MCE_KILL_CLEAR, _) if policy == 0 => 0,
        (ctl::PR_MCE_KILL_SET, ctl::PR_MCE_KILL_EARLY) => CHOSE | EARLY,
        (ctl::PR_MCE_KILL_SET, ctl::PR_MCE_KILL_LATE) => CHOSE,
        (ctl::PR_MCE_KILL_SET, ctl::PR_MCE_KILL_DEFAULT) => 0,
        _ => return Err(Errno::EINVAL),
    };
    set_habits(call, CHOSE | EARLY, chosen);
    Ok(0)
}

fn set_habits(call: &Call<'_>, among: u32, chosen: u32) {
    let habits = &call.task.habits;
    // Only the thread itself changes them.
    let now = habits.load(Ordering::Relaxed) & !among | chosen;
    habits.store(now, Ordering::Relaxed);
}

fn flusher(call: &Call<'_>, option: u32, [second, rest @ ..]: [u64; 4]) -> SysResult {
    if !call.creds.has(abi::CAP_SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    match (option, second) {
        _ if rest != [0; 3] => Err(Errno::EINVAL),
        (ctl::PR_SET_IO_FLUSHER, 0 | 1) => {
            set_habits(call, FLUSHER, if second == 1 { FLUSHER } else { 0 });
            Ok(0)
        }
        (ctl::PR_GET_IO_FLUSHER, 0) => {
            let habits = call.task.habits.load(Ordering::Relaxed);
            Ok((habits & FLUSHER != 0).into())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Whether the memory's further pages may be huge ones.
fn huge_pages(call: &Call<'_>, option: u32, [second, rest @ ..]: [u64; 4]) -> SysResult {
    if rest != [0; 3] {
        return Err(Errno::EINVAL);
    }
    match (option, second) {
        (ctl::PR_SET_THP_DISABLE, _) => {
            call.space.refuse_huge(second != 0);
            Ok(0)
        }
        (_, 0) => Ok(call.space.refuses_huge().into()),
        _ => Err(Errno::EINVAL),
    }
}

/// Nothing is done about speculation, as with `mitigations=off`: it can't be chosen by a thread.
fn speculation(option: u32, [which, control, rest @ ..]: [u64; 4]) -> SysResult {
    let reading = option == ctl::PR_GET_SPECULATION_CTRL;
    if rest != [0; 2] || reading && control != 0 {
        return Err(Errno::EINVAL);
    }
    match (u32::try_from(which).unwrap_or(u32::MAX), reading) {
        (ctl::PR_SPEC_STORE_BYPASS | ctl::PR_SPEC_INDIRECT_BRANCH, true) => {
            Ok(ctl::PR_SPEC_ENABLE.into())
        }
        (ctl::PR_SPEC_L1D_FLUSH, true) => Ok(ctl::PR_SPEC_FORCE_DISABLE.into()),
        (ctl::PR_SPEC_STORE_BYPASS, false) => Err(Errno::ENXIO),
        (ctl::PR_SPEC_INDIRECT_BRANCH, false) => match u32::try_from(control) {
            Ok(ctl::PR_SPEC_ENABLE) => Ok(0),
            Ok(ctl::PR_SPEC_DISABLE | ctl::PR_SPEC_FORCE_DISABLE) => Err(Errno::EPERM),
            _ => Err(Errno::ERANGE),
        },
        (ctl::PR_SPEC_L1D_FLUSH, false) => Err(Errno::EPERM),
        _ => Err(Errno::ENODEV),
    }
}

/// Bytes of `struct prctl_mm_map` (linux/prctl.h).
const MEMORY_MAP_SIZE: u32 = 104;
/// Bytes of the auxiliary vector that the kernel keeps at most.
const AUXV_MOST: usize = 46 * 8;

/// `PR_SET_MM`: where the program's parts lie, as `/proc` shows it. The heap's ends can't be moved
/// so, nor all of them be set at once.
fn set_memory(call: &Call<'_>, [what, value, len, fifth]: [u64; 4]) -> SysResult {
    let what = u32::try_from(what).unwrap_or(u32::MAX);
    let takes_len = matches!(
        what,
        ctl::PR_SET_MM_AUXV | ctl::PR_SET_MM_MAP | ctl::PR_SET_MM_MAP_SIZE
    );
    if fifth != 0 || len != 0 && !takes_len {
        return Err(Errno::EINVAL);
    }
    let space = call.space;
    if what == ctl::PR_SET_MM_MAP_SIZE {
        space.write_val(UserAddr::new(value), &MEMORY_MAP_SIZE)?;
        return Ok(0);
    }
    if !call.creds.has(abi::CAP_SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    let mut info = ProgramInfo::clone(&space.info());
    if what == ctl::PR_SET_MM_AUXV {
        let len = usize_of(len);
        if len == 0 || len > AUXV_MOST {
            return Err(Errno::EINVAL);
        }
        info.auxv = try_zeros(len)?;
        space.copy_in(&mut info.auxv, UserAddr::new(value))?;
    } else {
        move_part(&mut info, what, value)?;
    }
    space.set_info(try_arc(info)?);
    Ok(0)
}

fn move_part(info: &mut ProgramInfo, what: u32, value: u64) -> Result<(), Errno> {
    /// `/proc/sys/vm/mmap_min_addr`.
    const LOWEST: u64 = 65536;
    if !(LOWEST..TASK_SIZE).contains(&value) {
        return Err(Errno::EINVAL);
    }
    *match what {
        ctl::PR_SET_MM_START_CODE => &mut info.code.0,
        ctl::PR_SET_MM_END_CODE => &mut info.code.1,
        ctl::PR_SET_MM_START_DATA => &mut info.data.0,
        ctl::PR_SET_MM_END_DATA => &mut info.data.1,
        ctl::PR_SET_MM_START_STACK => &mut info.stack,
        ctl::PR_SET_MM_ARG_START => &mut info.args.0,
        ctl::PR_SET_MM_ARG_END => &mut info.args.1,
        ctl::PR_SET_MM_ENV_START => &mut info.env.0,
        ctl::PR_SET_MM_ENV_END => &mut info.env.1,
        _ => return Err(Errno::EINVAL),
    } = value;
    let in_order = [info.code, info.data, info.args, info.env]
        .iter()
        .all(|(start, end)| start <= end);
    in_order.then_some(()).ok_or(Errno::EINVAL)
}

/// The part of prctl(2) that is about capabilities.
fn capability_control(call: &Call<'_>, option: u32, second: u64, args: [u64; 4]) -> SysResult {
    let task = call.task;
    let creds = task.creds();
    let cap = u32::try_from(second).unwrap_or(u32::MAX);
    match option {
        ctl::PR_CAPBSET_READ if cap <= abi::CAP_LAST_CAP => {
            Ok(creds.caps.bounding.contains(cap).into())
        }
        ctl::PR_CAPBSET_DROP => task
            .change_creds(|creds| creds.drop_bounding(cap))
            .map(|()| 0),
        ctl::PR_GET_KEEPCAPS => Ok(creds.keeps_caps().into()),
        ctl::PR_SET_KEEPCAPS if second <= 1 => task
            .change_creds(|creds| creds.set_keep_caps(second == 1))
            .map(|()| 0),
        ctl::PR_GET_SECUREBITS => Ok(creds.securebits.into()),
        ctl::PR_SET_SECUREBITS => task
            .change_creds(|creds| creds.set_securebits(low32(second)))
            .map(|()| 0),
        ctl::PR_CAP_AMBIENT => ambient(call, args),
        _ => Err(Errno::EINVAL),
    }
}

fn ambient(call: &Call<'_>, [what, cap, rest @ ..]: [u64; 4]) -> SysResult {
    let cap = u32::try_from(cap)
        .ok()
        .filter(|cap| *cap <= abi::CAP_LAST_CAP && rest == [0; 2]);
    match (low32(what), cap) {
        (ctl::PR_CAP_AMBIENT_CLEAR_ALL, Some(0)) => call.task.change_creds(|creds| {
            creds.caps.ambient = kiln_core::cred::CapSet::EMPTY;
            Ok(0)
        }),
        (ctl::PR_CAP_AMBIENT_IS_SET, Some(cap)) => Ok(call.creds.caps.ambient.contains(cap).into()),
        (ctl::PR_CAP_AMBIENT_RAISE, Some(cap)) => call
            .task
            .change_creds(|creds| creds.raise_ambient(cap))
            .map(|()| 0),
        (ctl::PR_CAP_AMBIENT_LOWER, Some(cap)) => call.task.change_creds(|creds| {
            creds.caps.ambient = creds.caps.ambient.without(cap);
            Ok(0)
        }),
        _ => Err(Errno::EINVAL),
    }
}
