//! A process's timers: alarm(2) and setitimer(2), timer_create(2), and the limit of processor time.
//!
//! All are [`Interval`]s: a deadline on a clock, a period, and a signal. Clocks of processor time
//! never run faster than real time on one CPU, so such a timer looks again when as much real time
//! has passed as processor time was left (by as many CPUs as a process can use). A periodic timer starts over when its signal is taken,
//! not when it is sent, so that a short period can't swamp the machine; the periods in between
//! are its overrun.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, Ordering};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::time::{NS_PER_SEC, periods};

use super::group::Process;
use super::signal::{send, send_to_task};
use super::task::Task;
use super::usage;
use crate::arch::smp;
use crate::arch::time::now_ns;
use crate::fs::clock;
use crate::mm::kmem;
use crate::sched::{OnExpiry, Timer};
use crate::sync::{Once, SpinLock};

/// Real time is looked at again after this long at least, so that rounding can't make a timer
/// spin.
const LEAST_WAIT_NS: u64 = 1_000;

/// What a timer counts.
#[derive(Clone)]
pub(crate) enum Clock {
    /// Nanoseconds since boot.
    Monotonic,
    /// Nanoseconds since 1970.
    Realtime,
    /// The same with the leap seconds that were told of.
    Tai,
    /// Processor time of a process; true: in user mode only.
    Process(Weak<Process>, bool),
    /// Processor time of a thread, in the same way.
    Thread(Weak<Task>, bool),
}

impl Clock {
    /// What it shows, in nanoseconds; of what has ended, 0.
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Monotonic => now_ns(),
            Self::Realtime => clock::boot_time().wrapping_add(now_ns()),
            Self::Tai => clock::tai_boot_time().wrapping_add(now_ns()),
            Self::Process(process, user) => {
                let process = process.upgrade();
                let read = if *user { usage::user_ns } else { usage::cpu_ns };
                process.map_or(0, |process| read(&process))
            }
            Self::Thread(task, user) => task.upgrade().map_or(0, |task| {
                let used = usage::of_task(&task);
                if *user { used.user_ns } else { used.total_ns() }
            }),
        }
    }

    /// Whether clock_settime(2) moves it.
    const fn can_be_set(&self) -> bool {
        matches!(self, Self::Realtime | Self::Tai)
    }

    /// How soon it may have gone on by so much: a process's time goes as fast as it has CPUs.
    pub(crate) fn real_time(&self, ns: u64) -> u64 {
        match self {
            Self::Process(process, _) => {
                let threads = process.upgrade().map_or(1, |it| u64_of(it.thread_count()));
                ns / threads.clamp(1, u64::from(smp::count()))
            }
            _ => ns,
        }
    }
}

/// What happens at the deadline.
#[derive(Clone)]
enum Effect {
    /// A signal of setitimer(2).
    Signal(Signal),
    /// `RLIMIT_CPU`: SIGXCPU, and SIGKILL at the hard limit.
    CpuLimit,
    /// A signal of timer_create(2), to one thread if given.
    Posix {
        signal: Signal,
        value: u64,
        id: i32,
        thread: Option<Weak<Task>>,
    },
    /// Nothing: the program looks at the timer itself.
    Nothing,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// On the timer's clock, in nanoseconds; 0: not running.
    deadline: u64,
    /// 0: it doesn't repeat.
    period: u64,
    /// Its signal has been sent and not taken.
    waits_for_delivery: bool,
    /// The deadline is on the monotonic clock, although the timer's own is of the time of day: it was
    /// set for a time to pass, which isn't changed by setting the clock.
    relative: bool,
}

/// A timer of a process.
pub(crate) struct Interval {
    process: Weak<Process>,
    clock: Clock,
    effect: Effect,
    state: SpinLock<State>,
    timer: Once<Timer>,
    overrun: AtomicI32,
}

/// Time left and period, in nanoseconds; 0 left: not running.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Setting {
    /// Until the next expiry.
    pub(crate) left: u64,
    /// From one to the next.
    pub(crate) period: u64,
}

/// The timers of a process.
#[derive(Default)]
pub(crate) struct ProcessTimers {
    /// `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`, and `RLIMIT_CPU`; made when first set.
    intervals: [Once<Arc<Interval>>; 4],
    posix: SpinLock<Vec<Option<Arc<Interval>>>>,
}

/// Timers of clocks that can be set.
static SETTABLE: SpinLock<Vec<Weak<Interval>>> = SpinLock::new(Vec::new());

/// Somebody set the time of day: timers that wait for one look again.
fn clock_was_set() {
    let mut index = 0;
    loop {
        let timer = match SETTABLE.lock().get(index) {
            Some(timer) => timer.upgrade(),
            None => return,
        };
        if let Some(timer) = timer {
            timer.clock_moved();
        }
        index += 1;
    }
}

/// Which timer in [`ProcessTimers`] keeps the limit of processor time.
const CPU_LIMIT: usize = 3;

impl Interval {
    fn new(process: &Arc<Process>, clock: Clock, effect: Effect) -> Result<Arc<Self>, Errno> {
        let _charge = kmem::charge(size_of::<Self>() + 16)?;
        let interval = Arc::new(Self {
            process: Arc::downgrade(process),
            clock,
            effect,
            state: SpinLock::new(State::default()),
            timer: Once::new(),
            overrun: AtomicI32::new(0),
        });
        let target: Weak<Self> = Arc::downgrade(&interval);
        let timer = Timer::new(target)?;
        interval.timer.call_once(|| timer);
        if interval.clock.can_be_set() {
            clock::on_set(clock_was_set);
            let mut settable = SETTABLE.lock();
            settable.retain(|timer| timer.strong_count() > 0);
            settable.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            settable.push(Arc::downgrade(&interval));
        }
        Ok(interval)
    }

    /// The time on the clock of its deadline.
    fn now(&self, state: &State) -> u64 {
        if state.relative {
            now_ns()
        } else {
            self.clock.now()
        }
    }

    fn clock_moved(&self) {
        let state = *self.state.lock();
        if state.deadline != 0 && !state.relative && !state.waits_for_delivery && self.signals() {
            self.arm(state.deadline, self.now(&state));
        }
    }

    /// Whether anything happens at its deadline.
    fn signals(&self) -> bool {
        !matches!(self.effect, Effect::Nothing)
    }

    /// Makes the scheduler call back when the deadline may have come.
    fn arm(&self, deadline: u64, now: u64) {
        if let Some(timer) = self.timer.get() {
            let wait = self.clock.real_time(deadline.saturating_sub(now));
            let wait = wait.max(LEAST_WAIT_NS);
            timer.arm(now_ns().saturating_add(wait));
        }
    }

    /// Sets it; `absolute`: `left` is a point in time on its clock. Gives the old setting.
    pub(crate) fn set(&self, new: Setting, absolute: bool) -> Setting {
        let before = *self.state.lock();
        let old = self.left(&before);
        let mut wanted = State {
            period: new.period,
            relative: !absolute && self.clock.can_be_set(),
            ..State::default()
        };
        let now = self.now(&wanted);
        wanted.deadline = match (new.left, absolute) {
            (0, _) => 0,
            (at, true) => at,
            (left, false) => now.saturating_add(left),
        };
        *self.state.lock() = wanted;
        self.overrun.store(0, Ordering::Relaxed);
        if wanted.deadline == 0 {
            self.disarm();
        } else if self.signals() {
            self.arm(wanted.deadline, now);
        }
        old
    }

    fn disarm(&self) {
        if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
    }

    /// How it is set.
    pub(crate) fn get(&self) -> Setting {
        let state = *self.state.lock();
        self.left(&state)
    }

    /// Time left and period. What is late and whose signal is still to come has a nanosecond left.
    fn left(&self, state: &State) -> Setting {
        let now = self.now(state);
        let least = u64::from(self.signals());
        let left = match (state.deadline, state.period) {
            (0, _) => 0,
            (deadline, 0) => deadline.saturating_sub(now).max(least),
            (deadline, _) if deadline > now => deadline - now,
            (deadline, period) => periods(deadline, period, now).1 - now,
        };
        Setting {
            left,
            period: state.period,
        }
    }

    /// The overrun of the last signal taken (timer_getoverrun(2)).
    pub(crate) fn overrun(&self) -> i32 {
        self.overrun.load(Ordering::Relaxed)
    }

    /// The deadline has come.
    fn fire(&self, process: &Arc<Process>) {
        let mut state = self.state.lock();
        if state.period == 0 {
            state.deadline = 0;
        } else {
            state.waits_for_delivery = true;
        }
        drop(state);
        if self.send(process) {
            return;
        }
        // Ignored, so nobody will take it: go on at the next period.
        self.start_over(NS_PER_SEC / 1000);
    }

    /// Sends the signal. Answers whether it is pending now.
    fn send(&self, process: &Arc<Process>) -> bool {
        match &self.effect {
            Effect::Signal(signal) => {
                // Standard signals are never refused.
                let _ = send(process, SigInfo::kernel(*signal));
                is_pending(process, *signal)
            }
            Effect::Posix {
                signal,
                value,
                id,
                thread,
            } => {
                let info = SigInfo::timer(*signal, *id, 0, *value);
                // Without room in the queue the expiry is lost, as on Linux.
                let _ = match thread {
                    Some(thread) => thread
                        .upgrade()
                        .map_or(Ok(()), |task| send_to_task(&task, info)),
                    None => send(process, info),
                };
                is_pending(process, *signal)
            }
            Effect::CpuLimit => cpu_limit_reached(process),
            Effect::Nothing => true,
        }
    }

    /// The signal was taken, or never will be: the next period. Gives the periods missed by now, or
    /// by `ahead` nanoseconds later.
    fn start_over(&self, ahead: u64) -> u64 {
        let mut state = self.state.lock();
        let now = self.now(&state).saturating_add(ahead);
        if !core::mem::take(&mut state.waits_for_delivery) || state.deadline == 0 {
            return 0;
        }
        let (passed, next) = periods(state.deadline, state.period, now);
        state.deadline = next;
        let now = self.now(&state);
        drop(state);
        self.arm(next, now);
        passed.saturating_sub(1)
    }
}

fn is_pending(process: &Process, signal: Signal) -> bool {
    let group = process.group.lock();
    group.pending.set().contains(signal)
        || group
            .tasks
            .iter()
            .any(|task| task.signals.lock().pending.set().contains(signal))
}

impl OnExpiry for Interval {
    fn expired(self: Arc<Self>, _: u64) {
        let Some(process) = self.process.upgrade() else {
            return;
        };
        let state = *self.state.lock();
        if state.deadline == 0 {
            return;
        }
        let now = self.now(&state);
        if now < state.deadline {
            self.arm(state.deadline, now);
        } else {
            self.fire(&process);
        }
    }
}

/// Sends what is due by `RLIMIT_CPU` and sets the next second. Answers true: it goes on by itself.
fn cpu_limit_reached(process: &Arc<Process>) -> bool {
    let limit = process.limits().get(abi::RLIMIT_CPU);
    let used = usage::cpu_ns(process) / NS_PER_SEC;
    let signal = match limit {
        Some(limit) if used >= limit.hard => Signal::KILL,
        Some(limit) if used >= limit.soft => Signal::XCPU,
        _ => return true,
    };
    // Standard signals are never refused.
    let _ = send(process, SigInfo::kernel(signal));
    let next = Setting {
        left: NS_PER_SEC,
        period: 0,
    };
    if let Some(timer) = process.timers.intervals.get(CPU_LIMIT).and_then(Once::get) {
        timer.set(next, false);
    }
    true
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
    pub(super) fn clear(&self) {
        for interval in self.intervals.iter().filter_map(Once::get) {
            interval.disarm();
        }
        self.delete_posix();
    }

    /// Deletes what timer_create(2) made: at exec and at the end.
    pub(super) fn delete_posix(&self) {
        let timers = core::mem::take(&mut *self.posix.lock());
        drop(timers);
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

/// `RLIMIT_CPU` has changed, or the process inherits one.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn watch_cpu_limit(process: &Arc<Process>) -> Result<(), Errno> {
    let soft = process.limit(abi::RLIMIT_CPU);
    let timers = &process.timers;
    let existing = timers.intervals.get(CPU_LIMIT).and_then(Once::get);
    if soft == u64::MAX && existing.is_none() {
        return Ok(());
    }
    let timer = timers.get_or_make(
        process,
        CPU_LIMIT,
        Clock::Process(Arc::downgrade(process), false),
        Effect::CpuLimit,
    )?;
    let at = if soft == u64::MAX {
        0
    } else {
        soft.max(1).saturating_mul(NS_PER_SEC)
    };
    timer.set(
        Setting {
            left: at,
            period: 0,
        },
        true,
    );
    Ok(())
}

/// A signal was taken from a queue: when a timer sent it, that timer goes on, and the signal tells
/// how many periods were missed.
pub(super) fn dequeued(process: &Arc<Process>, info: SigInfo) -> SigInfo {
    if info.code == abi::SI_TIMER {
        let id = info.pid().cast_signed();
        let Ok(timer) = posix(process, id) else {
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
pub(crate) fn create_posix(
    process: &Arc<Process>,
    clock: Clock,
    notice: Notice,
    thread: Option<&Arc<Task>>,
) -> Result<i32, Errno> {
    let limit = usize_of(process.limit(abi::RLIMIT_SIGPENDING));
    let mut posix = process.timers.posix.lock();
    let free = posix.iter().position(Option::is_none);
    let at = free.unwrap_or(posix.len());
    drop(posix);
    let id = i32::try_from(at).map_err(|_| Errno::EAGAIN)?;
    if at >= limit {
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
pub(crate) fn posix(process: &Process, id: i32) -> Result<Arc<Interval>, Errno> {
    let at = usize::try_from(id).map_err(|_| Errno::EINVAL)?;
    let posix = process.timers.posix.lock();
    posix.get(at).cloned().flatten().ok_or(Errno::EINVAL)
}

/// timer_delete(2).
///
/// # Errors
/// `EINVAL`.
pub(crate) fn delete_posix(process: &Process, id: i32) -> Result<(), Errno> {
    let at = usize::try_from(id).map_err(|_| Errno::EINVAL)?;
    let timer = process
        .timers
        .posix
        .lock()
        .get_mut(at)
        .and_then(Option::take);
    timer.map(drop).ok_or(Errno::EINVAL)
}
