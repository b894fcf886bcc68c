//! Signals: handlers, masks, sending, waiting.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::signal::frame::{ALT_STACK_SIZE, AltStack};
use kiln_core::signal::info::SIGINFO_SIZE;
use kiln_core::signal::{SigAction, SigInfo, SigSet, Signal};

use super::time::{read_timespec, relative_deadline};
use super::{Call, SysResult};
use crate::process::signal::{self, wait};
use crate::process::{Process, Task, table};

/// Every call that takes a set tells its size.
fn check_size(size: usize) -> Result<(), Errno> {
    if size == abi::SIGSET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn read_set(call: &Call<'_>, at: UserAddr) -> Result<SigSet, Errno> {
    let bits: u64 = call.space.read_val(at)?;
    Ok(SigSet::from_bits(bits))
}

fn valid(number: i32) -> Result<Signal, Errno> {
    u32::try_from(number)
        .ok()
        .and_then(Signal::new)
        .ok_or(Errno::EINVAL)
}

/// A signal, or 0 for a mere check.
fn valid_or_none(number: i32) -> Result<Option<Signal>, Errno> {
    if number == 0 {
        Ok(None)
    } else {
        valid(number).map(Some)
    }
}

pub(super) fn rt_sigaction(
    call: &mut Call<'_>,
    number: i32,
    new: UserAddr,
    old: UserAddr,
    size: usize,
) -> SysResult {
    check_size(size)?;
    let space = call.space;
    let action = if new.is_null() {
        None
    } else {
        Some(SigAction::decode(&space.read_val(new)?))
    };
    let before = signal::set_action(call.task, valid(number)?, action)?;
    if !old.is_null() {
        space.copy_out(old, &before.encode())?;
    }
    Ok(0)
}

pub(super) fn rt_sigprocmask(
    call: &mut Call<'_>,
    how: u32,
    new: UserAddr,
    old: UserAddr,
    size: usize,
) -> SysResult {
    check_size(size)?;
    let before = call.task.blocked();
    if !new.is_null() {
        let set = read_set(call, new)?;
        let mask = match how {
            abi::SIG_BLOCK => before.union(set),
            abi::SIG_UNBLOCK => before.minus(set),
            abi::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        signal::set_blocked(call.task, mask);
    }
    if !old.is_null() {
        call.space.write_val(old, &before.bits())?;
    }
    Ok(0)
}

pub(super) fn rt_sigreturn(call: &mut Call<'_>) -> SysResult {
    Ok(signal::sigreturn(call.task, call.space, call.regs))
}

pub(super) fn rt_sigpending(call: &mut Call<'_>, set: UserAddr, size: usize) -> SysResult {
    if size > abi::SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let bits = signal::pending(call.task).bits().to_le_bytes();
    call.space
        .copy_out(set, bits.get(..size).unwrap_or_default())?;
    Ok(0)
}

pub(super) fn rt_sigsuspend(call: &mut Call<'_>, set: UserAddr, size: usize) -> SysResult {
    check_size(size)?;
    let mask = read_set(call, set)?;
    Err(wait::until_signal(call.task, Some(mask)))
}

pub(super) fn pause(call: &mut Call<'_>) -> SysResult {
    Err(wait::until_signal(call.task, None))
}

pub(super) fn rt_sigtimedwait(
    call: &mut Call<'_>,
    set: UserAddr,
    info: UserAddr,
    timeout: UserAddr,
    size: usize,
) -> SysResult {
    check_size(size)?;
    let set = read_set(call, set)?;
    let deadline = if timeout.is_null() {
        None
    } else {
        Some(relative_deadline(read_timespec(call, timeout)?.to_ns()?))
    };
    let taken = wait::take_one(call.task, set, deadline)?;
    if !info.is_null() {
        call.space.copy_out(info, &taken.encode())?;
    }
    Ok(taken.signal.number().into())
}

pub(super) fn sigaltstack(call: &mut Call<'_>, new: UserAddr, old: UserAddr) -> SysResult {
    let space = call.space;
    let stack = if new.is_null() {
        None
    } else {
        let bytes: [u8; ALT_STACK_SIZE] = space.read_val(new)?;
        Some(AltStack::decode(&bytes))
    };
    let (before, flags) = signal::set_alt_stack(call.task, stack, call.regs.rsp)?;
    if !old.is_null() {
        space.copy_out(old, &before.encode(flags))?;
    }
    Ok(0)
}

pub(super) fn kill(call: &mut Call<'_>, pid: i32, number: i32) -> SysResult {
    let Ok(signal) = valid_or_none(number) else {
        // The target is looked for before the number is judged.
        return match signal::kill(call.task, pid, None) {
            Err(Errno::ESRCH) => Err(Errno::ESRCH),
            _ => Err(Errno::EINVAL),
        };
    };
    signal::kill(call.task, pid, signal)?;
    Ok(0)
}

pub(super) fn tkill(call: &mut Call<'_>, tid: i32, number: i32) -> SysResult {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_thread(call, None, tid, number)
}

pub(super) fn tgkill(call: &mut Call<'_>, pid: i32, tid: i32, number: i32) -> SysResult {
    if pid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_thread(call, Some(pid), tid, number)
}

/// The thread, which must be of process `pid` if that is given.
fn thread(pid: Option<i32>, tid: i32) -> Result<Arc<Task>, Errno> {
    let task = table::task(tid.unsigned_abs()).ok_or(Errno::ESRCH)?;
    if pid.is_some_and(|pid| pid.unsigned_abs() != task.pid()) {
        return Err(Errno::ESRCH);
    }
    Ok(task)
}

fn send_to_thread(call: &Call<'_>, pid: Option<i32>, tid: i32, number: i32) -> SysResult {
    let task = thread(pid, tid)?;
    let number = valid_or_none(number)?;
    if !signal::may_signal(call.task, task.process(), number) {
        return Err(Errno::EPERM);
    }
    if let Some(number) = number {
        let uid = call.creds.uids.real;
        let info = SigInfo::user(number, abi::SI_TKILL, call.task.pid(), uid);
        signal::send_to_task(&task, info)?;
    }
    Ok(0)
}

/// The story that a program wrote. One that only the kernel may tell, or that pretends to come
/// from kill(2) or tgkill(2), it may send to itself only.
fn read_info(call: &Call<'_>, pid: i32, at: UserAddr) -> Result<[u8; SIGINFO_SIZE], Errno> {
    let bytes: [u8; SIGINFO_SIZE] = call.space.read_val(at)?;
    let code = SigInfo::decode(Signal::HUP, &bytes).code;
    let pretends = code >= 0 || code == abi::SI_TKILL;
    if pretends && call.task.pid().cast_signed() != pid {
        return Err(Errno::EPERM);
    }
    Ok(bytes)
}

fn with_number(number: i32, bytes: &[u8; SIGINFO_SIZE]) -> Result<Option<SigInfo>, Errno> {
    Ok(valid_or_none(number)?.map(|signal| SigInfo::decode(signal, bytes)))
}

pub(super) fn rt_sigqueueinfo(
    call: &mut Call<'_>,
    pid: i32,
    number: i32,
    info: UserAddr,
) -> SysResult {
    let bytes = read_info(call, pid, info)?;
    let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let process: Arc<Process> = table::process_of(pid).ok_or(Errno::ESRCH)?;
    signal::queue_info(call.task, &process, None, with_number(number, &bytes)?)?;
    Ok(0)
}

pub(super) fn rt_tgsigqueueinfo(
    call: &mut Call<'_>,
    pid: i32,
    tid: i32,
    number: i32,
    info: UserAddr,
) -> SysResult {
    let _: [u8; SIGINFO_SIZE] = call.space.read_val(info)?;
    if pid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = read_info(call, pid, info)?;
    let task = thread(Some(pid), tid)?;
    let info = with_number(number, &bytes)?;
    signal::queue_info(call.task, task.process(), Some(&task), info)?;
    Ok(0)
}
