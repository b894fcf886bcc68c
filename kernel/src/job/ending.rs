//! The end: processes, file systems, the channel, the record, the machine; in this order, so that what
//! the job wrote is on its disks before the status is reported.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use kiln_core::errno::Errno;
use kiln_core::job::Spec;
use kiln_core::num::u64_of;
use kiln_core::report::{DiskCount, Ending, Record};
use kiln_core::wait_status::ExitStatus;

use super::prepare;
use crate::arch::time::now_ns;
use crate::arch::{self, DebugExit};
use crate::drivers::{block, channel, debugcon};
use crate::mm;
use crate::process::{oom, start, usage};
use crate::syscall::count;

/// How the job, or the attempt to run it, ended.
pub(super) struct Outcome {
    ending: Ending,
    code: u8,
    signal: u8,
    reason: String,
}

impl Outcome {
    /// The main process ended so.
    pub(super) fn ended(status: ExitStatus) -> Self {
        let (ending, code, signal) = match status {
            ExitStatus::Exited(code) => (Ending::Exited, code, 0),
            ExitStatus::Signaled { signal, .. } => (Ending::Signaled, 0, signal.number()),
        };
        Self {
            ending,
            code,
            signal,
            reason: String::new(),
        }
    }

    /// The same, with a line that says why.
    pub(super) fn because(self, reason: &str) -> Self {
        Self {
            reason: reason.to_string(),
            ..self
        }
    }

    /// There was no job, or it was cut short.
    pub(super) fn failed(ending: Ending, reason: &str) -> Self {
        Self {
            ending,
            code: 0,
            signal: 0,
            reason: reason.to_string(),
        }
    }

    /// The program couldn't be started.
    pub(super) fn not_started(spec: &Spec, errno: Errno) -> Self {
        let program = spec.args.first().map(Vec::as_slice).unwrap_or_default();
        let program = String::from_utf8_lossy(program);
        let (ending, code) = match errno {
            Errno::ENOENT | Errno::ENOTDIR => (Ending::NotFound, 127),
            _ => (Ending::NoExec, 126),
        };
        let reason = format!("{program}: {}", errno.description());
        Self {
            ending,
            code,
            signal: 0,
            reason,
        }
    }
}

/// Takes everything down and leaves.
pub(super) fn finish(outcome: &Outcome) -> ! {
    let job_ended = now_ns();
    start::kill_all();
    let flushed = prepare::take_down().and_then(|()| {
        // Whoever was told of it: what such a disk holds nobody knows.
        let lost = block::disks()
            .iter()
            .any(|disk| disk.stats().failed_flushes > 0);
        if lost { Err(Errno::EIO) } else { Ok(()) }
    });
    channel::drain();
    let flush_failure;
    let mut outcome_reason = outcome.reason.as_str();
    let mut ending = outcome.ending;
    if let Err(errno) = flushed
        && !matches!(ending, Ending::BadJob | Ending::Panic)
    {
        ending = Ending::FlushFailed;
        flush_failure = format!(
            "what the job wrote isn't all on its disks: {}",
            errno.description()
        );
        outcome_reason = &flush_failure;
    }
    report(ending, outcome, outcome_reason, job_ended)
}

/// Leaves without taking anything down: there is nothing that would outlive the machine.
pub(super) fn leave_at_once(outcome: &Outcome) -> ! {
    channel::leave();
    report(outcome.ending, outcome, &outcome.reason, now_ns())
}

/// Nobody asked for a report.
static BRIEF: AtomicBool = AtomicBool::new(false);

/// The record needn't tell more than how the job ended.
pub(super) fn be_brief() {
    BRIEF.store(true, Ordering::Relaxed);
}

fn report(ending: Ending, outcome: &Outcome, reason: &str, job_ended: u64) -> ! {
    let mut record = Record::new(ending, reason);
    record.code = outcome.code;
    record.signal = outcome.signal;
    record.brief = BRIEF.load(Ordering::Relaxed);
    if record.brief {
        leave(&record)
    }
    report_counts(&record, job_ended)
}

fn leave(record: &Record<'_>) -> ! {
    let mut line = String::new();
    let _ = record.write(&mut line);
    debugcon::write(line.as_bytes());
    arch::exit(DebugExit::from_value(record.exit_value()))
}

fn report_counts(ended: &Record<'_>, job_ended: u64) -> ! {
    let disks = block::disks();
    let names: Vec<(String, block::DiskStats)> = disks
        .iter()
        .map(|disk| (disk.name().to_string(), disk.stats()))
        .collect();
    let disks: Vec<DiskCount<'_>> = names
        .iter()
        .map(|(name, stats)| DiskCount {
            name,
            read: stats.read,
            written: stats.written,
            errors: stats.errors,
            failed_flushes: stats.failed_flushes,
        })
        .collect();
    let calls: Vec<(&str, u64)> = count::calls().collect();
    let missing: Vec<(&str, u64)> = count::unimplemented_calls().collect();
    let started = start::first_user_instruction_ns().unwrap_or(job_ended);
    let totals = usage::totals();
    let mut record = *ended;
    record.boot_us = started / 1000;
    record.job_us = job_ended.saturating_sub(started) / 1000;
    let memory = mm::frame::stats();
    record.peak_kib = u64_of(memory.peak) * 4;
    record.user_us = totals.user_ns / 1000;
    record.sys_us = totals.system_ns / 1000;
    record.faults = totals.minor_faults + totals.major_faults;
    record.oom_kills = oom::kills();
    record.syscalls = &calls;
    record.unimplemented = &missing;
    record.disks = &disks;
    record.stack_high_water = mm::stack::high_water();
    leave(&record)
}
