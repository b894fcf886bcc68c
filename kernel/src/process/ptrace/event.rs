//! Stops at fork, exec and exit, the tracing of children, and the end of a tracer.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::wait_status::{ExitStatus, WaitStatus};

use super::super::clone::CloneArgs;
use super::super::signal::{notify_tracer_of_end, send, send_to_task};
use super::super::task::Task;
use super::super::{exit, table};
use super::stop::{stop, trap_kind};
use super::{Place, Trace, attach_to, options, prod, unlink};
use crate::arch::user::UserContext;

/// An event that a tracer can ask to hear of (`PTRACE_EVENT_*`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::process) enum Event {
    Fork = 1,
    Vfork = 2,
    Clone = 3,
    Exec = 4,
    VforkDone = 5,
    Exit = 6,
    Seccomp = 7,
}

impl Event {
    const fn option(self) -> u32 {
        match self {
            Self::Fork => options::FORK,
            Self::Vfork => options::VFORK,
            Self::Clone => options::CLONE,
            Self::Exec => options::EXEC,
            Self::VforkDone => options::VFORK_DONE,
            Self::Exit => options::EXIT,
            Self::Seccomp => options::SECCOMP,
        }
    }
}

/// Whether the task's tracer wants to hear of the event; then `message` is what it will be told.
fn wants(task: &Task, event: Event, message: u64) -> bool {
    let mut slot = task.trace.lock();
    let Some(trace) = slot.trace.as_mut() else {
        return false;
    };
    let wants = trace.options & event.option() != 0;
    if wants {
        trace.message = message;
    }
    wants
}

/// Stops for the event if the tracer wants to hear of it.
pub(in crate::process) fn report(
    task: &Arc<Task>,
    regs: &mut UserContext,
    event: Event,
    message: u64,
) -> bool {
    if !task.is_traced() || !wants(task, event, message) {
        return false;
    }
    let code = abi::SIGTRAP | (event as u32) << 8;
    let kind = trap_kind(task, code, Place::Event);
    stop(task, regs, kind, event == Event::Exit);
    true
}

/// Which event making a child is; `None` when the tracer doesn't want to hear of it.
pub(in crate::process) fn of_clone(parent: &Task, args: &CloneArgs) -> Option<Event> {
    if !parent.is_traced() || args.has(abi::CLONE_UNTRACED) {
        return None;
    }
    let event = if args.has(abi::CLONE_VFORK) {
        Event::Vfork
    } else if args.exit_signal == abi::SIGCHLD {
        Event::Fork
    } else {
        Event::Clone
    };
    wants(parent, event, 0).then_some(event)
}

/// Has the parent's tracer trace the child too, from its first instruction.
pub(in crate::process) fn follow(parent: &Task, child: &Arc<Task>) -> Result<(), Errno> {
    let trace = {
        let slot = parent.trace.lock();
        let Some(from) = slot.trace.as_ref() else {
            return Ok(());
        };
        let mut trace = Trace::new(
            Arc::clone(&from.tracer),
            from.is_able,
            from.seized,
            from.options,
        );
        trace.trap = from.seized;
        trace
    };
    let seized = trace.seized;
    match attach_to(child, trace) {
        Ok(()) => {}
        // The tracer has just ended.
        Err(Errno::EPERM) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    if !seized {
        let info = SigInfo::user(Signal::STOP, abi::SI_USER.cast_signed(), 0, 0);
        child.signals.lock().pending.push(info, usize::MAX)?;
    }
    prod(child);
    Ok(())
}

/// The task has run exec; before, its number was `old_tid`.
pub(crate) fn exec_event(task: &Arc<Task>, regs: &mut UserContext, old_tid: u32) {
    if !task.is_traced() || report(task, regs, Event::Exec, old_tid.into()) {
        return;
    }
    let seized = {
        let slot = task.trace.lock();
        slot.trace.as_ref().is_none_or(|trace| trace.seized)
    };
    if !seized {
        let uid = task.creds().uids.real;
        let code = abi::SI_USER.cast_signed();
        let info = SigInfo::user(Signal::TRAP, code, task.pid(), uid);
        // Never refused: it isn't of the real-time kind.
        let _ = send_to_task(task, info);
    }
}

/// The task is about to end.
pub(crate) fn exit_event(task: &Arc<Task>, regs: &mut UserContext) {
    if task.is_traced() {
        let status = status_of(task);
        let message = i64::from(WaitStatus::Ended(status).encode()).cast_unsigned();
        report(task, regs, Event::Exit, message);
    }
}

/// How a task ends: as its process, or by its own exit(2).
pub(in crate::process) fn status_of(task: &Task) -> ExitStatus {
    let code = task.exit_code.load(Ordering::Relaxed);
    let status = task.process().group.lock().exit;
    status.unwrap_or(ExitStatus::Exited(code))
}

/// A thread that isn't its process's first has ended. Answers whether a tracer is to wait for it:
/// then it keeps its number until that has happened.
pub(in crate::process) fn thread_ended(task: &Arc<Task>, status: ExitStatus) -> bool {
    let noted = note_end(task, status);
    if noted {
        notify_tracer_of_end(task, status);
    }
    noted
}

/// A process has ended whose first thread was `task`. Answers whether a tracer that isn't its parent
/// waits for it first.
pub(in crate::process) fn process_ended(task: &Arc<Task>, status: ExitStatus) -> bool {
    if super::wait::is_traced_by_parent(task) || !note_end(task, status) {
        return false;
    }
    notify_tracer_of_end(task, status);
    true
}

fn note_end(task: &Task, status: ExitStatus) -> bool {
    let mut slot = task.trace.lock();
    let Some(trace) = slot.trace.as_mut() else {
        return false;
    };
    trace.ended = Some(status);
    trace.stop = None;
    true
}

/// SIGKILL reaches a task that is stopped at its exit too.
pub(in crate::process) fn release_exit_stop(task: &Task) {
    if !task.is_traced() {
        return;
    }
    let mut slot = task.trace.lock();
    if let Some(frame) = slot.frame.as_mut() {
        frame.resumed = true;
    }
    drop(slot);
    task.trace_events.wake_all();
}

/// A tracer ends: its tracees go on, or end too (`PTRACE_O_EXITKILL`).
pub(crate) fn release_tracees(tracer: &Arc<Task>) {
    let mut list = {
        let mut tracees = tracer.tracees.lock();
        tracees.closed = true;
        core::mem::take(&mut tracees.list)
    };
    for tracee in list.drain(..) {
        let Some(trace) = unlink(&tracee, 0) else {
            continue;
        };
        if let Some(status) = trace.ended {
            ended_and_released(&tracee, status);
        } else if trace.options & options::EXIT_KILL != 0 {
            // The kernel's own signals are never refused.
            let _ = send(tracee.process(), SigInfo::kernel(Signal::KILL));
        }
    }
}

/// Nobody traces a task that has ended any more: what its tracer was to hear goes the usual way.
pub(in crate::process) fn ended_and_released(task: &Arc<Task>, status: ExitStatus) {
    if task.tid() == task.pid() {
        exit::tell_parent_of_end(task.process(), status);
    } else {
        drop(table::tree().lock().remove_thread(task.tid()));
    }
}
