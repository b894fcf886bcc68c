//! The texts of `/proc/PID`'s files (proc(5)).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::proctree::Standing;
use kiln_core::signal::{SigSet, Signal};

use super::{NS_PER_TICK, sched};
use crate::fs::procfs::{PidFile, Text};
use crate::process::group::Stop;
use crate::process::{Process, Task, oom, table, terminal, usage};
use crate::vm::{AddressSpace, MemorySizes};

/// Writes the text of a task's file.
pub(super) fn text(task: &Task, file: PidFile, out: &mut Text) -> Result<(), Errno> {
    match file {
        PidFile::Auxv => auxv(task, out),
        PidFile::Cmdline => cmdline(task, out),
        PidFile::Comm => {
            out.bytes(&name(task))?;
            out.bytes(b"\n")
        }
        PidFile::Environ => environ(task, out),
        PidFile::Io => io(out),
        PidFile::Limits => limits(task, out),
        PidFile::Maps => of_space(task, AddressSpace::maps, out),
        PidFile::OomScoreAdj => put!(out, "{}\n", oom_adjustment(task)),
        PidFile::OomAdj => put!(out, "{}\n", oom_adjustment(task) * 17 / 1000),
        PidFile::OomScore => put!(out, "{}\n", oom::score(task.process())),
        PidFile::Smaps => of_space(task, AddressSpace::smaps, out),
        PidFile::SmapsRollup => of_space(task, AddressSpace::smaps_rollup, out),
        PidFile::NumaMaps => of_space(task, AddressSpace::numa_maps, out),
        PidFile::Wchan => out.bytes(b"0"),
        PidFile::Personality => put!(out, "{:08x}\n", task.personality.load(Ordering::Relaxed)),
        PidFile::Sched => sched::of_task(task, out),
        PidFile::SchedStat => sched::turns(task, out),
        PidFile::Stat => stat(task, out),
        PidFile::Statm => statm(task, out),
        PidFile::Status => status(task, out),
        PidFile::Syscall => out.bytes(b"running\n"),
        _ => Err(Errno::ENOENT),
    }
}

/// The name without its padding.
pub(super) fn name(task: &Task) -> Vec<u8> {
    task.comm()
        .into_iter()
        .take_while(|byte| *byte != 0)
        .collect()
}

fn space(task: &Task) -> Option<Arc<AddressSpace>> {
    task.space().ok()
}

/// What lies in `range` of the program's memory.
fn memory(task: &Task, range: (u64, u64), out: &mut Text) -> Result<(), Errno> {
    let Some(space) = space(task) else {
        return Ok(());
    };
    let mut at = range.0;
    while at < range.1 {
        let mut bytes = [0; 512];
        let len = usize_of(range.1 - at).min(bytes.len());
        let part = bytes.get_mut(..len).unwrap_or_default();
        let count = space.peek(part, UserAddr::new(at));
        out.bytes(part.get(..count).unwrap_or_default())?;
        if count < len {
            break;
        }
        at += u64_of(count);
    }
    Ok(())
}

fn cmdline(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let range = space(task).map_or((0, 0), |space| space.info().args);
    memory(task, range, out)
}

fn environ(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let range = space(task).map_or((0, 0), |space| space.info().env);
    memory(task, range, out)
}

fn auxv(task: &Task, out: &mut Text) -> Result<(), Errno> {
    match space(task) {
        Some(space) => out.bytes(&space.info().auxv),
        None => Ok(()),
    }
}

fn io(out: &mut Text) -> Result<(), Errno> {
    for field in [
        "rchar",
        "wchar",
        "syscr",
        "syscw",
        "read_bytes",
        "write_bytes",
        "cancelled_write_bytes",
    ] {
        put!(out, "{field}: 0\n")?;
    }
    Ok(())
}

/// A text that the space itself writes.
fn of_space(
    task: &Task,
    write: fn(&AddressSpace) -> Result<Vec<u8>, Errno>,
    out: &mut Text,
) -> Result<(), Errno> {
    match space(task) {
        Some(space) => out.bytes(&write(&space)?),
        None => Ok(()),
    }
}

/// Name, unit and resource number of each line of `limits` (fs/proc/base.c's order).
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

fn limits(task: &Task, out: &mut Text) -> Result<(), Errno> {
    put!(
        out,
        "{:<25} {:<20} {:<20} {:<10}\n",
        "Limit",
        "Soft Limit",
        "Hard Limit",
        "Units"
    )?;
    let limits = task.process().limits();
    for (resource, (name, unit)) in (0u32..).zip(LIMITS) {
        let Some(limit) = limits.get(resource) else {
            break;
        };
        put!(out, "{name:<25} ")?;
        for value in [limit.soft, limit.hard] {
            match value {
                u64::MAX => put!(out, "{:<20} ", "unlimited")?,
                value => put!(out, "{value:<20} ")?,
            }
        }
        put!(out, "{unit:<10}\n")?;
    }
    Ok(())
}

fn oom_adjustment(task: &Task) -> i64 {
    i64::from(task.process().oom_adjustment.load(Ordering::Relaxed)) - 1000
}

/// What a task does about signals.
struct SignalSets {
    pending: SigSet,
    shared_pending: SigSet,
    blocked: SigSet,
    ignored: SigSet,
    caught: SigSet,
}

fn signal_sets(task: &Task) -> SignalSets {
    let group = task.process().group.lock();
    let (ignored, caught) = {
        let actions = group.actions.lock();
        (actions.ignored(), actions.caught())
    };
    let signals = task.signals.lock();
    SignalSets {
        pending: signals.pending.set(),
        shared_pending: group.pending.set(),
        blocked: signals.blocked,
        ignored,
        caught,
    }
}

/// The letter of a task's state, and its word.
fn state(task: &Task) -> (char, &'static str) {
    if task.is_trace_stopped() {
        return ('t', "tracing stop");
    }
    if !task.process().is_init() && task.files().is_err() {
        return ('Z', "zombie");
    }
    if !matches!(task.process().group.lock().stop, Stop::Running) {
        return ('T', "stopped");
    }
    match task.thread() {
        Some(thread) if thread.is_runnable() => ('R', "running"),
        _ => ('S', "sleeping"),
    }
}

/// The fields of `stat`, as proc(5) numbers them.
fn stat(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let process = task.process();
    let standing = table::standing(process.pid()).ok_or(Errno::ESRCH)?;
    let usage = usage::of_process(process);
    let (sizes, info) = match space(task) {
        Some(space) => (space.sizes(), space.info()),
        None => (MemorySizes::default(), Arc::default()),
    };
    let nice = task.thread().map_or(0, |thread| i64::from(thread.nice()));
    put!(out, "{} (", task.tid())?;
    out.bytes(&name(task))?;
    put!(
        out,
        ") {} {} {} {} ",
        state(task).0,
        standing.parent,
        standing.group,
        standing.session
    )?;
    let (device, foreground) = terminal::shown(task.process());
    // 7: terminal and its group, flags; 10: faults; 14: times in ticks; 18: priority, nice.
    put!(
        out,
        "{device} {foreground} 4194304 {} 0 {} 0 ",
        usage.minor_faults,
        usage.major_faults
    )?;
    let ticks = |ns: u64| ns / NS_PER_TICK;
    put!(
        out,
        "{} {} 0 0 ",
        ticks(usage.user_ns),
        ticks(usage.system_ns)
    )?;
    put!(
        out,
        "{} {nice} {} 0 {} ",
        task.thread().map_or(20, |thread| thread.shown_priority()),
        process.thread_count(),
        ticks(process.started)
    )?;
    // 23: memory; 26: code and stack; 31: signals.
    put!(
        out,
        "{} {} {} ",
        sizes.total,
        sizes.resident / 4096,
        u64::MAX
    )?;
    put!(out, "{} {} {} 0 0 ", info.code.0, info.code.1, info.stack)?;
    let sets = signal_sets(task);
    put!(
        out,
        "{} {} {} {} ",
        sets.pending.bits(),
        sets.blocked.bits(),
        sets.ignored.bits(),
        sets.caught.bits()
    )?;
    let policy = task.policy();
    // 35: wchan … 38: exit signal, CPU, real-time priority and policy, … 45: data, heap, arguments.
    put!(
        out,
        "0 0 0 {} {} {} {} 0 0 0 ",
        process.exit_signal().map_or(0, Signal::number),
        task.thread().map_or(0, |thread| thread.last_cpu()),
        policy.priority,
        policy.policy & !abi::SCHED_RESET_ON_FORK
    )?;
    put!(out, "{} {} 0 ", info.data.0, info.data.1)?;
    put!(
        out,
        "{} {} {} {} 0\n",
        info.args.0,
        info.args.1,
        info.env.0,
        info.env.1
    )
}

fn statm(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let space = space(task);
    let sizes = space
        .as_ref()
        .map(|space| space.sizes())
        .unwrap_or_default();
    let (file, shmem) = space.map_or((0, 0), |space| space.file_bytes());
    let pages = |bytes: u64| bytes / 4096;
    let (total, resident) = (pages(sizes.total), pages(sizes.resident));
    put!(
        out,
        "{total} {resident} {} {} 0 {} 0\n",
        pages(file + shmem),
        pages(sizes.text),
        pages(sizes.data + sizes.stack)
    )
}

fn status(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let process = task.process();
    let (letter, word) = state(task);
    let standing = table::standing(process.pid()).ok_or(Errno::ESRCH)?;
    out.bytes(b"Name:\t")?;
    out.bytes(&name(task))?;
    out.bytes(b"\n")?;
    if let Ok(fs) = task.fs() {
        put!(out, "Umask:\t{:04o}\n", fs.umask())?;
    }
    put!(out, "State:\t{letter} ({word})\n")?;
    put!(
        out,
        "Tgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t{}\n",
        process.pid(),
        task.tid(),
        standing.parent,
        task.tracer_tid()
    )?;
    credentials(&task.creds(), out)?;
    sizes(task, out)?;
    put!(
        out,
        "Threads:\t{}\nSigQ:\t0/31791\n",
        process.thread_count()
    )?;
    let sets = signal_sets(task);
    for (label, set) in [
        ("SigPnd", sets.pending),
        ("ShdPnd", sets.shared_pending),
        ("SigBlk", sets.blocked),
        ("SigIgn", sets.ignored),
        ("SigCgt", sets.caught),
    ] {
        signal_line(label, set, out)?;
    }
    capabilities(&task.creds(), out)?;
    put!(
        out,
        "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0\n",
        u32::from(task.has_no_new_privileges())
    )?;
    let allowed = task.thread().map_or(1, |thread| thread.allowed());
    put!(out, "Cpus_allowed:\t")?;
    out.cpu_map(allowed)?;
    put!(out, "Cpus_allowed_list:\t")?;
    out.cpu_list(allowed)?;
    put!(out, "Mems_allowed:\t1\nMems_allowed_list:\t0\n")?;
    let (voluntary, involuntary) = task.thread().map_or((0, 0), |thread| thread.switches());
    put!(
        out,
        "voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n"
    )
}

fn credentials(creds: &Credentials, out: &mut Text) -> Result<(), Errno> {
    for (label, ids) in [("Uid", &creds.uids), ("Gid", &creds.gids)] {
        put!(
            out,
            "{label}:\t{}\t{}\t{}\t{}\n",
            ids.real,
            ids.effective,
            ids.saved,
            ids.fs
        )?;
    }
    put!(out, "FDSize:\t64\nGroups:\t")?;
    for group in creds.groups.iter() {
        put!(out, "{group} ")?;
    }
    out.bytes(b"\n")
}

fn sizes(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let Some(space) = space(task) else {
        return Ok(());
    };
    let sizes = space.sizes();
    let (file, shmem) = space.file_bytes();
    for (label, bytes) in [
        ("VmPeak", sizes.peak),
        ("VmSize", sizes.total),
        ("VmLck", sizes.locked),
        ("VmPin", 0),
        ("VmHWM", sizes.most_resident),
        ("VmRSS", sizes.resident),
        ("RssAnon", sizes.resident.saturating_sub(file + shmem)),
        ("RssFile", file),
        ("RssShmem", shmem),
        ("VmData", sizes.data),
        ("VmStk", sizes.stack),
        ("VmExe", sizes.text),
        ("VmLib", sizes.libraries),
        ("VmSwap", 0),
    ] {
        put!(out, "{label}:\t{:>8} kB\n", bytes / 1024)?;
    }
    Ok(())
}

fn signal_line(label: &str, set: SigSet, out: &mut Text) -> Result<(), Errno> {
    put!(out, "{label}:\t{:016x}\n", set.bits())
}

fn capabilities(creds: &Credentials, out: &mut Text) -> Result<(), Errno> {
    for (label, set) in [
        ("CapInh", creds.caps.inheritable),
        ("CapPrm", creds.caps.permitted),
        ("CapEff", creds.caps.effective),
        ("CapBnd", creds.caps.bounding),
        ("CapAmb", creds.caps.ambient),
    ] {
        put!(out, "{label}:\t{:016x}\n", set.bits())?;
    }
    Ok(())
}

/// Of a process whose threads are gone only `stat` and `status` say something.
pub(super) fn zombie(process: &Process, file: PidFile, out: &mut Text) -> Result<(), Errno> {
    let pid = process.pid();
    let standing = table::standing(pid).ok_or(Errno::ESRCH)?;
    match file {
        PidFile::Stat => {
            let Standing {
                parent,
                group,
                session,
            } = standing;
            put!(out, "{pid} () Z {parent} {group} {session} 0 -1 4194308")?;
            for _ in 0..43 {
                out.bytes(b" 0")?;
            }
            out.bytes(b"\n")
        }
        PidFile::Status => {
            let parent = standing.parent;
            put!(
                out,
                "Name:\t\nState:\tZ (zombie)\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{parent}\n"
            )
        }
        PidFile::Cmdline | PidFile::Comm => Ok(()),
        _ => Err(Errno::ESRCH),
    }
}
