//! The limits of processor time, `RLIMIT_CPU` and, for threads of real time between two waits, `RLIMIT_RTTIME`. For
//! each the process has a timer.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::time::NS_PER_SEC;

use super::clock::Clock;
use super::interval::{Effect, Setting};
use crate::process::group::Process;
use crate::process::signal::send;
use crate::process::task::Task;
use crate::process::usage;
use crate::sync::Once;

/// Which timer in [`ProcessTimers`] keeps the limit of processor time.
const CPU_LIMIT: usize = 3;

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

/// Sends what is due by `RLIMIT_CPU` and sets the next second. Answers true: it goes on by itself.
pub(super) fn reached(process: &Arc<Process>) -> bool {
    let limit = process.limits().get(abi::RLIMIT_CPU);
    let used = usage::cpu_ns(process) / NS_PER_SEC;
    let signal = match limit {
        Some(limit) if used >= limit.hard => Signal::KILL,
        Some(limit) if used >= limit.soft => Signal::XCPU,
        _ => return true,
    };
    tell(process, abi::RLIMIT_CPU, signal, 1);
    let next = Setting {
        left: NS_PER_SEC,
        period: 0,
    };
    if let Some(timer) = process.timers.intervals.get(CPU_LIMIT).and_then(Once::get) {
        timer.set(next, false);
    }
    true
}

/// Sends a limit's signal. The soft limit is `more` higher from now on.
fn tell(process: &Arc<Process>, resource: u32, signal: Signal, more: u64) {
    process.with_limits(|limits| {
        if let Some(mut limit) = limits.get(resource) {
            limit.soft = limit.soft.saturating_add(more);
            // Beyond the hard limit there is nothing to tell any more.
            let _ = limits.set(resource, limit, true);
        }
    });
    // Standard signals are never refused.
    let _ = send(process, SigInfo::kernel(signal));
}

/// Which timer keeps the limit of real time.
const REAL_TIME_LIMIT: usize = 4;
/// As Linux's clock tick, by which it measures.
const TICK_NS: u64 = 4_000_000;
const MICROSECOND: u64 = 1_000;

/// A process has inherited limits.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn watch_all_limits(process: &Arc<Process>) -> Result<(), Errno> {
    watch_cpu_limit(process)?;
    watch_real_time_limit(process)
}

/// `RLIMIT_RTTIME` has changed, or the process inherits one.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn watch_real_time_limit(process: &Arc<Process>) -> Result<(), Errno> {
    if process.limit(abi::RLIMIT_RTTIME) != u64::MAX {
        for task in &process.group.lock().tasks {
            task.starts_real_time();
        }
        look_at_real_time(process);
    }
    Ok(())
}

/// Sends what is due by `RLIMIT_RTTIME`, and looks again when more may be: the process's clock runs no slower than
/// any of its threads. Answers true: it goes on by itself.
pub(super) fn look_at_real_time(process: &Arc<Process>) -> bool {
    let Some(limit) = process.limits().get(abi::RLIMIT_RTTIME) else {
        return true;
    };
    let [soft, hard] = [limit.soft, limit.hard].map(|limit| limit.saturating_mul(MICROSECOND));
    if soft == u64::MAX {
        return true;
    }
    let runs = process
        .group
        .lock()
        .tasks
        .iter()
        .map(|task| task.real_time_run())
        .max();
    let run = runs.unwrap_or(0);
    if run >= hard {
        tell(process, abi::RLIMIT_RTTIME, Signal::KILL, 0);
    } else if run >= soft {
        tell(
            process,
            abi::RLIMIT_RTTIME,
            Signal::XCPU,
            NS_PER_SEC / MICROSECOND,
        );
    }
    let next = Setting {
        left: soft.saturating_sub(run).min(soft / 4).max(TICK_NS),
        period: 0,
    };
    let clock = Clock::Process(Arc::downgrade(process), false);
    let effect = Effect::RealTimeLimit;
    let timers = &process.timers;
    if let Ok(timer) = timers.get_or_make(process, REAL_TIME_LIMIT, clock, effect) {
        timer.set(next, false);
    }
    true
}

impl Task {
    /// Its time counts from now on.
    fn starts_real_time(&self) {
        let used = usage::of_task(self);
        self.waits_seen.store(used.voluntary, Ordering::Relaxed);
        self.ran_at_wait.store(used.total_ns(), Ordering::Relaxed);
    }

    /// How long it has run in real time without waiting, as far as has been seen.
    fn real_time_run(&self) -> u64 {
        let used = usage::of_task(self);
        let waited = used.voluntary != self.waits_seen.load(Ordering::Relaxed);
        if waited || !self.thread().is_some_and(|thread| thread.is_real_time()) {
            self.starts_real_time();
            return 0;
        }
        used.total_ns()
            .saturating_sub(self.ran_at_wait.load(Ordering::Relaxed))
    }
}
