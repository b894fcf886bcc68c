//! Calls on process descriptors ([`crate::process::pidfd`]), and kcmp(2).

use alloc::sync::Arc;
use core::cmp::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of, usize_of32};
use kiln_core::signal::info::SIGINFO_SIZE;
use kiln_core::signal::{SigInfo, Signal};

use super::fs::vectored::vectors;
use super::{Call, SysResult};
use crate::fs::epoll;
use crate::process::{Task, pidfd, proc, signal, table};

/// `PIDFD_NONBLOCK` (linux/pidfd.h).
const NONBLOCK: u32 = abi::O_NONBLOCK;

pub(super) fn pidfd_open(call: &mut Call<'_>, pid: i32, flags: u32) -> SysResult {
    let number = u32::try_from(pid).ok().filter(|pid| *pid > 0);
    let (0, Some(number)) = (flags & !NONBLOCK, number) else {
        return Err(Errno::EINVAL);
    };
    let process = table::process_of(number).ok_or(Errno::ESRCH)?;
    if process.pid() != number {
        return Err(Errno::EINVAL);
    }
    let fd = pidfd::install(call.task, &process, flags)?;
    Ok(u64::from(fd.cast_unsigned()))
}

pub(super) fn pidfd_send_signal(
    call: &mut Call<'_>,
    fd: i32,
    number: i32,
    info: UserAddr,
    flags: u32,
) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let process = pidfd::signalled(call.task, fd)?;
    let told = if info.is_null() {
        None
    } else {
        Some(read_info(call, &process, number, info)?)
    };
    let signal = match u32::try_from(number) {
        Ok(0) => None,
        Ok(number) => Some(Signal::new(number).ok_or(Errno::EINVAL)?),
        Err(_) => return Err(Errno::EINVAL),
    };
    pidfd::must_live(&process)?;
    let info = signal.map(|signal| match told {
        Some(bytes) => SigInfo::decode(signal, &bytes),
        None => {
            let uid = call.creds.uids.real;
            SigInfo::user(signal, abi::SI_USER.cast_signed(), call.task.pid(), uid)
        }
    });
    signal::queue_info(call.task, &process, None, info)?;
    Ok(0)
}

/// The story that goes with the signal; what only the kernel tells, a program tells itself alone.
fn read_info(
    call: &Call<'_>,
    process: &Arc<crate::process::Process>,
    number: i32,
    at: UserAddr,
) -> Result<[u8; SIGINFO_SIZE], Errno> {
    let bytes: [u8; SIGINFO_SIZE] = call.space.read_val(at)?;
    let told = bytes.first_chunk().copied().unwrap_or_default();
    if i32::from_le_bytes(told) != number {
        return Err(Errno::EINVAL);
    }
    let code = SigInfo::decode(Signal::HUP, &bytes).code;
    let pretends = code >= 0 || code == abi::SI_TKILL;
    if pretends && !Arc::ptr_eq(process, call.task.process()) {
        return Err(Errno::EPERM);
    }
    Ok(bytes)
}

pub(super) fn pidfd_getfd(call: &mut Call<'_>, fd: i32, target: i32, flags: u32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let process = pidfd::living(call.task, fd)?;
    let other = process.first_task().ok_or(Errno::ESRCH)?;
    if !proc::may_inspect(call.task, &other) {
        return Err(Errno::EPERM);
    }
    let file = other.files()?.get_any(target)?;
    let limit = usize_of(call.task.process().limit(abi::RLIMIT_NOFILE));
    let fd = call.files.install(file, true, limit)?;
    Ok(u64::from(fd.cast_unsigned()))
}

pub(super) fn process_mrelease(call: &mut Call<'_>, fd: i32, flags: u32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let process = pidfd::living(call.task, fd)?;
    let task = process.first_task().ok_or(Errno::ESRCH)?;
    // A process on its way to its end gives its memory back by itself, at once.
    if task.is_ending() {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}

/// Advice that may be given about another process's memory (`process_madvise_remote_valid`).
const REMOTE_ADVICE: [u32; 4] = [
    abi::MADV_COLD,
    abi::MADV_PAGEOUT,
    abi::MADV_WILLNEED,
    abi::MADV_COLLAPSE,
];

pub(super) fn process_madvise(
    call: &mut Call<'_>,
    fd: i32,
    iov: UserAddr,
    count: u64,
    advice: u32,
    flags: u32,
) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let pieces = vectors(call.space, iov, count)?;
    let process = pidfd::living(call.task, fd)?;
    let other = process.first_task().ok_or(Errno::ESRCH)?;
    if !REMOTE_ADVICE.contains(&advice) {
        return Err(Errno::EINVAL);
    }
    let space = other.space()?;
    if !proc::may_inspect(call.task, &other) {
        return Err(Errno::EACCES);
    }
    if !call.creds.has(abi::CAP_SYS_NICE) {
        return Err(Errno::EPERM);
    }
    let mut done = 0;
    for piece in &pieces {
        match space.madvise(piece.base.raw(), u64_of(piece.len), advice) {
            Ok(()) => done += u64_of(piece.len),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// What kcmp(2) compares, by its number (linux/kcmp.h).
const COMPARABLE: u32 = 7;
/// A file with one that an epoll file of the other task's watches: the second index is a `struct
/// kcmp_epoll_slot`'s address (epoll's descriptor, the watched one, and which of its files).
const EPOLL_TARGET: u32 = 7;

pub(super) fn kcmp(
    call: &mut Call<'_>,
    pid1: i32,
    pid2: i32,
    kind: u32,
    index1: u64,
    index2: u64,
) -> SysResult {
    let find = |pid: i32| {
        let number = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
        table::task(number).ok_or(Errno::ESRCH)
    };
    let (first, second) = (find(pid1)?, find(pid2)?);
    if !proc::may_inspect(call.task, &first) || !proc::may_inspect(call.task, &second) {
        return Err(Errno::EPERM);
    }
    let order = match kind {
        ..COMPARABLE => thing(&first, kind, index1)?.cmp(&thing(&second, kind, index2)?),
        EPOLL_TARGET => {
            let at = UserAddr::new(index2);
            let [epoll, fd, skip]: [u32; 3] = call.space.read_val(at)?;
            let file = thing(&first, 0, index1)?;
            let files = second.files()?;
            let epoll = files.get_any(epoll.cast_signed())?;
            let target = epoll::of(&epoll)?.target(fd.cast_signed(), usize_of32(skip))?;
            file.cmp(&mixed(Arc::as_ptr(&target).addr()))
        }
        _ => return Err(Errno::EINVAL),
    };
    Ok(match order {
        Ordering::Equal => 0,
        Ordering::Less => 1,
        Ordering::Greater => 2,
    })
}

/// Where the thing compared is, mixed so that the kernel's addresses stay its own. I/O contexts and
/// lists of semaphore undos are nobody's, so they are all alike.
fn thing(task: &Arc<Task>, kind: u32, index: u64) -> Result<usize, Errno> {
    let address = match kind {
        0 => {
            let fd = i32::try_from(index).map_err(|_| Errno::EBADF)?;
            Arc::as_ptr(&task.files()?.get_any(fd)?).addr()
        }
        1 => Arc::as_ptr(&task.space()?).addr(),
        2 => Arc::as_ptr(&task.files()?).addr(),
        3 => Arc::as_ptr(&task.fs()?).addr(),
        4 => task.process().actions_address(),
        _ => 0,
    };
    Ok(mixed(address))
}

fn mixed(address: usize) -> usize {
    address.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17)
}
