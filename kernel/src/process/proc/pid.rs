//! `/proc/PID` and `/proc/PID/task/TID`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::addr::UserAddr;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::path::Link;
use kiln_core::signal::SigSet;

use super::fd::{FdDir, FdInfoDir};
use super::list_numbers;
use crate::fs::procfs::{Access, EmitName, Node, ProcDir, ProcFile, ProcLink, Text};
use crate::fs::{self, Path};
use crate::process::{Process, Task, table, usage};
use crate::vm::AddressSpace;

const NS_PER_TICK: u64 = 10_000_000;

/// The directory of a process, or of one of its threads.
pub(super) struct ProcessDir {
    process: Arc<Process>,
    /// The thread, under `task`.
    thread: Option<Arc<Task>>,
}

impl ProcessDir {
    /// A process's.
    pub(super) fn new(process: Arc<Process>) -> Self {
        Self { process, thread: None }
    }
}

/// What each file is made of.
type Make = fn(&Arc<Process>, &Arc<Task>) -> Result<Node, Errno>;

/// A text of a task's.
struct TaskText {
    process: Arc<Process>,
    task: Arc<Task>,
    mode: u32,
    write: fn(&Task, &mut Text) -> Result<(), Errno>,
}

impl ProcFile for TaskText {
    fn access(&self) -> Access {
        owned(&self.task, self.mode)
    }
    fn text(&self, out: &mut Text) -> Result<(), Errno> {
        let _ = &self.process;
        (self.write)(&self.task, out)
    }
}

/// A link of a task's.
struct TaskLink {
    task: Arc<Task>,
    path: fn(&Task) -> Result<Path, Errno>,
}

impl ProcLink for TaskLink {
    fn access(&self) -> Access {
        owned(&self.task, 0o777)
    }
    fn target(&self) -> Result<Vec<u8>, Errno> {
        (self.path)(&self.task)?.display_from(&crate::process::current_root()?)
    }
    fn follow(&self) -> Result<Link<Path>, Errno> {
        (self.path)(&self.task).map(Link::Jump)
    }
}

fn owned(task: &Task, mode: u32) -> Access {
    let creds = task.creds();
    Access { mode, uid: creds.uids.effective, gid: creds.gids.effective }
}

macro_rules! text {
    ($mode:literal, $write:path) => {
        |process, task| {
            Node::file(TaskText {
                process: Arc::clone(process),
                task: Arc::clone(task),
                mode: $mode,
                write: $write,
            })
        }
    };
}

macro_rules! link {
    ($path:expr) => {
        |_, task| Node::link(TaskLink { task: Arc::clone(task), path: $path })
    };
}

/// The children, in the order of listing, with their types.
const CHILDREN: &[(&str, FileType, Make)] = &[
    ("task", FileType::Directory, |process, _| Node::dir(TaskDir(Arc::clone(process)))),
    ("fd", FileType::Directory, |_, task| Node::dir(FdDir(Arc::clone(task)))),
    ("fdinfo", FileType::Directory, |_, task| Node::dir(FdInfoDir(Arc::clone(task)))),
    ("auxv", FileType::Regular, text!(0o400, auxv)),
    ("cgroup", FileType::Regular, text!(0o444, cgroup)),
    ("cmdline", FileType::Regular, text!(0o444, cmdline)),
    ("comm", FileType::Regular, |_, task| Node::file(Comm(Arc::clone(task)))),
    ("cwd", FileType::Symlink, link!(|task| Ok(task.fs()?.cwd()))),
    ("environ", FileType::Regular, text!(0o400, environ)),
    ("exe", FileType::Symlink, link!(|task| task.process().exe().ok_or(Errno::ENOENT))),
    ("io", FileType::Regular, text!(0o400, io)),
    ("limits", FileType::Regular, text!(0o444, limits)),
    ("loginuid", FileType::Regular, text!(0o644, loginuid)),
    ("maps", FileType::Regular, text!(0o444, maps)),
    ("mountinfo", FileType::Regular, text!(0o444, mountinfo)),
    ("mounts", FileType::Regular, text!(0o444, mounts)),
    ("oom_score", FileType::Regular, text!(0o444, oom_score)),
    ("oom_score_adj", FileType::Regular, |process, _| Node::file(OomAdjustment(Arc::clone(process)))),
    ("personality", FileType::Regular, text!(0o400, personality)),
    ("root", FileType::Symlink, link!(|task| Ok(task.fs()?.root()))),
    ("stat", FileType::Regular, text!(0o444, stat)),
    ("statm", FileType::Regular, text!(0o444, statm)),
    ("status", FileType::Regular, text!(0o444, status)),
    ("wchan", FileType::Regular, text!(0o444, wchan)),
];

impl ProcessDir {
    fn task(&self) -> Option<Arc<Task>> {
        self.thread.clone().or_else(|| self.process.first_task())
    }
}

impl ProcDir for ProcessDir {
    fn access(&self) -> Access {
        self.task().map_or(Access::root(0o555), |task| owned(&task, 0o555))
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Node>, Errno> {
        let Some(task) = self.task() else { return zombie(&self.process, name) };
        let hidden = self.thread.is_some() && name == b"task";
        let found = CHILDREN.iter().find(|(known, _, _)| known.as_bytes() == name && !hidden);
        found.map(|(_, _, make)| make(&self.process, &task)).transpose()
    }

    fn list(&self, cursor: u64, emit: &mut EmitName<'_>) -> Result<(), Errno> {
        let children = (0u64..).zip(CHILDREN).skip(usize_of(cursor));
        for (at, (name, kind, _)) in children {
            let hidden = self.thread.is_some() && *name == "task";
            if !hidden && !emit(name.as_bytes(), *kind, at + 1) {
                break;
            }
        }
        Ok(())
    }
}

/// Of a process whose threads are gone only `stat` and `status` are left, and an empty `cmdline`.
fn zombie(process: &Arc<Process>, name: &[u8]) -> Result<Option<Node>, Errno> {
    match name {
        b"stat" | b"status" | b"cmdline" | b"comm" => {
            Node::file(Zombie(Arc::clone(process), name == b"stat")).map(Some)
        }
        _ => Ok(None),
    }
}

struct Zombie(Arc<Process>, bool);

impl ProcFile for Zombie {
    fn text(&self, out: &mut Text) -> Result<(), Errno> {
        if !self.1 {
            return Ok(());
        }
        let pid = self.0.pid();
        let standing = table::standing(pid).ok_or(Errno::ESRCH)?;
        write!(out, "{pid} () Z {} {} {} 0 -1 4194308", standing.parent, standing.group, standing.session)?;
        for _ in 0..43 {
            out.push(b" 0")?;
        }
        out.push(b"\n")
    }
}

/// `/proc/PID/task`.
struct TaskDir(Arc<Process>);

impl ProcDir for TaskDir {
    fn lookup(&self, name: &[u8]) -> Result<Option<Node>, Errno> {
        let Some(tid) = super::number(name) else { return Ok(None) };
        let found = self.0.tasks()?.into_iter().find(|task| task.tid() == tid);
        let Some(task) = found else { return Ok(None) };
        Node::dir(ProcessDir { process: Arc::clone(&self.0), thread: Some(task) }).map(Some)
    }

    fn list(&self, cursor: u64, emit: &mut EmitName<'_>) -> Result<(), Errno> {
        let tids = self.0.tasks()?.iter().map(|task| task.tid()).collect();
        list_numbers(tids, FileType::Directory, cursor, emit)
    }
}

/// `/proc/PID/comm`.
struct Comm(Arc<Task>);

impl ProcFile for Comm {
    fn access(&self) -> Access {
        owned(&self.0, 0o644)
    }
    fn text(&self, out: &mut Text) -> Result<(), Errno> {
        out.push(&name(&self.0))?;
        out.push(b"\n")
    }
    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(bytes.len());
        self.0.set_comm(bytes.get(..end).unwrap_or_default());
        Ok(())
    }
}

/// The name without its padding.
fn name(task: &Task) -> Vec<u8> {
    task.comm().into_iter().take_while(|byte| *byte != 0).collect()
}

/// `/proc/PID/oom_score_adj`.
struct OomAdjustment(Arc<Process>);

impl ProcFile for OomAdjustment {
    fn access(&self) -> Access {
        self.0.first_task().map_or(Access::root(0o644), |task| owned(&task, 0o644))
    }
    fn text(&self, out: &mut Text) -> Result<(), Errno> {
        write!(out, "{}\n", self.0.oom_adjustment())
    }
    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
        let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        if !(-1000..=1000).contains(&value) {
            return Err(Errno::EINVAL);
        }
        self.0.set_oom_adjustment(value);
        Ok(())
    }
}

fn space(task: &Task) -> Option<Arc<AddressSpace>> {
    task.space().ok()
}

/// What lies in `range` of the program's memory.
fn memory(task: &Task, range: (u64, u64), out: &mut Text) -> Result<(), Errno> {
    let Some(space) = space(task) else { return Ok(()) };
    let mut at = range.0;
    while at < range.1 {
        let mut bytes = [0; 512];
        let len = usize_of(range.1 - at).min(bytes.len());
        let part = bytes.get_mut(..len).unwrap_or_default();
        let count = space.peek(part, UserAddr::new(at));
        out.push(part.get(..count).unwrap_or_default())?;
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
        Some(space) => out.push(&space.info().auxv),
        None => Ok(()),
    }
}

fn cgroup(_: &Task, out: &mut Text) -> Result<(), Errno> {
    out.push(b"0::/\n")
}

fn io(_: &Task, out: &mut Text) -> Result<(), Errno> {
    for field in ["rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes"] {
        write!(out, "{field}: 0\n")?;
    }
    Ok(())
}

fn loginuid(_: &Task, out: &mut Text) -> Result<(), Errno> {
    write!(out, "{}", u32::MAX)
}

fn oom_score(_: &Task, out: &mut Text) -> Result<(), Errno> {
    out.push(b"0\n")
}

fn wchan(_: &Task, out: &mut Text) -> Result<(), Errno> {
    out.push(b"0")
}

fn personality(task: &Task, out: &mut Text) -> Result<(), Errno> {
    write!(out, "{:08x}\n", task.personality())
}

fn maps(task: &Task, out: &mut Text) -> Result<(), Errno> {
    match space(task) {
        Some(space) => out.push(&space.maps()?),
        None => Ok(()),
    }
}

fn mounts(task: &Task, out: &mut Text) -> Result<(), Errno> {
    fs::mount_table::mounts(&*task.fs()?, out)
}

fn mountinfo(task: &Task, out: &mut Text) -> Result<(), Errno> {
    fs::mount_table::mountinfo(&*task.fs()?, out)
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
    write!(out, "{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units")?;
    let limits = task.process().limits();
    for (resource, (name, unit)) in (0u32..).zip(LIMITS) {
        let limit = limits.get(resource);
        write!(out, "{name:<25} ")?;
        for value in [limit.current, limit.maximum] {
            match value {
                u64::MAX => write!(out, "{:<20} ", "unlimited")?,
                value => write!(out, "{value:<20} ")?,
            }
        }
        write!(out, "{unit:<10}\n")?;
    }
    Ok(())
}

/// The letter of a task's state, and its word.
fn state(task: &Task) -> (char, &'static str) {
    if task.process().is_stopped() {
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
        None => (crate::vm::MemorySizes::default(), Arc::default()),
    };
    let nice = task.thread().map_or(0, |thread| i64::from(thread.nice()));
    write!(out, "{} (", task.tid())?;
    out.push(&name(task))?;
    write!(out, ") {} {} {} {} ", state(task).0, standing.parent, standing.group, standing.session)?;
    // 7: terminal and its group, flags; 10: faults; 14: times in ticks; 18: priority, nice.
    write!(out, "{} {} 4194304 {} 0 {} 0 ", 0, -1, usage.minor_faults, usage.major_faults)?;
    let ticks = |ns: u64| ns / NS_PER_TICK;
    write!(out, "{} {} 0 0 ", ticks(usage.user_ns), ticks(usage.system_ns))?;
    write!(out, "{} {nice} {} 0 {} ", 20 + nice, process.thread_count(), ticks(process.started))?;
    // 23: memory; 26: code and stack; 31: signals.
    write!(out, "{} {} {} ", sizes.total, sizes.resident / 4096, u64::MAX)?;
    write!(out, "{} {} {} 0 0 ", info.code.0, info.code.1, info.stack)?;
    let sets = task.signal_sets();
    write!(out, "{} {} {} {} ", sets.pending.bits(), sets.blocked.bits(), sets.ignored.bits(), sets.caught.bits())?;
    // 35: wchan … 38: exit signal, CPU, real-time priority and policy, … 45: data, heap, arguments.
    write!(out, "0 0 0 {} 0 0 0 0 0 0 ", process.exit_signal())?;
    write!(out, "{} {} 0 ", info.data.0, info.data.1)?;
    write!(out, "{} {} {} {} 0\n", info.args.0, info.args.1, info.env.0, info.env.1)
}

fn statm(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let sizes = space(task).map(|space| space.sizes()).unwrap_or_default();
    let pages = |bytes: u64| bytes / 4096;
    let (total, resident) = (pages(sizes.total), pages(sizes.resident));
    write!(out, "{total} {resident} 0 {} 0 {} 0\n", pages(sizes.text), pages(sizes.data + sizes.stack))
}

fn status(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let process = task.process();
    let (letter, word) = state(task);
    let standing = table::standing(process.pid()).ok_or(Errno::ESRCH)?;
    out.push(b"Name:\t")?;
    out.push(&name(task))?;
    write!(out, "\nUmask:\t{:04o}\nState:\t{letter} ({word})\n", task.fs()?.umask())?;
    write!(out, "Tgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n", process.pid(), task.tid(), standing.parent)?;
    credentials(&task.creds(), out)?;
    sizes(task, out)?;
    write!(out, "Threads:\t{}\nSigQ:\t0/31791\n", process.thread_count())?;
    let sets = task.signal_sets();
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
    write!(out, "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0\n", u32::from(task.has_no_new_privileges()))?;
    write!(out, "Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\nMems_allowed_list:\t0\n")?;
    let (voluntary, involuntary) = task.thread().map_or((0, 0), |thread| thread.switches());
    write!(out, "voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n")
}

fn credentials(creds: &Credentials, out: &mut Text) -> Result<(), Errno> {
    for (label, ids) in [("Uid", &creds.uids), ("Gid", &creds.gids)] {
        write!(out, "{label}:\t{}\t{}\t{}\t{}\n", ids.real, ids.effective, ids.saved, ids.fs)?;
    }
    write!(out, "FDSize:\t64\nGroups:\t")?;
    for group in creds.groups.iter() {
        write!(out, "{group} ")?;
    }
    out.push(b"\n")
}

fn sizes(task: &Task, out: &mut Text) -> Result<(), Errno> {
    let Some(space) = space(task) else { return Ok(()) };
    let sizes = space.sizes();
    for (label, bytes) in [
        ("VmPeak", sizes.peak),
        ("VmSize", sizes.total),
        ("VmLck", sizes.locked),
        ("VmPin", 0),
        ("VmHWM", sizes.resident),
        ("VmRSS", sizes.resident),
        ("RssAnon", sizes.resident),
        ("RssFile", 0),
        ("RssShmem", 0),
        ("VmData", sizes.data),
        ("VmStk", sizes.stack),
        ("VmExe", sizes.text),
        ("VmLib", sizes.libraries),
        ("VmSwap", 0),
    ] {
        write!(out, "{label}:\t{:>8} kB\n", bytes / 1024)?;
    }
    Ok(())
}

fn signal_line(label: &str, set: SigSet, out: &mut Text) -> Result<(), Errno> {
    write!(out, "{label}:\t{:016x}\n", set.bits())
}

fn capabilities(creds: &Credentials, out: &mut Text) -> Result<(), Errno> {
    for (label, set) in [
        ("CapInh", creds.caps.inheritable),
        ("CapPrm", creds.caps.permitted),
        ("CapEff", creds.caps.effective),
        ("CapBnd", creds.caps.bounding),
        ("CapAmb", creds.caps.ambient),
    ] {
        write!(out, "{label}:\t{set:016x}\n")?;
    }
    Ok(())
}
