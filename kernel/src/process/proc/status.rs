//! `/proc/PID/stat`, `statm` and `status`: a task at a glance (proc(5)).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::PAGE_SIZE;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::proctree::Standing;
use kiln_core::signal::{SigSet, Signal};

use super::NS_PER_TICK;
use super::task::{name, space};
use crate::fs::procfs::{PidFile, Text};
use crate::process::group::Stop;
use crate::process::signal::queued_of_user;
use crate::process::{Process, Task, table, terminal, usage};
use crate::vm::MemorySizes;

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
pub(super) fn stat(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let process = task.process();
    let standing = table::standing(process.pid()).ok_or(Errno::ESRCH)?;
    // Of the process; in the directory of another thread than its first, of that thread.
    let whole = task.tid() == process.pid();
    let (usage, children) = match whole {
        true => (usage::of_process(process), process.children_usage()),
        false => (usage::of_task(task), usage::Usage::default()),
    };
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
        "{device} {foreground} 4194304 {} {} {} {} ",
        usage.minor_faults,
        children.minor_faults,
        usage.major_faults,
        children.major_faults
    )?;
    let ticks = |ns: u64| ns / NS_PER_TICK;
    put!(
        out,
        "{} {} {} {} ",
        ticks(usage.user_ns),
        ticks(usage.system_ns),
        ticks(children.user_ns),
        ticks(children.system_ns)
    )?;
    put!(
        out,
        "{} {nice} {} 0 {} ",
        task.thread().map_or(20, |thread| thread.shown_priority()),
        process.thread_count().max(1),
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

pub(super) fn statm(task: &Task, out: &mut Text) -> Result<(), Errno> {
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

pub(super) fn status(task: &Task, out: &mut Text) -> Result<(), Errno> {
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
    let descriptors = task.files().map_or(0, |files| files.shown_size());
    credentials(&task.creds(), descriptors, out)?;
    put!(
        out,
        "NStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{}\nNSsid:\t{}\n",
        process.pid(),
        task.tid(),
        standing.group,
        standing.session
    )?;
    sizes(task, out)?;
    let sets = signal_sets(task);
    put!(
        out,
        "Threads:\t{}\nSigQ:\t{}/{}\n",
        process.thread_count().max(1),
        queued_of_user(process),
        process.limit(abi::RLIMIT_SIGPENDING)
    )?;
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
        "NoNewPrivs:\t{}\nSeccomp:\t{}\nSeccomp_filters:\t{}\n",
        u32::from(task.has_no_new_privileges()),
        task.seccomp_mode(),
        task.filter_count()
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

fn credentials(creds: &Credentials, descriptors: usize, out: &mut Text) -> Result<(), Errno> {
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
    put!(out, "FDSize:\t{descriptors}\nGroups:\t")?;
    for group in creds.groups.iter() {
        put!(out, "{group} ")?;
    }
    // With or without groups a space comes last.
    out.bytes(if creds.groups.is_empty() {
        b" \n"
    } else {
        b"\n"
    })
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
        ("VmPTE", space.table_pages() * u64_of(PAGE_SIZE)),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ] {
        put!(out, "{label}:\t{:>8} kB\n", bytes / 1024)?;
    }
    let huge = !space.refuses_huge();
    let dumps = task.process().group.lock().dump.is_some();
    put!(
        out,
        "CoreDumping:\t{}\nTHP_enabled:\t{}\n",
        u8::from(dumps),
        u8::from(huge)
    )
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
