//! [`Interval`]: a deadline on a [`Clock`], a period, and what happens at the deadline ([`Effect`]).
//!
//! The scheduler's timers call it back ([`OnExpiry`]); on clocks that can be set it looks again whenever
//! one was.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, Ordering};

use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::time::{NS_PER_SEC, periods};

use super::clock::Clock;
use super::limit;
use crate::arch::time::now_ns;
use crate::fs::clock;
use crate::mm::kmem;
use crate::process::group::Process;
use crate::process::signal::{send, send_to_task};
use crate::process::task::Task;
use crate::sched::{OnExpiry, Timer};
use crate::sync::{Once, SpinLock};

/// Real time is looked at again after this long at least, so that rounding can't make a timer
/// spin.
const LEAST_WAIT_NS: u64 = 1_000;

/// What happens at the deadline.
#[derive(Clone)]
pub(super) enum Effect {
    /// A signal of setitimer(2).
    Signal(Signal),
    /// `RLIMIT_CPU`: SIGXCPU, and SIGKILL at the hard limit.
    CpuLimit,
    /// As `CpuLimit`, for `RLIMIT_RTTIME`.
    RealTimeLimit,
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
    pub(super) overrun: AtomicI32,
}

/// Time left and period, in nanoseconds; 0 left: not running.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Setting {
    /// Until the next expiry.
    pub(crate) left: u64,
    /// From one to the next.
    pub(crate) period: u64,
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

impl Interval {
    pub(super) fn new(
        process: &Arc<Process>,
        clock: Clock,
        effect: Effect,
    ) -> Result<Arc<Self>, Errno> {
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
        // setitimer(2)'s of a processor's time keep their period while they are off.
        let of_cpu = self.clock.is_cpu() && matches!(self.effect, Effect::Signal(_));
        let keeps = new.left != 0 || of_cpu;
        let mut wanted = State {
            period: if keeps { new.period } else { 0 },
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

    pub(super) fn disarm(&self) {
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
            Effect::CpuLimit => limit::reached(process),
            Effect::RealTimeLimit => limit::look_at_real_time(process),
            Effect::Nothing => true,
        }
    }

    /// The signal was taken, or never will be: the next period. Gives the periods missed by now, or
    /// by `ahead` nanoseconds later.
    pub(super) fn start_over(&self, ahead: u64) -> u64 {
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
