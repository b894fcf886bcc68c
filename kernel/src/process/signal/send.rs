//! Sending signals: to a process, to one thread, to a group, to the parent; and who may.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::info::ChildChange;
use kiln_core::signal::{DefaultAction, Disposition, SigInfo, SigSet, Signal};
use kiln_core::time::ticks;
use kiln_core::wait_status::{ExitStatus, WaitStatus};

use super::super::exit;
use super::super::group::{Group, Process, Stop};
use super::super::ptrace;
use super::super::table;
use super::super::task::Task;
use super::super::usage;
use super::{fatal_status, room, stop};
use crate::sched::NOTIFY_SIGNAL;

/// Sends a signal to a process: any thread that doesn't block it will take it.
///
/// # Errors
/// `EAGAIN` when a real-time signal with a story finds the queue full.
pub(crate) fn send(process: &Arc<Process>, info: SigInfo) -> Result<(), Errno> {
    post(None, process, None, info)
}

/// Sends a signal to one thread.
///
/// # Errors
/// `EAGAIN` as [`send`].
pub(crate) fn send_to_task(task: &Arc<Task>, info: SigInfo) -> Result<(), Errno> {
    post(None, task.process(), Some(task), info)
}

/// Sends a thread what its own call brought about, a standard signal that comes as from itself.
pub(crate) fn send_own(task: &Arc<Task>, signal: Signal) {
    let (pid, uid) = (task.pid(), task.creds().uids.real);
    // Standard signals are never refused.
    let _ = send_to_task(task, SigInfo::user(signal, 0, pid, uid));
}

/// `tree`: the table, where the caller has locked it.
fn post(
    tree: Option<&table::Tree>,
    process: &Arc<Process>,
    target: Option<&Arc<Task>>,
    info: SigInfo,
) -> Result<(), Errno> {
    if process.is_init() {
        return Ok(());
    }
    let is_full = info.needs_room() && room::is_full(tree, process);
    // What SIGCONT changes and the news of it come together for whoever looks.
    let own = (info.signal == Signal::CONT && tree.is_none()).then(|| table::tree().lock());
    let mut group = process.group.lock();
    if group.exit.is_some() || group.tasks.is_empty() {
        if info.signal == Signal::KILL {
            if group.dump.take().is_some() {
                group.exit = None;
                exit::start_group_exit(&mut group, fatal_status(Signal::KILL));
            }
            for task in &group.tasks {
                ptrace::event::release_exit_stop(task);
            }
        }
        return Ok(());
    }
    let continued = prepare(process, &mut group, info.signal);
    let result = enqueue(process, &mut group, target, info, is_full);
    drop(group);
    if continued && let Some(tree) = own.as_deref().or(tree) {
        notify_parent_in(tree, process, WaitStatus::Continued);
    }
    drop(own);
    if let Some(queue) = process.signal_watchers() {
        queue.wake_all();
    }
    result
}

/// A stop signal takes back pending SIGCONTs, and a SIGCONT pending stops; it also lets the
/// process go on. Answers whether it was stopped.
fn prepare(process: &Process, group: &mut Group, signal: Signal) -> bool {
    if SigSet::STOPPING.contains(signal) {
        discard(group, SigSet::of(&[Signal::CONT]));
    } else if signal == Signal::CONT {
        discard(group, SigSet::STOPPING);
        return stop::resume(process, group);
    }
    false
}

fn discard(group: &mut Group, signals: SigSet) {
    group.pending.discard(signals);
    for task in &group.tasks {
        task.signals.lock().pending.discard(signals);
    }
}

fn enqueue(
    process: &Arc<Process>,
    group: &mut Group,
    target: Option<&Arc<Task>>,
    info: SigInfo,
    is_full: bool,
) -> Result<(), Errno> {
    let signal = info.signal;
    let limit = if is_full { 0 } else { usize::MAX };
    let actions = Arc::clone(&group.actions);
    let ignored = actions.lock().is_ignored(signal);
    let sample = target.or_else(|| group.tasks.first());
    let dropped = |task: &&Arc<Task>| {
        !task.blocked().contains(signal) && (!task.is_traced() || signal == Signal::KILL)
    };
    if ignored && sample.filter(dropped).is_some() {
        return Ok(());
    }
    // One that was deleted while it ran out sends nothing: it has no place any more.
    if info.is_by_timer() && !process.timers.has_posix(&info) {
        return Ok(());
    }
    match target {
        Some(task) => task.signals.lock().pending.push(info, limit)?,
        None => group.pending.push(info, limit)?,
    }
    let Some(taker) = taker(group, target, signal) else {
        return Ok(());
    };
    // One that the taker blocks is merely awaited: sigtimedwait(2) takes it.
    let delivered = !taker.blocked().contains(signal) && !taker.is_traced();
    if signal == Signal::KILL || (delivered && kills(&actions.lock().get(signal), signal)) {
        exit::start_group_exit(group, fatal_status(signal));
    } else if let Some(thread) = taker.thread() {
        thread.notify(NOTIFY_SIGNAL);
    }
    Ok(())
}

/// Whether the signal's delivery can only end the process, so that it may begin to at once.
fn kills(action: &kiln_core::signal::SigAction, signal: Signal) -> bool {
    action.disposition == Disposition::Default
        && signal.default_action() == DefaultAction::Terminate
}

/// The thread that is to take the signal: the target, else the first one, else any.
fn taker(group: &Group, target: Option<&Arc<Task>>, signal: Signal) -> Option<Arc<Task>> {
    // A stopped process takes nothing until it goes on, but SIGKILL.
    let stopped = matches!(group.stop, Stop::Stopped(_));
    let wants = |task: &&Arc<Task>| {
        let signals = task.signals.lock();
        !signals.blocked.contains(signal)
            || signals.awaited.contains(signal)
            || signal == Signal::KILL
    };
    // A tracer may have let a thread of a stopped process go on.
    let wants =
        |task: &&Arc<Task>| (!stopped || task.is_traced() || signal == Signal::KILL) && wants(task);
    match target {
        Some(task) => Some(task).filter(wants).cloned(),
        None => group.tasks.iter().find(wants).cloned(),
    }
}

/// Sends a signal that the thread's own instruction caused and that it can't put off: a blocked or
/// ignored one gets its default action.
pub(crate) fn force(task: &Arc<Task>, info: SigInfo) {
    force_unless(task, info, |ignored_or_blocked| !ignored_or_blocked);
}

/// Sends a signal that the task dies of, handler or not.
pub(crate) fn force_fatal(task: &Arc<Task>, info: SigInfo) {
    force_unless(task, info, |_| false);
}

/// Makes the task die of a signal that no tracer sees, and that nobody can handle or ignore first (`SA_IMMUTABLE`).
pub(crate) fn force_unseen(task: &Arc<Task>, info: SigInfo) {
    task.signals.lock().doomed = Some(info);
    if let Some(thread) = task.thread() {
        thread.notify(NOTIFY_SIGNAL);
    }
}

/// `keeps`: whether the disposition stays, given that the signal is ignored or blocked.
fn force_unless(task: &Arc<Task>, info: SigInfo, keeps: fn(bool) -> bool) {
    let signal = info.signal;
    let process = task.process();
    let mut group = process.group.lock();
    let actions = Arc::clone(&group.actions);
    let mut signals = task.signals.lock();
    let ignored = actions.lock().get(signal).disposition == Disposition::Ignore;
    if !keeps(ignored || signals.blocked.contains(signal)) {
        actions.lock().reset(signal);
        signals.blocked = signals.blocked.without(signal);
    }
    let queued = signals.pending.push(info, usize::MAX);
    drop(signals);
    if queued.is_err() {
        let status = fatal_status(signal);
        exit::start_group_exit(&mut group, status);
    } else if let Some(thread) = task.thread() {
        thread.notify(NOTIFY_SIGNAL);
    }
}

/// Whether the task may send this signal to the process.
pub(crate) fn may_signal(sender: &Task, process: &Arc<Process>, signal: Option<Signal>) -> bool {
    if Arc::ptr_eq(sender.process(), process) {
        return true;
    }
    let allowed = process
        .first_task()
        .is_none_or(|task| sender.creds().may_signal(&task.creds()));
    allowed || (signal == Some(Signal::CONT) && same_session(sender.pid(), process.pid()))
}

fn same_session(a: u32, b: u32) -> bool {
    let session = |pid| table::standing(pid).map(|standing| standing.session);
    session(a) == session(b)
}

/// kill(2): `signal` is `None` for a mere check.
///
/// # Errors
/// `ESRCH`, `EPERM`.
pub(crate) fn kill(sender: &Arc<Task>, pid: i32, signal: Option<Signal>) -> Result<(), Errno> {
    let uid = sender.creds().uids.real;
    let send_one = |process: &Arc<Process>| {
        if !may_signal(sender, process, signal) {
            return Err(Errno::EPERM);
        }
        let Some(signal) = signal else { return Ok(()) };
        let code = abi::SI_USER.cast_signed();
        send(process, SigInfo::user(signal, code, sender.pid(), uid))
    };
    if let Ok(pid @ 1..) = u32::try_from(pid) {
        return send_one(&table::process_of(pid).ok_or(Errno::ESRCH)?);
    }
    let own = || table::standing(sender.pid()).map_or(Err(Errno::ESRCH), |at| Ok(at.group));
    let targets = || match pid {
        0 => table::members(own()?),
        -1 => table::select(|pid, _| pid != 1 && pid != sender.pid()),
        _ => table::members(pid.unsigned_abs()),
    };
    match send_to_all(targets, send_one, signal == Some(Signal::KILL)) {
        // That all the others are somebody else's is no error when it's everybody who is meant.
        Err(Errno::EPERM) if pid == -1 => Ok(()),
        result => result,
    }
}

/// Sends to several processes; one that could be sent to is enough. What is to kill goes to those that were made
/// meanwhile, too, until there are no more: one that was sent to makes none.
fn send_to_all(
    targets: impl Fn() -> Result<Vec<Arc<Process>>, Errno>,
    send_one: impl Fn(&Arc<Process>) -> Result<(), Errno>,
    kills: bool,
) -> Result<(), Errno> {
    let mut result = Err(Errno::ESRCH);
    let mut seen: Vec<Arc<Process>> = Vec::new();
    loop {
        let targets = targets()?;
        let mut any = false;
        let is_new =
            |process: &&Arc<Process>| !seen.iter().any(|other| Arc::ptr_eq(other, process));
        for process in targets.iter().filter(is_new) {
            match send_one(process) {
                Ok(()) => {
                    any = true;
                    result = Ok(());
                }
                Err(errno) if result.is_err() => result = Err(errno),
                Err(_) => {}
            }
        }
        if !any || !kills {
            return result;
        }
        seen = targets;
    }
}

/// Sends a signal of the kernel's own to every member of a process group (a terminal's Ctrl-C).
pub(crate) fn send_to_group(group: u32, signal: Signal) {
    // The kernel's own signals are never refused.
    let send_one = |process: &Arc<Process>| send(process, SigInfo::kernel(signal));
    let _ = send_to_all(|| table::members(group), send_one, signal == Signal::KILL);
}

/// SIGKILL for every process: the job is over.
pub(crate) fn kill_everyone() {
    let everyone = table::select(|_, process| !process.is_init());
    for process in everyone.unwrap_or_default() {
        let _ = send(&process, SigInfo::kernel(Signal::KILL));
    }
}

/// rt_sigqueueinfo(2) and rt_tgsigqueueinfo(2): a signal with a story the program wrote, or `None`
/// for a mere check. Who may tell such a story has been looked at.
///
/// # Errors
/// `EPERM`, `EAGAIN`.
pub(crate) fn queue_info(
    sender: &Arc<Task>,
    process: &Arc<Process>,
    target: Option<&Arc<Task>>,
    info: Option<SigInfo>,
) -> Result<(), Errno> {
    let signal = info.as_ref().map(|info| info.signal);
    if !may_signal(sender, process, signal) {
        return Err(Errno::EPERM);
    }
    info.map_or(Ok(()), |info| post(None, process, target, info))
}

/// Tells a task's tracer that it has stopped, by the code that wait4 will show.
pub(crate) fn notify_tracer(task: &Arc<Task>, code: u32) {
    tell_tracer(task, WaitStatus::Traced(code & 0x7f));
}

/// Tells a task's tracer that it has ended.
pub(crate) fn notify_tracer_of_end(task: &Arc<Task>, status: ExitStatus) {
    tell_tracer(task, WaitStatus::Ended(status));
}

fn tell_tracer(task: &Arc<Task>, status: WaitStatus) {
    let tracer = {
        let slot = task.trace.lock();
        slot.trace
            .as_ref()
            .map(|trace| Arc::clone(trace.tracer.process()))
    };
    let Some(tracer) = tracer else { return };
    if wants_to_know(&tracer, Signal::CHLD, status) {
        let (code, value) = status.code_and_status();
        let change = ChildChange {
            code,
            pid: task.tid(),
            uid: task.creds().uids.real,
            status: value,
            user_ticks: 0,
            system_ticks: 0,
        };
        // The kernel's own signals are never refused.
        let _ = send(&tracer, SigInfo::child(Signal::CHLD, change));
    }
    tracer.child_events.wake_all();
}

/// Tells the parent that a process changed state: wakes its waits and sends SIGCHLD.
pub(crate) fn notify_parent(process: &Arc<Process>, status: WaitStatus) {
    notify_parent_in(&table::tree().lock(), process, status);
}

/// The same, for a change that was made with the table locked: nobody sees it before its signal has been
/// sent, so the signals of several changes come in their order.
pub(in crate::process) fn notify_parent_in(
    tree: &table::Tree,
    process: &Arc<Process>,
    status: WaitStatus,
) {
    let parent = tree
        .standing(process.pid())
        .and_then(|standing| tree.process(standing.parent));
    let Some(parent) = parent else { return };
    let signal = match status {
        WaitStatus::Ended(_) => process.exit_signal(),
        _ => Some(Signal::CHLD),
    };
    if let Some(signal) = signal
        && wants_to_know(&parent, signal, status)
    {
        let info = child_info(process, signal, status);
        let _ = post(Some(tree), &parent, None, info);
    }
    parent.child_events.wake_all();
}

fn wants_to_know(parent: &Process, signal: Signal, status: WaitStatus) -> bool {
    let action = parent.actions().lock().get(signal);
    let of_stops = !matches!(status, WaitStatus::Ended(_));
    !(of_stops && action.has(abi::SA_NOCLDSTOP))
}

/// Whether the parent doesn't want its children to wait for it as zombies.
pub(in crate::process) fn parent_reaps_by_itself(parent: &Process) -> bool {
    let action = parent.actions().lock().get(Signal::CHLD);
    parent.is_init() || action.disposition == Disposition::Ignore || action.has(abi::SA_NOCLDWAIT)
}

fn child_info(process: &Arc<Process>, signal: Signal, status: WaitStatus) -> SigInfo {
    let (code, value) = status.code_and_status();
    let used = usage::of_process(process);
    SigInfo::child(
        signal,
        ChildChange {
            code,
            pid: process.pid(),
            uid: process.uid.load(core::sync::atomic::Ordering::Relaxed),
            status: value,
            user_ticks: ticks(used.user_ns).cast_signed(),
            system_ticks: ticks(used.system_ns).cast_signed(),
        },
    )
}
