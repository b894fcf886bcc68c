//! Core files: what is left of a process that a signal ended (core(5)).
//!
//! The thread that takes the signal makes all others end, as any fatal signal does; on their way they leave their
//! registers and wait ([`park`]). When all have come it writes the file as a program would, with its own credentials, in
//! its own directory, and lets them go on. SIGKILL ends that at once.

mod image;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::addr::{PAGE_SIZE, UserAddr};
use kiln_core::coredump::{ARGUMENTS_MAX, PATTERN_MAX, Subject};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::flags::OpenFlags;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::signal::SigInfo;
use kiln_core::wait_status::ExitStatus;

use super::group::Process;
use super::task::Task;
use super::{events, host, ptrace, table};
use crate::arch::user::UserContext;
use crate::fs::file::File;
use crate::fs::procfs::Text;
use crate::fs::{Lookup, clock, identity, vfs};
use crate::sched::{Mode, NOTIFY_KILL, WaitQueue};
use crate::sync::SpinLock;
use crate::vm::{AddressSpace, CoreMap, MapName};
use image::Image;

/// `/proc/sys/kernel/core_uses_pid`.
pub(super) static USES_PID: AtomicU64 = AtomicU64::new(0);

/// `/proc/sys/kernel/core_pattern`, and how long it is.
static PATTERN: SpinLock<([u8; PATTERN_MAX], usize)> = SpinLock::new({
    let mut bytes = [0; PATTERN_MAX];
    bytes.split_at_mut(4).0.copy_from_slice(b"core");
    (bytes, 4)
});

/// Tells the pattern of the files' names.
pub(super) fn show_pattern(out: &mut Text) -> Result<(), Errno> {
    let (bytes, len) = *PATTERN.lock();
    out.bytes(bytes.get(..len).unwrap_or_default())?;
    out.bytes(b"\n")
}

/// Sets it; what is too long loses its end.
///
/// # Errors
/// `EOPNOTSUPP` for a program that is to get the cores: there is nobody to start it.
pub(super) fn set_pattern(pattern: &[u8]) -> Result<(), Errno> {
    if pattern.starts_with(b"|") {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut now = PATTERN.lock();
    now.1 = pattern.len().min(PATTERN_MAX);
    now.0
        .iter_mut()
        .zip(pattern)
        .for_each(|(to, from)| *to = *from);
    Ok(())
}

/// The running task ends with its process, of which a core is written where that can be; by itself, when it has taken the
/// signal.
#[cold]
pub(super) fn take_part(task: &Arc<Task>, regs: &UserContext, info: Option<&SigInfo>) {
    match info {
        Some(info) => dump(task, regs, info),
        None => park(task, regs),
    }
}

/// Another thread writes it: waits for the end of that.
fn park(task: &Arc<Task>, regs: &UserContext) {
    ptrace::leave_registers(task, regs);
    let process = task.process();
    if let Some(parked) = &mut process.group.lock().dump {
        *parked += 1;
    }
    process.thread_events.wake_all();
    let over = || process.group.lock().dump.is_none();
    // Nothing else ends the wait.
    let _ = wait(&task.trace_events, Mode::Uninterruptible, &over);
}

/// Waits for a condition; `None` when the process is killed first.
fn wait(queue: &WaitQueue, mode: Mode, over: &dyn Fn() -> bool) -> Option<()> {
    queue.wait(mode, None, || over().then_some(())).ok()
}

/// Writes it, and lets the others go on; the status tells of it.
fn dump(task: &Arc<Task>, regs: &UserContext, info: &SigInfo) {
    events::dumping(task);
    let made = gather(task, regs)
        .and_then(|()| write(task, info))
        .is_some();
    let mut group = task.process().group.lock();
    // Unless it was killed meanwhile.
    if group.dump.take().is_some() && made {
        group.exit = Some(ExitStatus::Signaled {
            signal: info.signal,
            core: true,
        });
    }
    for other in &group.tasks {
        other.trace_events.wake_all();
    }
    drop(group);
    // As whoever ends: it waits for nothing any more, and the killer for want of memory lets it be.
    if let Some(thread) = task.thread() {
        thread.notify(NOTIFY_KILL);
    }
}

/// Waits until all other threads have left their registers, or are past that; `None` when there is to be no core.
fn gather(task: &Arc<Task>, regs: &UserContext) -> Option<()> {
    let process = task.process();
    if process.limit(abi::RLIMIT_CORE) < u64_of(PAGE_SIZE) || !process.is_dumpable() {
        return None;
    }
    ptrace::leave_registers(task, regs);
    {
        let group = process.group.lock();
        group.dump?;
        // What ends its waits from here on is SIGKILL.
        task.thread()?.clear_notice(NOTIFY_KILL);
    }
    let all = || {
        let group = process.group.lock();
        let here = group.dump.unwrap_or(0) + group.leaving + 1;
        here >= group.tasks.len()
    };
    wait(&process.thread_events, Mode::Killable, &all)
}

/// What is told of the process.
fn subject(task: &Task, space: &Arc<AddressSpace>, info: &SigInfo) -> Option<Subject> {
    let process = task.process();
    let standing = table::standing(process.pid())?;
    let mut arguments = [0; ARGUMENTS_MAX];
    let (start, end) = space.info().args;
    let length = usize_of(end.saturating_sub(start)).min(ARGUMENTS_MAX);
    let shown = arguments.get_mut(..length)?;
    space.peek(shown, UserAddr::new(start));
    for byte in shown.iter_mut().filter(|byte| **byte == 0) {
        *byte = b' ';
    }
    let creds = task.creds();
    Some(Subject {
        pid: process.pid(),
        tid: task.tid(),
        relations: [standing.parent, standing.group, standing.session],
        ids: [creds.uids.real, creds.gids.real],
        signal: info.signal.number(),
        nice: task.thread()?.nice().cast_unsigned(),
        time: clock::now().sec.cast_unsigned(),
        limit: process.limit(abi::RLIMIT_CORE),
        name: task.comm(),
        arguments,
    })
}

/// Writes the file; it counts as soon as there is one, even if it is cut off.
fn write(task: &Arc<Task>, info: &SigInfo) -> Option<()> {
    let (space, context) = (task.space().ok()?, task.fs().ok()?);
    let process = task.process();
    let subject = subject(task, &space, info)?;
    let mut tasks = process.tasks().ok()?;
    tasks.retain(|task| ptrace::left_registers(task).is_some());
    let mut image = Image {
        task,
        info,
        space: &space,
        subject: &subject,
        map: CoreMap::default(),
        tasks,
    };
    let filter = process.core_filter.load(Ordering::Relaxed);
    let killed = || task.thread().is_none_or(|it| it.is_notified(NOTIFY_KILL));
    image.map.fill(&space, filter, &killed).ok()?;
    let name = name(process, &subject)?;
    let creds = task.creds();
    let lookup = Lookup::new(&context, identity(&creds));
    let file = open(&lookup, &name)?;
    // What there is room for is better than nothing.
    if let Some(end) = image.write(&file) {
        // Zeros at the end weren't written.
        let _ = vfs::truncate_inode(&lookup, &file.path, end);
    }
    Some(())
}

/// What the file is called.
fn name(process: &Process, subject: &Subject) -> Option<Vec<u8>> {
    let mut exe = Vec::new();
    process.exe()?.file().path(&mut exe);
    let host = host::host_name().ok()?;
    let (pattern, len) = *PATTERN.lock();
    let with_pid = USES_PID.load(Ordering::Relaxed) != 0;
    subject.file_name(pattern.get(..len)?, with_pid, &host, &exe)
}

/// Makes the file: always a new one, so nobody has it open or by another name, and nobody else may read it.
fn open(lookup: &Lookup<'_>, name: &[u8]) -> Option<Arc<File>> {
    // What can't be removed is in the way.
    let _ = vfs::unlink(lookup, name);
    let flags = abi::O_CREAT | abi::O_EXCL | abi::O_WRONLY | abi::O_NOFOLLOW;
    let flags = OpenFlags::new(flags, 0o600).ok()?;
    let file = vfs::open(lookup, name, flags).ok()?;
    // The umask and the file system had a say.
    let good = file.inode.with_attr(|attr| {
        attr.kind == FileType::Regular && attr.uid == lookup.who.uid && attr.mode & 0o677 == 0o600
    });
    good.then_some(file)
}
