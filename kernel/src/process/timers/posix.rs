//! POSIX timers: what timer_create(2) makes, by number.

use alloc::sync::Arc;

use kiln_core::errno::Errno;
use kiln_core::signal::Signal;

use super::clock::Clock;
use super::interval::{Effect, Interval};
use crate::process::group::Process;
use crate::process::signal::signals_are_full;
use crate::process::task::Task;

/// What timer_create(2) is to do at an expiry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    /// `None`: nothing (`SIGEV_NONE`).
    pub(crate) signal: Option<Signal>,
    /// `sigev_value`; `None`: the timer's own number.
    pub(crate) value: Option<u64>,
}

/// timer_create(2). Answers the timer's number.
///
/// # Errors
/// `EAGAIN` when there are too many, `ENOMEM`.
pub(crate) fn create(
    process: &Arc<Process>,
    clock: Clock,
    notice: Notice,
    thread: Option<&Arc<Task>>,
) -> Result<i32, Errno> {
    let is_full = signals_are_full(process);
    let mut posix = process.timers.posix.lock();
    let free = posix.iter().position(Option::is_none);
    let at = free.unwrap_or(posix.len());
    drop(posix);
    let id = i32::try_from(at).map_err(|_| Errno::EAGAIN)?;
    if is_full {
        return Err(Errno::EAGAIN);
    }
    let effect = match notice.signal {
        None => Effect::Nothing,
        Some(signal) => Effect::Posix {
            signal,
            value: notice.value.unwrap_or(u64::from(id.cast_unsigned())),
            id,
            thread: thread.map(Arc::downgrade),
        },
    };
    let interval = Interval::new(process, clock, effect)?;
    posix = process.timers.posix.lock();
    while posix.len() <= at {
        posix.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        posix.push(None);
    }
    match posix.get_mut(at) {
        Some(place @ None) => *place = Some(interval),
        // Another thread was faster.
        _ => return Err(Errno::EAGAIN),
    }
    Ok(id)
}

/// The timer with this number.
///
/// # Errors
/// `EINVAL` when there is none.
pub(crate) fn get(process: &Process, id: i32) -> Result<Arc<Interval>, Errno> {
    let at = usize::try_from(id).map_err(|_| Errno::EINVAL)?;
    let posix = process.timers.posix.lock();
    posix.get(at).cloned().flatten().ok_or(Errno::EINVAL)
}

/// timer_delete(2).
///
/// # Errors
/// `EINVAL`.
pub(crate) fn delete(process: &Process, id: i32) -> Result<(), Errno> {
    let at = usize::try_from(id).map_err(|_| Errno::EINVAL)?;
    let timer = process
        .timers
        .posix
        .lock()
        .get_mut(at)
        .and_then(Option::take);
    timer.map(drop).ok_or(Errno::EINVAL)
}
