//! [`Clock`]: what a timer counts, real time or the processor time of a process or thread.

use alloc::sync::Weak;

use kiln_core::num::u64_of;

use crate::arch::smp;
use crate::arch::time::now_ns;
use crate::fs::clock;
use crate::process::group::Process;
use crate::process::task::Task;
use crate::process::usage;

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

    /// Whether it counts what a processor was used.
    pub(super) const fn is_cpu(&self) -> bool {
        matches!(self, Self::Process(..) | Self::Thread(..))
    }

    /// Whether clock_settime(2) moves it.
    pub(super) const fn can_be_set(&self) -> bool {
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
