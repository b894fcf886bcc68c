//! timerfd_create(2): a timer whose expiries are read from a file.
//!
//! A [`TimerFd`] is armed once for each expiry that somebody learns of: a periodic one that nobody
//! reads stands still after its first, and the periods that have passed are reckoned when it is
//! read, so that a short period can't swamp the machine. All clocks run as the monotonic one, the
//! wall's with an offset; [`clock_was_set`] tells the timers that depend on it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::time::{Timespec, periods};

use super::anon::event_file;
use super::clock;
use super::file::{Events, File, FileOps, Ioctl, Watch};
use super::memory::{try_arc, try_push};
use crate::arch::time::now_ns;
use crate::sched::{Mode, OnExpiry, Timer, WaitQueue};
use crate::sync::{Once, SpinLock};
use crate::vm::IoDst;

/// Bytes of a read.
const SIZE: usize = 8;
/// `TFD_IOC_SET_TICKS` (linux/timerfd.h).
const SET_TICKS: u32 = 0x4008_5400;

/// Time left and period in nanoseconds; 0 left: not running.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setting {
    /// Until the next expiry, or when it is.
    pub(crate) value: u64,
    /// From one to the next.
    pub(crate) interval: u64,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// On the timer's own clock; 0: not running.
    deadline: u64,
    interval: u64,
    /// The deadline is a time of the wall clock, and moves when that is set.
    wall: bool,
    /// The deadline has passed and nobody has reckoned with it.
    expired: bool,
    /// Expiries to be read, the last of which may stand for more.
    ticks: u64,
    /// Flags of the last timerfd_settime(2).
    flags: u32,
    /// Reading is to be told when the clock is set.
    cancellable: bool,
    /// The clock was set since.
    cancelled: bool,
}

/// The timer behind a file.
pub(crate) struct TimerFd {
    clock: u32,
    state: SpinLock<State>,
    timer: Once<Timer>,
    queue: Arc<WaitQueue>,
}

/// Timers of the wall clock: those that setting it concerns.
static WALL: SpinLock<Vec<Weak<TimerFd>>> = SpinLock::new(Vec::new());

/// Whether a clock is the time of day.
fn is_wall(clock: u32) -> bool {
    matches!(clock, abi::CLOCK_REALTIME | abi::CLOCK_REALTIME_ALARM)
}

/// Whether a clock also wakes a sleeping machine, for which there is a capability.
fn is_alarm(clock: u32) -> bool {
    matches!(clock, abi::CLOCK_REALTIME_ALARM | abi::CLOCK_BOOTTIME_ALARM)
}

/// A new timer; `flags` are `TFD_*`, `may_wake` says whether the caller has `CAP_WAKE_ALARM`.
///
/// # Errors
/// `EINVAL` for unknown flags or clocks, `EPERM`, `ENOMEM`.
pub(crate) fn create(clock: i32, flags: u32, may_wake: bool) -> Result<Arc<File>, Errno> {
    let clock = u32::try_from(clock).map_err(|_| Errno::EINVAL)?;
    let known = is_wall(clock)
        || is_alarm(clock)
        || matches!(clock, abi::CLOCK_MONOTONIC | abi::CLOCK_BOOTTIME);
    if flags & !(abi::O_CLOEXEC | abi::O_NONBLOCK) != 0 || !known {
        return Err(Errno::EINVAL);
    }
    if is_alarm(clock) && !may_wake {
        return Err(Errno::EPERM);
    }
    let timer = try_arc(TimerFd {
        clock,
        state: SpinLock::new(State::default()),
        timer: Once::new(),
        queue: try_arc(WaitQueue::new())?,
    })?;
    let target: Weak<TimerFd> = Arc::downgrade(&timer);
    let hook = Timer::new(target)?;
    timer.timer.call_once(|| hook);
    if is_wall(clock) {
        let mut wall = WALL.lock();
        wall.retain(|timer| timer.strong_count() > 0);
        try_push(&mut wall, Arc::downgrade(&timer))?;
    }
    event_file(b"[timerfd]", timer, flags)
}

/// The timer behind a file.
///
/// # Errors
/// `EINVAL` when it isn't one.
pub(crate) fn of(file: &File) -> Result<&TimerFd, Errno> {
    file.ops_as().ok_or(Errno::EINVAL)
}

/// Somebody set the wall clock.
pub(crate) fn clock_was_set() {
    let mut index = 0;
    loop {
        let timer = match WALL.lock().get(index) {
            Some(timer) => timer.upgrade(),
            None => return,
        };
        if let Some(timer) = timer {
            timer.clock_moved();
        }
        index += 1;
    }
}

impl State {
    /// The time on the clock that the deadline is of.
    fn now(&self) -> u64 {
        let base = if self.wall { clock::boot_time() } else { 0 };
        base.saturating_add(now_ns())
    }

    /// The deadline since boot.
    fn since_boot(&self) -> u64 {
        let base = if self.wall { clock::boot_time() } else { 0 };
        self.deadline.saturating_sub(base)
    }

    /// Counts the periods that passed after the first expiry, and goes on to the next.
    fn catch_up(&mut self) -> Option<u64> {
        if !self.expired || self.interval == 0 {
            return None;
        }
        self.expired = false;
        let (passed, next) = periods(self.deadline, self.interval, self.now());
        self.ticks = self.ticks.saturating_add(passed - 1);
        self.deadline = next;
        Some(self.since_boot())
    }

    /// What is left, and the period.
    fn setting(&self) -> Setting {
        let left = if self.expired || self.deadline == 0 {
            0
        } else {
            // It is running as long as it hasn't expired.
            self.deadline.saturating_sub(self.now()).max(1)
        };
        Setting {
            value: left,
            interval: self.interval,
        }
    }
}

impl TimerFd {
    fn arm(&self, deadline: u64) {
        if let Some(timer) = self.timer.get() {
            timer.arm(deadline);
        }
    }

    /// timerfd_settime(2): answers the setting before.
    ///
    /// # Errors
    /// `EPERM` for a clock that needs a capability, `ECANCELED` when the clock was set before.
    pub(crate) fn set(&self, new: Setting, flags: u32, may_wake: bool) -> Result<Setting, Errno> {
        const BOTH: u32 = abi::TFD_TIMER_ABSTIME | abi::TFD_TIMER_CANCEL_ON_SET;
        if is_alarm(self.clock) && !may_wake {
            return Err(Errno::EPERM);
        }
        let mut state = self.state.lock();
        let _ = state.catch_up();
        let old = state.setting();
        let absolute = flags & abi::TFD_TIMER_ABSTIME != 0;
        let cancelled = state.cancelled;
        *state = State {
            interval: new.interval,
            wall: is_wall(self.clock) && absolute,
            flags,
            cancellable: is_wall(self.clock) && flags & BOTH == BOTH,
            ..State::default()
        };
        if new.value != 0 {
            state.deadline = if absolute {
                new.value
            } else {
                state.now().saturating_add(new.value)
            };
        }
        let (running, deadline) = (state.deadline != 0, state.since_boot());
        let told = cancelled && state.cancellable;
        drop(state);
        if running {
            self.arm(deadline);
        } else if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
        if told {
            return Err(Errno::ECANCELED);
        }
        Ok(old)
    }

    /// timerfd_gettime(2).
    pub(crate) fn get(&self) -> Setting {
        let mut state = self.state.lock();
        let again = state.catch_up();
        let setting = state.setting();
        drop(state);
        if let Some(deadline) = again {
            self.arm(deadline);
        }
        setting
    }

    fn clock_moved(&self) {
        let mut state = self.state.lock();
        let again =
            (state.wall && state.deadline != 0 && !state.expired).then(|| state.since_boot());
        let tell = state.cancellable;
        // One that is cancellable later learns of it then.
        state.cancelled = true;
        if tell {
            state.ticks = state.ticks.saturating_add(1);
        }
        drop(state);
        if let Some(deadline) = again {
            self.arm(deadline);
        }
        if tell {
            self.queue.wake_all();
        }
    }

    /// What a read gets, if there is anything.
    fn take(&self) -> Option<Result<u64, Errno>> {
        let mut state = self.state.lock();
        if state.ticks == 0 {
            return None;
        }
        if state.cancellable && core::mem::take(&mut state.cancelled) {
            (state.ticks, state.expired) = (0, false);
            return Some(Err(Errno::ECANCELED));
        }
        let again = state.catch_up();
        if core::mem::take(&mut state.expired) {
            // It doesn't repeat.
            state.deadline = 0;
        }
        let ticks = core::mem::take(&mut state.ticks);
        drop(state);
        if let Some(deadline) = again {
            self.arm(deadline);
        }
        Some(Ok(ticks))
    }
}

impl OnExpiry for TimerFd {
    fn expired(self: Arc<Self>, _: u64) {
        let mut state = self.state.lock();
        if state.deadline == 0 || state.expired {
            return;
        }
        if state.now() < state.deadline {
            // The wall clock was set back, or the timer was set anew, meanwhile.
            let deadline = state.since_boot();
            drop(state);
            return self.arm(deadline);
        }
        state.expired = true;
        state.ticks = state.ticks.saturating_add(1);
        drop(state);
        self.queue.wake_all();
    }
}

impl FileOps for TimerFd {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        if dst.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let ticks = if file.nonblocking() {
            self.take().ok_or(Errno::EAGAIN)??
        } else {
            self.queue
                .wait(Mode::Interruptible, None, || self.take())
                .map_err(|_| Errno::ERESTARTSYS)??
        };
        dst.put(&ticks.to_le_bytes())
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn ignores_seek(&self) -> bool {
        true
    }

    fn ioctl(&self, _: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        if request.command != SET_TICKS {
            return Err(Errno::ENOTTY);
        }
        let ticks: u64 = request
            .space
            .read_val(kiln_core::addr::UserAddr::new(request.arg))?;
        if ticks == 0 {
            return Err(Errno::EINVAL);
        }
        self.state.lock().ticks = ticks;
        self.queue.wake_all();
        Ok(0)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.queue);
        }
        if self.state.lock().ticks != 0 {
            Events::IN
        } else {
            Events::empty()
        }
    }

    fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        let state = *self.state.lock();
        let show = |ns| {
            let time = Timespec::from_ns(ns);
            (time.sec, time.nsec)
        };
        let setting = state.setting();
        let ((value, value_ns), (every, every_ns)) = (show(setting.value), show(setting.interval));
        write!(
            out,
            "clockid: {}\nticks: {}\nsettime flags: 0{:o}\nit_value: ({value}, {value_ns})\n\
             it_interval: ({every}, {every_ns})\n",
            self.clock, state.ticks, state.flags
        )
    }
}
