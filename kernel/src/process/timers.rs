//! A process's timers: alarm(2) and setitimer(2), timer_create(2), and the limit of processor time.
//!
//! All are [`Interval`]s: a deadline on a [`Clock`], a period, and a signal. Clocks of processor time
//! never run faster than real time on one CPU, so such a timer looks again when as much real time
//! has passed as processor time was left (by as many CPUs as a process can use). A periodic timer starts over when its signal is taken,
//! not when it is sent, so that a short period can't swamp the machine; the periods in between
//! are its overrun.
//!
//! Here are the timers that each process has; [`posix`] makes those that a program numbers, [`limit`] sees to
//! `RLIMIT_CPU` and `RLIMIT_RTTIME`.

mod clock;
mod interval;
mod limit;
pub(crate) mod posix;

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::num::usize_of;
use kiln_core::signal::{SigInfo, Signal};

use super::group::Process;
use crate::sync::{Once, SpinLock};
pub(crate) use clock::Clock;
use interval::Effect;
pub(crate) use interval::{Interval, Setting};
pub(crate) use limit::{watch_all_limits, watch_cpu_limit, watch_real_time_limit};

/// The timers of a process.
#[derive(Default)]
pub(crate) struct ProcessTimers {
    /// `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`, and `RLIMIT_CPU` and `RLIMIT_RTTIME`; made when
    /// first set.
    intervals: [Once<Arc<Interval>>; 5],
    posix: SpinLock<posix::Timers>,
}

impl ProcessTimers {
    /// The timer of setitimer(2)'s number.
    ///
    /// # Errors
    /// `EINVAL` for another number, `ENOMEM`.
    fn interval(&self, process: &Arc<Process>, which: u32) -> Result<Arc<Interval>, Errno> {
        let (clock, effect) = match which {
            abi::ITIMER_REAL => (Clock::Monotonic, Effect::Signal(Signal::ALRM)),
            abi::ITIMER_VIRTUAL => (
                Clock::Process(Arc::downgrade(process), true),
                Effect::Signal(Signal::VTALRM),
            ),
            abi::ITIMER_PROF => (
                Clock::Process(Arc::downgrade(process), false),
                Effect::Signal(Signal::PROF),
            ),
            _ => return Err(Errno::EINVAL),
        };
        self.get_or_make(process, usize_of(u64::from(which)), clock, effect)
    }

    fn get_or_make(
        &self,
        process: &Arc<Process>,
        which: usize,
        clock: Clock,
        effect: Effect,
    ) -> Result<Arc<Interval>, Errno> {
        let slot = self.intervals.get(which).ok_or(Errno::EINVAL)?;
        if let Some(interval) = slot.get() {
            return Ok(Arc::clone(interval));
        }
        let made = Interval::new(process, clock, effect)?;
        Ok(Arc::clone(slot.call_once(|| made)))
    }

    /// Stops everything: the process has ended.
    pub(super) fn clear(&self, process: &Process) {
        for interval in self.intervals.iter().filter_map(Once::get) {
            interval.disarm();
        }
        self.delete_posix(process);
    }

    /// How many timers timer_create(2) made.
    pub(super) fn posix_count(&self) -> usize {
        self.posix.lock().count()
    }

    /// Whether the timer that sent a signal is still there.
    pub(super) fn has_posix(&self, info: &SigInfo) -> bool {
        self.posix.lock().place(info.pid().cast_signed()).is_ok()
    }

    /// Deletes what timer_create(2) made: at exec and at the end.
    pub(super) fn delete_posix(&self, process: &Process) {
        let timers = self.posix.lock().take();
        if !timers.is_empty() {
            drop(timers);
            posix::release_entries(process);
        }
    }
}

/// getitimer(2).
///
/// # Errors
/// `EINVAL`.
pub(crate) fn get_interval(process: &Arc<Process>, which: u32) -> Result<Setting, Errno> {
    if which > abi::ITIMER_PROF {
        return Err(Errno::EINVAL);
    }
    let slot = process.timers.intervals.get(usize_of(u64::from(which)));
    Ok(slot
        .and_then(Once::get)
        .map_or(Setting::default(), |timer| timer.get()))
}

/// setitimer(2) and alarm(2). Gives the old setting.
///
/// # Errors
/// `EINVAL`, `ENOMEM`.
pub(crate) fn set_interval(
    process: &Arc<Process>,
    which: u32,
    new: Setting,
) -> Result<Setting, Errno> {
    Ok(process.timers.interval(process, which)?.set(new, false))
}

/// Whether a timer may have sent this signal.
pub(super) fn may_have_sent(info: &SigInfo) -> bool {
    info.is_by_timer() || matches!(info.signal, Signal::ALRM | Signal::VTALRM | Signal::PROF)
}

/// A signal was taken from a queue: when a timer sent it, that timer goes on, and the signal tells
/// how many periods were missed.
pub(super) fn dequeued(process: &Arc<Process>, info: SigInfo) -> SigInfo {
    if info.is_by_timer() {
        let id = info.pid().cast_signed();
        let Ok(timer) = posix::get(process, id) else {
            return info;
        };
        let missed = timer.start_over(0);
        let overrun = i32::try_from(missed).unwrap_or(i32::MAX);
        timer.overrun.store(overrun, Ordering::Relaxed);
        return info.with_overrun(overrun);
    }
    let which = match info.signal {
        Signal::ALRM => abi::ITIMER_REAL,
        Signal::VTALRM => abi::ITIMER_VIRTUAL,
        Signal::PROF => abi::ITIMER_PROF,
        _ => return info,
    };
    let slot = process.timers.intervals.get(usize_of(u64::from(which)));
    if let Some(timer) = slot.and_then(Once::get) {
        timer.start_over(0);
    }
    info
}
