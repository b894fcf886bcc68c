//! The limit of processor time, `RLIMIT_CPU`, which a timer of the process keeps.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::time::NS_PER_SEC;

use super::clock::Clock;
use super::interval::{Effect, Setting};
use crate::process::group::Process;
use crate::process::signal::send;
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
