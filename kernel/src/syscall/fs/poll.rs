//! poll(2) and ppoll(2), and what all calls that wait for descriptors share: [`Until`], [`wait_ready`], the signal mask
//! that holds meanwhile. Neighbours: [`select`](super::select), [`epoll`](super::epoll).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{low16, low32, u64_of, usize_of, usize_of32};
use kiln_core::signal::SigSet;
use kiln_core::time::{TIMESPEC_SIZE, Timespec};

use crate::arch::time::now_ns;
use crate::fs::{Events, FdTable, Watch};
use crate::process::{Restart, Task, signal};
use crate::sched::{Mode, Poller, Wake};
use crate::syscall::{Call, SysResult};
use crate::vm::AddressSpace;

/// Bytes of `struct pollfd`: descriptor, events, results (asm-generic/poll.h).
const POLLFD_SIZE: usize = 8;
/// Bytes of the kernel's `sigset_t`.
const SIGSET_SIZE: usize = 8;

/// How long to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Not at all.
    Now,
    /// To this time of `now_ns`.
    Time(u64),
    /// For ever.
    Forever,
}

impl Until {
    /// `ns` nanoseconds from now.
    pub(crate) fn after(ns: u64) -> Self {
        match ns {
            0 => Self::Now,
            _ => Self::Time(now_ns().saturating_add(ns)),
        }
    }

    /// Nanoseconds that are left.
    pub(super) fn left(self) -> u64 {
        match self {
            Self::Time(deadline) => deadline.saturating_sub(now_ns()),
            _ => 0,
        }
    }
}

/// Waits until `scan`, which looks at every file and adds it to the watch it is given, counts
/// something.
///
/// # Errors
/// `EINTR`'s place is taken by `ERESTARTNOHAND`; `ENOMEM`; those of `scan`.
pub(crate) fn wait_ready(
    until: Until,
    mut scan: impl FnMut(Option<&mut dyn Watch>) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    if until == Until::Now {
        return scan(None);
    }
    let mut poller = Poller::new()?;
    let ready = scan(Some(&mut poller))?;
    if ready > 0 {
        return Ok(ready);
    }
    poller.check()?;
    let deadline = match until {
        Until::Time(deadline) => Some(deadline),
        _ => None,
    };
    loop {
        let woken = poller.wait(deadline, Mode::Interruptible);
        // What became ready counts even when the time is up or a signal came.
        let ready = scan(None)?;
        match woken {
            _ if ready > 0 => return Ok(ready),
            Ok(()) => {}
            Err(Wake::Timeout) => return Ok(0),
            Err(Wake::Signal) => return Err(Errno::ERESTARTNOHAND),
        }
    }
}

/// Always told, asked for or not.
const UNASKED: Events = Events::ERR.union(Events::HUP).union(Events::NVAL);

/// The state of one descriptor.
pub(super) fn look(
    files: &FdTable,
    fd: i32,
    wanted: Events,
    watch: Option<&mut dyn Watch>,
) -> Events {
    match files.get(fd) {
        Ok(file) => file
            .ops
            .poll(&file, watch)
            .intersection(wanted.union(UNASKED)),
        Err(_) => Events::NVAL,
    }
}

// --- poll ----------------------------------------------------------------------------------------

#[derive(Clone, Copy)]
struct PollFd {
    fd: i32,
    events: Events,
    results: Events,
}

const NOTHING: PollFd = PollFd {
    fd: -1,
    events: Events::empty(),
    results: Events::empty(),
};
/// Lists no longer than this need no memory from the heap.
const FEW: usize = 8;

fn read_pollfds(
    space: &Arc<AddressSpace>,
    fds: UserAddr,
    list: &mut [PollFd],
) -> Result<(), Errno> {
    for (index, entry) in (0u64..).zip(list) {
        let at = fds
            .checked_add(index * u64_of(POLLFD_SIZE))
            .ok_or(Errno::EFAULT)?;
        let word: u64 = space.read_val(at)?;
        *entry = PollFd {
            fd: low32(word).cast_signed(),
            events: Events::from_bits_truncate(u32::from(low16(word >> 32))),
            results: Events::empty(),
        };
    }
    Ok(())
}

fn write_results(space: &Arc<AddressSpace>, fds: UserAddr, list: &[PollFd]) -> Result<(), Errno> {
    for (index, entry) in (0u64..).zip(list) {
        let at = fds
            .checked_add(index * u64_of(POLLFD_SIZE) + 6)
            .ok_or(Errno::EFAULT)?;
        space.write_val(at, &low16(u64::from(entry.results.bits())))?;
    }
    Ok(())
}

fn do_poll(task: &Arc<Task>, fds: UserAddr, count: u32, until: Until) -> SysResult {
    if u64::from(count) > task.process().limit(kiln_core::abi::RLIMIT_NOFILE) {
        return Err(Errno::EINVAL);
    }
    let (space, files) = (task.space()?, task.files()?);
    let count = usize_of32(count);
    let (mut few, mut many) = ([NOTHING; FEW], Vec::new());
    let list = match few.get_mut(..count) {
        Some(few) => few,
        None => {
            many.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
            many.resize(count, NOTHING);
            many.as_mut_slice()
        }
    };
    read_pollfds(&space, fds, list)?;
    let ready = wait_ready(until, |mut watch| {
        let mut ready = 0;
        for entry in list.iter_mut().filter(|entry| entry.fd >= 0) {
            // Once something is ready nobody will wait, so the rest needn't be watched.
            let watch = if ready == 0 {
                reborrow(&mut watch)
            } else {
                None
            };
            entry.results = look(&files, entry.fd, entry.events, watch);
            ready += usize::from(!entry.results.is_empty());
        }
        Ok(ready)
    })?;
    write_results(&space, fds, list)?;
    Ok(u64_of(ready))
}

/// The same watch once more.
pub(super) fn reborrow<'a>(watch: &'a mut Option<&mut dyn Watch>) -> Option<&'a mut dyn Watch> {
    match watch {
        Some(watch) => Some(&mut **watch),
        None => None,
    }
}

/// poll(2). A negative timeout is none.
pub(crate) fn poll(call: &mut Call<'_>, fds: UserAddr, count: u32, timeout: i32) -> SysResult {
    let until = match u64::try_from(timeout) {
        Ok(ms) => Until::after(ms * 1_000_000),
        Err(_) => Until::Forever,
    };
    let result = poll_until(call.task, fds, count, until);
    if count == 0 && !fds.range_is_user(0) {
        // The list is checked where it would be written, even when nothing is in it.
        return result.and(Err(Errno::EFAULT));
    }
    result
}

/// poll with its deadline fixed: also how restart_syscall(2) goes on with it.
pub(crate) fn poll_until(task: &Arc<Task>, fds: UserAddr, count: u32, until: Until) -> SysResult {
    match do_poll(task, fds, count, until) {
        Err(Errno::ERESTARTNOHAND) => {
            let deadline = match until {
                Until::Time(deadline) => deadline,
                _ => u64::MAX,
            };
            task.set_restart(Restart::Poll {
                fds,
                count,
                deadline,
            });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        result => result,
    }
}

/// ppoll(2).
pub(crate) fn ppoll(
    call: &mut Call<'_>,
    fds: UserAddr,
    count: u32,
    timeout: UserAddr,
    mask: UserAddr,
    mask_size: usize,
) -> SysResult {
    let space = call.space;
    let until = read_timespec(space, timeout)?;
    with_mask(call.task, space, (mask, mask_size), || {
        let result = do_poll(call.task, fds, count, until);
        let left = Timespec::from_ns(until.left());
        store_left(call.task, space, timeout, until, left.encode());
        result
    })
}

/// A relative timeout; null is none.
pub(crate) fn read_timespec(space: &Arc<AddressSpace>, at: UserAddr) -> Result<Until, Errno> {
    if at.is_null() {
        return Ok(Until::Forever);
    }
    let bytes: [u8; TIMESPEC_SIZE] = space.read_val(at)?;
    Timespec::decode(&bytes).to_ns().map(Until::after)
}

/// Where a mask lies and how long it claims to be, as a pair at `at` says; null is none.
pub(super) fn mask_argument(
    space: &Arc<AddressSpace>,
    at: UserAddr,
) -> Result<(UserAddr, usize), Errno> {
    if at.is_null() {
        return Ok((UserAddr::NULL, 0));
    }
    let [mask, size]: [u64; 2] = space.read_val(at)?;
    Ok((UserAddr::new(mask), usize_of(size)))
}

/// Takes the signal mask that holds for the call.
fn swap_mask(
    task: &Arc<Task>,
    space: &Arc<AddressSpace>,
    mask: UserAddr,
    size: usize,
) -> Result<(), Errno> {
    if mask.is_null() {
        return Ok(());
    }
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    signal::swap_mask_for_call(task, SigSet::from_bits(space.read_val(mask)?));
    Ok(())
}

/// Puts the mask back, unless a signal's delivery is going to.
fn finish(task: &Arc<Task>, result: SysResult, mask: UserAddr) {
    if !mask.is_null() && result != Err(Errno::ERESTARTNOHAND) {
        signal::restore_mask_after_call(task);
    }
}

/// Waits with the caller's mask: where it is, and how long it claims to be.
pub(super) fn with_mask(
    task: &Arc<Task>,
    space: &Arc<AddressSpace>,
    (mask, size): (UserAddr, usize),
    wait: impl FnOnce() -> SysResult,
) -> SysResult {
    swap_mask(task, space, mask, size)?;
    let result = wait();
    finish(task, result, mask);
    result
}

/// `STICKY_TIMEOUTS` (linux/personality.h).
const STICKY_TIMEOUTS: u32 = 0x400_0000;

/// Tells the caller how much time was left, unless its personality is of a system that doesn't. It may not be
/// writable: Linux doesn't mind.
pub(super) fn store_left(
    task: &Task,
    space: &Arc<AddressSpace>,
    at: UserAddr,
    until: Until,
    left: [u8; TIMESPEC_SIZE],
) {
    let sticky = task.personality().load(Ordering::Relaxed) & STICKY_TIMEOUTS != 0;
    if !at.is_null() && until != Until::Forever && !sticky {
        let _ = space.write_val(at, &left);
    }
}
