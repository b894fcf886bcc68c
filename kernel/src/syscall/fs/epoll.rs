//! epoll_create(2), epoll_ctl(2), epoll_wait(2) and their kin; eventfd(2).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use super::poll::{Until, read_timespec, with_mask};
use crate::fs::epoll::{self, Interest};
use crate::fs::{File, eventfd};
use crate::sched::{Mode, Wake};
use crate::syscall::{Call, SysResult};

/// Bytes of `struct epoll_event`, which is packed on x86-64 (linux/eventpoll.h).
const EVENT_SIZE: u64 = 12;
/// Most events of one wait (fs/eventpoll.c, `EP_MAX_EVENTS`).
const MAX_EVENTS: i32 = i32::MAX / 12;
/// What `EPOLLEXCLUSIVE` may stand with.
const EXCLUSIVE_BITS: u32 = abi::EPOLLIN
    | abi::EPOLLOUT
    | abi::EPOLLERR
    | abi::EPOLLHUP
    | abi::EPOLLWAKEUP
    | abi::EPOLLET
    | abi::EPOLLEXCLUSIVE;

fn install(call: &Call<'_>, file: Arc<File>, close_on_exec: bool) -> SysResult {
    let limit = usize_of(call.task.process().limit(abi::RLIMIT_NOFILE));
    let fd = call.files.install(file, close_on_exec, limit)?;
    Ok(u64::from(fd.cast_unsigned()))
}

/// epoll_create1(2).
pub(crate) fn epoll_create1(call: &mut Call<'_>, flags: u32) -> SysResult {
    if flags & !abi::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    install(call, epoll::create(0)?, flags != 0)
}

/// epoll_create(2): the size is a hint that nobody needs, but it must be positive.
pub(crate) fn epoll_create(call: &mut Call<'_>, size: i32) -> SysResult {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    install(call, epoll::create(0)?, false)
}

/// epoll_ctl(2).
pub(crate) fn epoll_ctl(
    call: &mut Call<'_>,
    epfd: i32,
    operation: u32,
    fd: i32,
    event: UserAddr,
) -> SysResult {
    let (space, files) = (call.space, call.files);
    let mut interest = Interest { events: 0, data: 0 };
    if operation != abi::EPOLL_CTL_DEL {
        let words: [u32; 3] = space.read_val(event)?;
        let [events, low, high] = words;
        interest = Interest {
            events,
            data: u64::from(high) << 32 | u64::from(low),
        };
    }
    let (outer, file) = (files.get(epfd)?, files.get(fd)?);
    if !file.ops.can_poll() {
        return Err(Errno::EPERM);
    }
    let epoll = epoll::of(&outer)?;
    if Arc::ptr_eq(&outer, &file) {
        return Err(Errno::EINVAL);
    }
    if interest.events & abi::EPOLLEXCLUSIVE != 0 {
        let nested = epoll::of(&file).is_ok();
        if operation == abi::EPOLL_CTL_MOD || nested || interest.events & !EXCLUSIVE_BITS != 0 {
            return Err(Errno::EINVAL);
        }
    }
    match operation {
        abi::EPOLL_CTL_ADD => epoll.add(fd, &file, interest)?,
        abi::EPOLL_CTL_MOD => epoll.modify(fd, &file, interest)?,
        abi::EPOLL_CTL_DEL => epoll.remove(fd, &file)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn wait(call: &Call<'_>, epfd: i32, events: UserAddr, max: i32, until: Until) -> SysResult {
    let file = call.files.get(epfd)?;
    if max <= 0 || max > MAX_EVENTS {
        return Err(Errno::EINVAL);
    }
    let max = usize::try_from(max).map_err(|_| Errno::EINVAL)?;
    if !events.range_is_user(max * 12) {
        return Err(Errno::EFAULT);
    }
    let epoll = epoll::of(&file)?;
    loop {
        let count = epoll.collect(max, |index, event| {
            let at = events
                .checked_add(u64_of(index) * EVENT_SIZE)
                .ok_or(Errno::EFAULT)?;
            let data = event.data;
            let words = [
                event.events,
                kiln_core::num::low32(data),
                kiln_core::num::high32(data),
            ];
            call.space.write_val(at, &words)
        })?;
        let deadline = match until {
            _ if count > 0 => return Ok(u64_of(count)),
            Until::Now => return Ok(0),
            Until::Time(deadline) => Some(deadline),
            Until::Forever => None,
        };
        let ready = || epoll.has_candidates().then_some(());
        match epoll.queue().wait(Mode::Interruptible, deadline, ready) {
            Ok(()) => {}
            Err(Wake::Timeout) => return Ok(0),
            Err(Wake::Signal) => return Err(Errno::ERESTARTNOHAND),
        }
    }
}

fn milliseconds(timeout: i32) -> Until {
    match u64::try_from(timeout) {
        Ok(ms) => Until::after(ms * 1_000_000),
        Err(_) => Until::Forever,
    }
}

/// epoll_wait is never restarted: a signal is EINTR (signal(7)).
fn interrupted(result: SysResult) -> SysResult {
    match result {
        Err(Errno::ERESTARTNOHAND) => Err(Errno::EINTR),
        result => result,
    }
}

/// epoll_wait(2).
pub(crate) fn epoll_wait(
    call: &mut Call<'_>,
    epfd: i32,
    events: UserAddr,
    max: i32,
    timeout: i32,
) -> SysResult {
    interrupted(wait(call, epfd, events, max, milliseconds(timeout)))
}

/// epoll_pwait(2).
pub(crate) fn epoll_pwait(
    call: &mut Call<'_>,
    epfd: i32,
    events: UserAddr,
    max: i32,
    timeout: i32,
    mask: UserAddr,
    mask_size: usize,
) -> SysResult {
    let space = call.space;
    interrupted(with_mask(call.task, space, (mask, mask_size), || {
        wait(call, epfd, events, max, milliseconds(timeout))
    }))
}

/// epoll_pwait2(2).
pub(crate) fn epoll_pwait2(
    call: &mut Call<'_>,
    epfd: i32,
    events: UserAddr,
    max: i32,
    timeout: UserAddr,
    mask: UserAddr,
    mask_size: usize,
) -> SysResult {
    let space = call.space;
    let until = read_timespec(space, timeout)?;
    interrupted(with_mask(call.task, space, (mask, mask_size), || {
        wait(call, epfd, events, max, until)
    }))
}

/// eventfd2(2).
pub(crate) fn eventfd2(call: &mut Call<'_>, value: u32, flags: u32) -> SysResult {
    install(
        call,
        eventfd::create(value, flags)?,
        flags & abi::EFD_CLOEXEC != 0,
    )
}

/// eventfd(2).
pub(crate) fn eventfd(call: &mut Call<'_>, value: u32) -> SysResult {
    install(call, eventfd::create(value, 0)?, false)
}
