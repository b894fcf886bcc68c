//! POSIX timers: what timer_create(2) makes, by number.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use kiln_core::errno::Errno;
use kiln_core::signal::Signal;

use super::clock::Clock;
use super::interval::{Effect, Interval};
use crate::process::group::Process;
use crate::process::signal::signals_are_full;
use crate::process::task::Task;

/// How many timers all processes have together.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// How many timers there are anywhere: no user has more.
pub(in crate::process) fn made_anywhere() -> usize {
    MADE.load(Ordering::Relaxed)
}

/// A process's timers. A number comes again only when all others have been used.
#[derive(Default)]
pub(super) struct Timers {
    /// By number, ascending.
    made: Vec<(i32, Arc<Interval>)>,
    next: i32,
}

impl Timers {
    /// Where the timer with this number is, or would be.
    pub(super) fn place(&self, id: i32) -> Result<usize, usize> {
        self.made.binary_search_by_key(&id, |(own, _)| *own)
    }

    fn next_id(&mut self) -> i32 {
        loop {
            let id = self.next;
            self.next = id.checked_add(1).unwrap_or(0);
            if self.place(id).is_err() {
                return id;
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.made.len()
    }

    /// All of them, which are no more.
    pub(super) fn take(&mut self) -> Vec<(i32, Arc<Interval>)> {
        MADE.fetch_sub(self.made.len(), Ordering::Relaxed);
        core::mem::take(&mut self.made)
    }
}

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
    if signals_are_full(process) {
        return Err(Errno::EAGAIN);
    }
    let id = process.timers.posix.lock().next_id();
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
    let mut posix = process.timers.posix.lock();
    let place = posix.place(id).unwrap_or_else(|free| free);
    posix.made.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    posix.made.insert(place, (id, interval));
    MADE.fetch_add(1, Ordering::Relaxed);
    Ok(id)
}

/// The timer with this number.
///
/// # Errors
/// `EINVAL` when there is none.
pub(crate) fn get(process: &Process, id: i32) -> Result<Arc<Interval>, Errno> {
    let posix = process.timers.posix.lock();
    let found = posix.place(id).ok().and_then(|at| posix.made.get(at));
    found
        .map(|(_, timer)| Arc::clone(timer))
        .ok_or(Errno::EINVAL)
}

/// timer_delete(2).
///
/// # Errors
/// `EINVAL`.
pub(crate) fn delete(process: &Process, id: i32) -> Result<(), Errno> {
    let mut posix = process.timers.posix.lock();
    let at = posix.place(id).map_err(|_| Errno::EINVAL)?;
    let timer = posix.made.remove(at);
    MADE.fetch_sub(1, Ordering::Relaxed);
    drop(posix);
    drop(timer);
    release_entries(process);
    Ok(())
}

/// What deleted timers have sent is a signal like any other, and counts: their places are gone.
pub(super) fn release_entries(process: &Process) {
    let mut group = process.group.lock();
    let posix = process.timers.posix.lock();
    let is_gone = |id: u32| posix.place(id.cast_signed()).is_err();
    group.pending.release_timers(is_gone);
    for task in &group.tasks {
        task.signals.lock().pending.release_timers(is_gone);
    }
}
