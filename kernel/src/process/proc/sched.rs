//! What `/proc` tells of scheduling: the load, each CPU's time, and of each thread how it is run
//! (proc(5); Documentation/scheduler/sched-stats.rst of Linux).

use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::bandwidth::Limit;
use kiln_core::errno::Errno;

use super::NS_PER_TICK;
use crate::arch::smp;
use crate::arch::time::now_ns;
use crate::fs::clock;
use crate::fs::procfs::{Content, SystemFile, Text};
use crate::process::{Task, table};
use crate::sched;

/// The files about the system.
pub(super) const FILES: &[SystemFile] = &[
    SystemFile::readable("interrupts", interrupts),
    SystemFile::readable("loadavg", loadavg),
    SystemFile::readable("schedstat", of_cpus),
    SystemFile::readable("stat", stat),
    SystemFile {
        path: "sys/kernel/sched_rr_timeslice_ms",
        mode: 0o644,
        text: Content::Told(|out| {
            put!(
                out,
                "{}\n",
                sched::ROUND_NS.load(Ordering::Relaxed) / 1_000_000
            )
        }),
        write: Some(|value| {
            let ms = match i32::try_from(number(value)?) {
                Ok(ms @ 1..) => ms.unsigned_abs().into(),
                Ok(_) => sched::USUAL_ROUND_NS / 1_000_000,
                Err(_) => return Err(Errno::EINVAL),
            };
            sched::ROUND_NS.store(ms * 1_000_000, Ordering::Relaxed);
            Ok(())
        }),
    },
    SystemFile {
        path: "sys/kernel/sched_rt_period_us",
        mode: 0o644,
        text: Content::Told(|out| put!(out, "{}\n", sched::limit().period / 1000)),
        write: Some(|value| {
            let period = u64::try_from(number(value)?).map_err(|_| Errno::EINVAL)?;
            set_limit(Limit {
                period: period.checked_mul(1000).ok_or(Errno::EINVAL)?,
                ..sched::limit()
            })
        }),
    },
    SystemFile {
        path: "sys/kernel/sched_rt_runtime_us",
        mode: 0o644,
        text: Content::Told(|out| match sched::limit().runtime {
            Some(runtime) => put!(out, "{}\n", runtime / 1000),
            None => out.bytes(b"-1\n"),
        }),
        write: Some(|value| {
            let runtime = match number(value)? {
                -1 => None,
                us => Some(u64::try_from(us).map_err(|_| Errno::EINVAL)?),
            };
            let ns = |us: u64| us.checked_mul(1000).ok_or(Errno::EINVAL);
            set_limit(Limit {
                runtime: runtime.map(ns).transpose()?,
                ..sched::limit()
            })
        }),
    },
];

fn number(value: &[u8]) -> Result<i64, Errno> {
    let text = core::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
    text.trim().parse().map_err(|_| Errno::EINVAL)
}

/// EINVAL for a limit that can't be kept, EBUSY for one below what is reserved.
fn set_limit(limit: Limit) -> Result<(), Errno> {
    let fits = limit.runtime.is_none_or(|runtime| runtime <= limit.period);
    if limit.period == 0 || !fits {
        return Err(Errno::EINVAL);
    }
    sched::set_limit(limit).map_err(|sched::Overbooked| Errno::EBUSY)
}

/// How busy the machine was over 1, 5 and 15 minutes, threads that run and that there are, and the last
/// process.
fn loadavg(out: &mut Text) -> Result<(), Errno> {
    for (whole, hundredths) in sched::load(now_ns()).hundredths() {
        put!(out, "{whole}.{hundredths:02} ")?;
    }
    let (threads, last) = table::counts();
    put!(out, "{}/{threads} {last}\n", sched::active())
}

/// Each CPU's time in ticks: user, nice, system, idle, and what there is none of here.
fn stat(out: &mut Text) -> Result<(), Errno> {
    let up = now_ns();
    let of_cpu = |id| {
        let counts = sched::counts(id);
        let busy = up.saturating_sub(counts.idle);
        let user = busy.saturating_sub(counts.nice + counts.system);
        [user, counts.nice, counts.system, counts.idle]
    };
    let mut sum = [0; 4];
    for id in 0..smp::count() {
        for (sum, part) in sum.iter_mut().zip(of_cpu(id)) {
            *sum += part;
        }
    }
    put!(out, "cpu  ")?;
    line(sum, out)?;
    for id in 0..smp::count() {
        put!(out, "cpu{id} ")?;
        line(of_cpu(id), out)?;
    }
    let all = |count: fn(sched::CpuCounts) -> u64| -> u64 {
        (0..smp::count()).map(|id| count(sched::counts(id))).sum()
    };
    let (_, last) = table::counts();
    let boot = clock::boot_time() / 1_000_000_000;
    put!(out, "intr {}\n", all(|counts| counts.ticks))?;
    put!(
        out,
        "ctxt {}\nbtime {boot}\n",
        all(|counts| counts.switches)
    )?;
    put!(out, "processes {last}\nprocs_running {}\n", sched::active())?;
    out.bytes(b"procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n")
}

fn line(times: [u64; 4], out: &mut Text) -> Result<(), Errno> {
    let [user, nice, system, idle] = times.map(|ns| ns / NS_PER_TICK);
    put!(out, "{user} {nice} {system} {idle} 0 0 0 0 0 0\n")
}

/// Timer interrupts by CPU; others aren't counted.
fn interrupts(out: &mut Text) -> Result<(), Errno> {
    out.bytes(b"     ")?;
    for id in 0..smp::count() {
        put!(out, "      CPU{id:<2}")?;
    }
    out.bytes(b"\nLOC:")?;
    for id in 0..smp::count() {
        put!(out, " {:10}", sched::counts(id).ticks)?;
    }
    out.bytes(b"   Local timer interrupts\n")
}

/// Each CPU's switches and times. What isn't counted is 0.
fn of_cpus(out: &mut Text) -> Result<(), Errno> {
    let up = now_ns();
    // Linux's ticks since its start, five minutes before zero.
    put!(
        out,
        "version 15\ntimestamp {}\n",
        4_294_892_296 + up / 4_000_000
    )?;
    for id in 0..smp::count() {
        let counts = sched::counts(id);
        let (ran, switches) = (up.saturating_sub(counts.idle), counts.switches);
        put!(
            out,
            "cpu{id} 0 0 {switches} 0 0 0 {ran} {} {switches}\n",
            counts.waited
        )?;
    }
    Ok(())
}

/// `schedstat` of a thread: how long it ran and waited for a CPU, in nanoseconds, and how often it
/// went on one.
pub(super) fn turns(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let Some(thread) = task.thread() else {
        return out.bytes(b"0 0 0\n");
    };
    let (user, system) = thread.cpu_times();
    let (waited, turns) = thread.turns();
    put!(out, "{} {waited} {turns}\n", user + system)
}

/// `sched` of a thread.
pub(super) fn of_task(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let name = super::task::name(task);
    out.bytes(&name)?;
    put!(
        out,
        " ({}, #threads: {})\n{:-<67}\n",
        task.tid(),
        task.process().thread_count(),
        ""
    )?;
    let Some(thread) = task.thread() else {
        return Ok(());
    };
    let (user, system) = thread.cpu_times();
    let (virtual_time, weight) = thread.fair_share();
    let (voluntary, involuntary) = thread.switches();
    let mut ms = |name: &str, ns: u64| {
        put!(
            out,
            "{name:<45}:{:>14}.{:06}\n",
            ns / 1_000_000,
            ns % 1_000_000
        )
    };
    ms("se.vruntime", virtual_time)?;
    ms("se.sum_exec_runtime", user + system)?;
    let mut count = |name: &str, value: u64| put!(out, "{name:<45}:{value:>21}\n");
    count("nr_switches", voluntary + involuntary)?;
    count("nr_voluntary_switches", voluntary)?;
    count("nr_involuntary_switches", involuntary)?;
    // Linux scales weights by 1024.
    count("se.load.weight", weight * 1024)?;
    let policy = task.policy().policy & !abi::SCHED_RESET_ON_FORK;
    count("policy", policy.into())?;
    put!(
        out,
        "{:<45}:{:>21}\n",
        "prio",
        100 + thread.shown_priority()
    )
}
