//! Signals: sending them ([`send`]), and what happens to them before a program goes on ([`work`]).
//!
//! A signal is pending for a thread or for a whole process until a thread that doesn't block it
//! comes to [`work`]. `NOTIFY_SIGNAL` on a thread says that there may be one for it; only the
//! thread itself clears that, so a wait that a signal ended always comes by here.

mod deliver;
pub(crate) mod fd;
mod room;
mod send;
mod stop;
pub(crate) mod wait;

use alloc::sync::Arc;
use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::frame::AltStack;
use kiln_core::signal::{DefaultAction, Disposition, SigAction, SigInfo, SigSet, Signal};
use kiln_core::wait_status::ExitStatus;

use super::exit;
use super::group::{Group, Stop};
use super::ptrace::{self, stop::PendingStop};
use super::task::{Task, TaskSignals};
use super::{cgroup, core_dump, rseq, timers};
use crate::arch::user::UserContext;
use crate::sched::NOTIFY_SIGNAL;

pub(crate) use deliver::sigreturn;
pub(super) use room::queued_of_user;
pub(crate) use room::signals_are_full;
pub(super) use send::{notify_parent_in, parent_reaps_by_itself};
pub(super) use stop::settle as settle_stop;

pub(crate) use send::{
    force, force_fatal, force_unseen, kill, kill_everyone, may_signal, notify_parent,
    notify_tracer, notify_tracer_of_end, queue_info, send, send_own, send_to_group, send_to_task,
};

/// What a task does next on its way to user mode.
enum Next {
    /// Nothing more: the program goes on.
    Resume,
    /// It ends; the process with it when there is a status.
    End,
    /// It leaves a core of this signal, or its registers to another thread that does, before it ends.
    Dump(Option<SigInfo>),
    /// It stops until SIGCONT.
    Stop,
    /// It stands still until its control group goes on.
    Freeze,
    /// A stop signal's default action, unless the process group is orphaned.
    TryStop(Signal),
    /// A handler runs.
    Handle(SigInfo, SigAction),
    /// Nobody hears of it but the timer that sent it, which goes on.
    Ignored(SigInfo),
    /// The tracer sees a signal first.
    Traced(SigInfo),
    /// The task stops for its tracer.
    TraceStop(PendingStop),
}

/// Does what must be done before the task goes on in user mode: ends it, stops it, or makes it run
/// handlers. `Break` when it ends: the caller lets go of what it holds of the task, and calls [`exit::end_task`].
pub(crate) fn work(task: &Arc<Task>, regs: &mut UserContext) -> ControlFlow<()> {
    let mut decided = None;
    loop {
        match decided.take().unwrap_or_else(|| next(task)) {
            Next::Resume => {
                restart_without_handler(regs);
                restore_saved_mask(task);
                return ControlFlow::Continue(());
            }
            Next::End => {
                ptrace::exit_event(task, regs);
                return ControlFlow::Break(());
            }
            Next::Dump(info) => core_dump::take_part(task, regs, info.as_ref()),
            Next::Stop => stop::stop_here(task),
            Next::Freeze => cgroup::freeze_here(task),
            Next::TryStop(signal) => stop::try_stop(task.process(), signal),
            Next::Handle(info, action) => handle(task, regs, info, &action),
            Next::Ignored(info) => {
                timers::dequeued(task.process(), info);
            }
            Next::Traced(info) => {
                let info = timers::dequeued(task.process(), info);
                if let Some(info) = ptrace::stop::signal_stop(task, regs, info) {
                    let mut group = task.process().group.lock();
                    decided = decide(task, &mut group, info);
                }
            }
            Next::TraceStop(PendingStop::Group) => ptrace::stop::group_stop(task, regs),
            Next::TraceStop(PendingStop::Trap) => ptrace::stop::trap_stop(task, regs),
        }
    }
}

/// A task with a deadline has overrun the time it reserved: it is told, if it asked for that
/// (`SCHED_FLAG_DL_OVERRUN`).
#[cold]
pub(crate) fn tell_overrun(task: &Arc<Task>) {
    if task.policy().flags & abi::SCHED_FLAG_DL_OVERRUN != 0 {
        // The signal is no real-time one, so it needs no room.
        let _ = send::send(task.process(), SigInfo::kernel(Signal::XCPU));
    }
}

/// Makes the program run its handler.
fn handle(task: &Arc<Task>, regs: &mut UserContext, info: SigInfo, action: &SigAction) {
    let info = timers::dequeued(task.process(), info);
    restart_for_handler(regs, action);
    rseq::before_handler(task, regs);
    let steps = task.is_traced() && ptrace::stop::end_step(task, regs);
    if deliver::enter_handler(task, regs, &info, action).is_err() {
        deliver::frame_failed(task, info.signal);
    } else if steps {
        ptrace::stop::handler_stop(task, regs);
    }
}

/// Decides what comes next, with the locks held for as long as that takes.
fn next(task: &Arc<Task>) -> Next {
    let process = task.process();
    let mut group = process.group.lock();
    if group.exit.is_some() || task.must_exit.load(Ordering::Relaxed) {
        return end(&mut group);
    }
    let doomed = task.signals.lock().doomed;
    if let Some(info) = doomed {
        return die(task, &mut group, info);
    }
    let traced = task.is_traced();
    if traced {
        if let Some(stop) = ptrace::stop::pending_stop(task, &group) {
            return Next::TraceStop(stop);
        }
    } else if group.stop != Stop::Running {
        return Next::Stop;
    }
    if cgroup::is_to_freeze(&group) {
        return Next::Freeze;
    }
    loop {
        let taken = take(&mut group, &mut task.signals.lock());
        let Some(info) = taken else {
            if let Some(thread) = task.thread() {
                thread.clear_notice(NOTIFY_SIGNAL);
            }
            return Next::Resume;
        };
        if traced && info.signal != Signal::KILL {
            return Next::Traced(info);
        }
        match decide(task, &mut group, info) {
            Some(next) => return next,
            None if timers::may_have_sent(&info) => return Next::Ignored(info),
            None => {}
        }
    }
}

/// The task is on its way to its end.
fn end(group: &mut Group) -> Next {
    if group.dump.is_some() {
        return Next::Dump(None);
    }
    group.leaving += 1;
    Next::End
}

/// What the task does about a signal taken off the queue; `None`: nothing.
fn decide(task: &Task, group: &mut Group, info: SigInfo) -> Option<Next> {
    let signal = info.signal;
    let action = group.actions.lock().get(signal);
    match action.disposition {
        Disposition::Ignore => None,
        Disposition::Handler(_) => {
            if action.has(abi::SA_RESETHAND) {
                group.actions.lock().reset(signal);
            }
            Some(Next::Handle(info, action))
        }
        Disposition::Default => match signal.default_action() {
            DefaultAction::Ignore | DefaultAction::Continue => None,
            DefaultAction::Stop => Some(Next::TryStop(signal)),
            _ => Some(die(task, group, info)),
        },
    }
}

/// The process ends of a signal.
fn die(task: &Task, group: &mut Group, info: SigInfo) -> Next {
    let first = group.exit.is_none() && !task.must_exit.load(Ordering::Relaxed);
    exit::start_group_exit(group, fatal_status(info.signal));
    if first && info.signal.default_action() == DefaultAction::Core {
        group.dump = Some(0);
        return Next::Dump(Some(info));
    }
    end(group)
}

/// How a process ends that a signal kills, as long as there is no core.
pub(super) const fn fatal_status(signal: Signal) -> ExitStatus {
    ExitStatus::Signaled {
        signal,
        core: false,
    }
}

/// The signal to deliver first: the thread's own before the process's.
fn take(group: &mut Group, signals: &mut TaskSignals) -> Option<SigInfo> {
    let blocked = signals.blocked;
    signals
        .pending
        .take(blocked)
        .or_else(|| group.pending.take(blocked))
}

/// The answer of a call that a signal interrupted, by its code.
const fn restart_code(regs: &UserContext) -> Option<Errno> {
    if regs.orig_rax == u64::MAX {
        return None;
    }
    match regs.rax.wrapping_neg() {
        512 => Some(Errno::ERESTARTSYS),
        513 => Some(Errno::ERESTARTNOINTR),
        514 => Some(Errno::ERESTARTNOHAND),
        516 => Some(Errno::ERESTART_RESTARTBLOCK),
        _ => None,
    }
}

/// Makes the program run its call again: back onto the SYSCALL instruction.
fn restart(regs: &mut UserContext, number: u64) {
    regs.rax = number;
    regs.rip = regs.rip.wrapping_sub(2);
    regs.orig_rax = u64::MAX;
}

fn restart_without_handler(regs: &mut UserContext) {
    match restart_code(regs) {
        Some(Errno::ERESTART_RESTARTBLOCK) => {
            restart(
                regs,
                u64::from(linux_raw_sys::general::__NR_restart_syscall),
            );
        }
        Some(_) => {
            let number = regs.orig_rax;
            restart(regs, number);
        }
        None => {}
    }
}

fn restart_for_handler(regs: &mut UserContext, action: &SigAction) {
    let again = match restart_code(regs) {
        Some(Errno::ERESTARTNOINTR) => true,
        Some(Errno::ERESTARTSYS) => action.has(abi::SA_RESTART),
        Some(_) => false,
        None => return,
    };
    if again {
        let number = regs.orig_rax;
        restart(regs, number);
    } else {
        regs.rax = Errno::EINTR.to_return();
        regs.orig_rax = u64::MAX;
    }
}

/// After a call that changed the mask for its duration, when no handler ran.
fn restore_saved_mask(task: &Arc<Task>) {
    let saved = task.signals.lock().saved_mask.take();
    if let Some(mask) = saved {
        set_blocked(task, mask);
    }
}

/// Sets which signals the running task blocks.
pub(crate) fn set_blocked(task: &Arc<Task>, mask: SigSet) {
    let group = task.process().group.lock();
    let mut signals = task.signals.lock();
    signals.blocked = mask.minus(SigSet::UNBLOCKABLE);
    let deliverable = deliverable(&group, &signals);
    if deliverable && let Some(thread) = task.thread() {
        // It is running, so nobody needs to be woken; it finds out on its way to user mode.
        thread.notify(NOTIFY_SIGNAL);
    }
}

/// Whether there is a signal for the task that it doesn't block.
fn deliverable(group: &Group, signals: &TaskSignals) -> bool {
    let pending = signals.pending.set().union(group.pending.set());
    !pending.minus(signals.blocked).is_empty()
}

/// Replaces the mask for the duration of a call (sigsuspend, ppoll, pselect): the old one comes
/// back after the handler, or when no handler runs.
pub(crate) fn swap_mask_for_call(task: &Arc<Task>, mask: SigSet) {
    let mut signals = task.signals.lock();
    let old = signals.blocked;
    signals.saved_mask.get_or_insert(old);
    drop(signals);
    set_blocked(task, mask);
}

/// Puts the mask back at once: the call wasn't interrupted.
pub(crate) fn restore_mask_after_call(task: &Arc<Task>) {
    restore_saved_mask(task);
}

/// Signals pending for the task or its process that it blocks (sigpending(2)).
pub(crate) fn pending(task: &Arc<Task>) -> SigSet {
    let group = task.process().group.lock();
    let signals = task.signals.lock();
    signals
        .pending
        .set()
        .union(group.pending.set())
        .intersection(signals.blocked)
}

/// sigaction(2): sets what a signal does, if anything new is given, and answers what it did.
///
/// # Errors
/// `EINVAL` for SIGKILL and SIGSTOP, `ENOMEM`.
pub(crate) fn set_action(
    task: &Arc<Task>,
    signal: Signal,
    new: Option<SigAction>,
) -> Result<SigAction, Errno> {
    let mut group = task.process().group.lock();
    let actions = Arc::clone(&group.actions);
    let mut actions = actions.lock();
    let Some(new) = new else {
        return Ok(actions.get(signal));
    };
    if SigSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let old = actions.set(signal, new)?;
    if actions.is_ignored(signal) {
        // Pending ones go, blocked or not (sigaction(2), POSIX).
        let set = SigSet::of(&[signal]);
        group.pending.discard(set);
        for task in &group.tasks {
            task.signals.lock().pending.discard(set);
        }
    }
    Ok(old)
}

/// sigaltstack(2): `sp` is the caller's stack pointer. Answers the old stack and its flags.
///
/// # Errors
/// `EPERM` while on the alternate stack, `EINVAL` for unknown flags, `ENOMEM` for one too small.
pub(crate) fn set_alt_stack(
    task: &Arc<Task>,
    new: Option<AltStack>,
    sp: u64,
) -> Result<(AltStack, u32), Errno> {
    let mut signals = task.signals.lock();
    let old = signals.alt_stack;
    if let Some(new) = new {
        if old.is_on(sp) {
            return Err(Errno::EPERM);
        }
        // No change is never an error, not even to one that couldn't be set.
        let unset = AltStack {
            base: 0,
            size: 0,
            flags: 0,
        };
        let same = new == old || new == unset && (old.base, old.size) == (0, 0);
        if !same {
            signals.alt_stack = checked_alt_stack(new)?;
        }
    }
    Ok((old, old.told_flags(sp)))
}

/// The least size of an alternate stack (`MINSIGSTKSZ`, asm/signal.h).
const MIN_ALT_STACK: u64 = 2048;

fn checked_alt_stack(new: AltStack) -> Result<AltStack, Errno> {
    use kiln_core::signal::frame::SS_AUTODISARM;
    let mode = new.flags & !SS_AUTODISARM;
    if mode != 0 && mode != abi::SS_DISABLE && mode != abi::SS_ONSTACK {
        return Err(Errno::EINVAL);
    }
    if mode == abi::SS_DISABLE {
        return Ok(AltStack {
            base: 0,
            size: 0,
            flags: new.flags,
        });
    }
    if new.size < MIN_ALT_STACK {
        return Err(Errno::ENOMEM);
    }
    Ok(AltStack {
        flags: new.flags & SS_AUTODISARM,
        ..new
    })
}

/// What exec leaves of a task's signals: pending ones and the mask stay, the rest goes.
pub(super) fn reset_for_exec(task: &Arc<Task>) {
    let mut signals = task.signals.lock();
    signals.alt_stack = AltStack::default();
    signals.saved_mask = None;
    signals.last_fault = [0; 3];
}
