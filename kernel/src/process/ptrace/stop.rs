//! The tracee's side: its stops, each of which lasts until the tracer lets it go on or it is killed.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::num::low32;
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::wait_status::WaitStatus;

use super::super::group::{Group, Stop};
use super::super::signal::{notify_parent, notify_tracer, send_to_task, settle_stop};
use super::super::task::{Task, boxed};
use super::super::{cgroup, seccomp, user_dispatch};
use super::registers::{self, COUNT};
use super::{EVENT_STOP, Frame, Place, StopKind, TRAP_FLAG, options, request};
use crate::arch::fpu;
use crate::arch::segments::Segments;
use crate::arch::user::UserContext;
use crate::sched::Mode;

/// A stop for SIGTRAP with a code, as `ptrace_notify` makes it.
pub(super) fn trap_kind(task: &Task, code: u32, place: Place) -> StopKind {
    let signal = Signal::new(code & 0x7f).unwrap_or(Signal::TRAP);
    let uid = task.creds().uids.real;
    StopKind {
        code,
        news: true,
        info: Some(SigInfo::user(signal, code.cast_signed(), task.tid(), uid)),
        place,
    }
}

/// Stops the running task. Answers the signal that the tracer lets it go on with (0: none), or
/// `None` when it didn't stop or was killed. `even_ending`: a task on its way to its end stops too.
pub(super) fn stop(
    task: &Arc<Task>,
    regs: &mut UserContext,
    kind: StopKind,
    even_ending: bool,
) -> Option<u32> {
    // Without memory there is no stop: the tracer can't be served.
    let mut frame = filled_frame(task)?;
    {
        let group = task.process().group.lock();
        let ending = group.exit.is_some() || task.must_exit.load(Ordering::Relaxed);
        let mut slot = task.trace.lock();
        let trace = slot.trace.as_mut()?;
        if ending && !even_ending {
            return None;
        }
        if core::mem::take(&mut trace.forced_flag) {
            regs.rflags &= !TRAP_FLAG;
        }
        trace.stop = Some(kind);
        trace.changed_info = None;
        trace.listens = false;
        trace.steps = false;
        frame.regs = regs.clone();
        frame.segments = Segments::get();
        slot.frame = Some(frame);
    }
    notify_tracer(task, kind.code);
    let over = || is_over(task).then_some(());
    let mode = if even_ending {
        Mode::Uninterruptible
    } else {
        Mode::Killable
    };
    cgroup::stand_still(task);
    let killed = task.trace_events.wait(mode, None, over).is_err();
    cgroup::stands_no_more(task);
    let signal = go_on(task, regs);
    signal.filter(|_| !killed)
}

fn is_over(task: &Task) -> bool {
    let slot = task.trace.lock();
    let resumed = slot.frame.as_ref().is_none_or(|frame| frame.resumed);
    let trace = slot.trace.as_ref();
    resumed || trace.is_none_or(|trace| trace.listens && trace.trap)
}

/// A frame with the FPU's registers in it.
fn filled_frame(task: &Task) -> Option<Box<Frame>> {
    let mut frame = boxed(Frame::default()).ok()?;
    frame.fpu.try_reserve_exact(fpu::size()).ok()?;
    task.thread()?.with_fpu(|state| {
        frame.fpu.extend_from_slice(state.bytes());
        ((), false)
    })?;
    Some(frame)
}

/// The running task leaves its registers for a core file.
pub(in crate::process) fn leave_registers(task: &Task, regs: &UserContext) {
    let mut left = filled_frame(task);
    if let Some(frame) = &mut left {
        frame.regs = regs.clone();
        frame.segments = Segments::get();
    }
    task.trace.lock().frame = left;
}

/// Registers in ptrace's order, and the FPU's.
pub(in crate::process) type Left = ([u64; COUNT], Vec<u8>);

/// What a task left that isn't stopped for its tracer, a copy.
pub(in crate::process) fn left_registers(task: &Task) -> Option<Left> {
    let slot = task.trace.lock();
    let trace = slot.trace.as_ref();
    let stopped = trace.is_some_and(|trace| trace.stop.is_some());
    let frame = slot.frame.as_ref().filter(|_| !stopped)?;
    Some((
        registers::read(&frame.regs, frame.segments),
        request::shown_fpu(frame).ok()?,
    ))
}

/// Takes the registers back.
fn go_on(task: &Task, regs: &mut UserContext) -> Option<u32> {
    let mut slot = task.trace.lock();
    let frame = slot.frame.take()?;
    let trace = slot.trace.as_mut();
    *regs = frame.regs.clone();
    frame.segments.set();
    if let Some(trace) = trace {
        trace.stop = None;
        trace.listens = false;
        if trace.steps && regs.rflags & TRAP_FLAG == 0 {
            regs.rflags |= TRAP_FLAG;
            trace.forced_flag = true;
        }
    }
    drop(slot);
    if frame.fpu_changed
        && let Some(thread) = task.thread()
    {
        // It was looked at when the tracer gave it.
        thread.with_fpu(|state| (state.set_bytes(&frame.fpu, true), true));
    }
    Some(frame.signal)
}

/// A system call that is attended to: `run` where the task doesn't serve it itself, between a tracer's two stops, and as far
/// as filters let it be made.
pub(crate) fn around_syscall(
    task: &Arc<Task>,
    regs: &mut UserContext,
    run: &mut dyn FnMut(&mut UserContext),
) {
    if !user_dispatch::passes(task, regs) {
        return;
    }
    let mode = |task: &Task| {
        let slot = task.trace.lock();
        slot.trace.as_ref().map_or((false, false, false), |trace| {
            (trace.syscalls, trace.emulates, trace.forced_flag)
        })
    };
    let (syscalls, emulates, _) = mode(task);
    let mut runs = true;
    if syscalls || emulates {
        let rax = regs.rax;
        regs.rax = Errno::ENOSYS.to_return();
        syscall_stop(task, regs, Place::SyscallEntry);
        // A number of -1 leaves the call out; what the tracer put into RAX is its answer.
        runs = !emulates && low32(regs.orig_rax) != u32::MAX && !task.is_ending();
        if runs {
            regs.rax = rax;
        }
    }
    if runs && seccomp::passes(task, regs) {
        run(regs);
    }
    let (syscalls, emulates, steps) = mode(task);
    if steps && !emulates {
        stepped(task);
    } else if syscalls {
        syscall_stop(task, regs, Place::SyscallExit);
    }
}

fn syscall_stop(task: &Arc<Task>, regs: &mut UserContext, place: Place) {
    let code = {
        let mut slot = task.trace.lock();
        let Some(trace) = slot.trace.as_mut() else {
            return;
        };
        trace.message = if place == Place::SyscallEntry { 1 } else { 2 };
        let mark = if trace.options & options::SYSGOOD != 0 {
            0x80
        } else {
            0
        };
        abi::SIGTRAP | mark
    };
    let signal = stop(task, regs, trap_kind(task, code, place), false);
    send_given(task, signal);
}

/// A system call was what a single step stepped over.
fn stepped(task: &Arc<Task>) {
    let info = SigInfo::bare(Signal::TRAP, abi::TRAP_BRKPT.cast_signed());
    // The kernel's own signals are never refused.
    let _ = send_to_task(task, info);
}

/// What the tracer gave where no signal was: it is sent.
fn send_given(task: &Arc<Task>, signal: Option<u32>) {
    if let Some(signal) = signal.and_then(Signal::new) {
        // As above.
        let _ = send_to_task(task, SigInfo::kernel(signal));
    }
}

/// A signal is about to be delivered: the tracer says which one is.
pub(in crate::process) fn signal_stop(
    task: &Arc<Task>,
    regs: &mut UserContext,
    info: SigInfo,
) -> Option<SigInfo> {
    let kind = StopKind {
        code: u32::from(info.signal.number()),
        news: true,
        info: Some(info),
        place: Place::Signal,
    };
    // Its stop may be told of another story; without a stop the signal is lost to the end.
    let told = Arc::clone(task);
    let number = stop(task, regs, kind, false)?;
    let signal = Signal::new(number)?;
    let changed = told
        .trace
        .lock()
        .trace
        .as_mut()
        .and_then(|trace| trace.changed_info.take());
    let info = changed.unwrap_or(info);
    let info = if info.signal == signal {
        info
    } else {
        let tracer = task.tracer_tid();
        SigInfo::user(signal, abi::SI_USER.cast_signed(), tracer, 0)
    };
    if task.blocked().contains(signal) {
        // As above.
        let _ = send_to_task(task, info);
        return None;
    }
    Some(info)
}

/// What a traced task has to do before its signals: `None` when nothing.
pub(in crate::process) fn pending_stop(task: &Task, group: &Group) -> Option<PendingStop> {
    let mut slot = task.trace.lock();
    let trace = slot.trace.as_mut()?;
    if group.stop != Stop::Running && !trace.passed_group_stop {
        return Some(PendingStop::Group);
    }
    core::mem::take(&mut trace.trap).then_some(PendingStop::Trap)
}

/// See [`pending_stop`].
pub(in crate::process) enum PendingStop {
    /// Its process stops.
    Group,
    /// Its tracer interrupts it.
    Trap,
}

/// Takes part in its process's stop.
pub(in crate::process) fn group_stop(task: &Arc<Task>, regs: &mut UserContext) {
    let process = task.process();
    let mut group = process.group.lock();
    let (signal, settled) = match group.stop {
        Stop::Running => return,
        Stop::Stopped(signal) => (signal, None),
        Stop::Stopping(signal, stopped) => {
            group.stop = Stop::Stopping(signal, stopped + 1);
            (signal, settle_stop(&mut group))
        }
    };
    let seized = {
        let mut slot = task.trace.lock();
        let Some(trace) = slot.trace.as_mut() else {
            return;
        };
        trace.passed_group_stop = true;
        trace.trap = false;
        trace.seized
    };
    drop(group);
    if let Some(signal) = settled {
        notify_parent(process, WaitStatus::Stopped(signal));
    }
    let number = u32::from(signal.number());
    let kind = if seized {
        trap_kind(task, number | EVENT_STOP << 8, Place::Group)
    } else {
        StopKind {
            code: number,
            news: true,
            info: None,
            place: Place::Group,
        }
    };
    stop(task, regs, kind, false);
}

/// Stops because the tracer asked for it.
pub(in crate::process) fn trap_stop(task: &Arc<Task>, regs: &mut UserContext) {
    let stopped = match task.process().group.lock().stop {
        Stop::Running => None,
        Stop::Stopped(signal) | Stop::Stopping(signal, _) => Some(signal),
    };
    let number = stopped.map_or(abi::SIGTRAP, |signal| u32::from(signal.number()));
    let kind = trap_kind(task, number | EVENT_STOP << 8, Place::Group);
    stop(task, regs, kind, false);
}

/// A new stop of the process has begun: every traced thread takes part anew.
pub(in crate::process) fn group_stops(task: &Task) {
    if let Some(trace) = task.trace.lock().trace.as_mut() {
        trace.passed_group_stop = false;
    }
}

/// SIGCONT let the process go on: who listens hears of it.
pub(in crate::process) fn group_continues(task: &Arc<Task>) {
    let mut slot = task.trace.lock();
    let Some(trace) = slot.trace.as_mut() else {
        return;
    };
    trace.passed_group_stop = false;
    if trace.seized && trace.listens {
        trace.trap = true;
        drop(slot);
        super::prod(task);
    }
}

/// Takes our trap flag out of the registers before a handler's frame is built. Answers whether the
/// task was stepping.
pub(in crate::process) fn end_step(task: &Task, regs: &mut UserContext) -> bool {
    let mut slot = task.trace.lock();
    let Some(trace) = slot.trace.as_mut() else {
        return false;
    };
    let steps = core::mem::take(&mut trace.forced_flag);
    if steps {
        regs.rflags &= !TRAP_FLAG;
    }
    steps
}

/// Stops at a handler's first instruction: the step led into it.
pub(in crate::process) fn handler_stop(task: &Arc<Task>, regs: &mut UserContext) {
    let kind = trap_kind(task, abi::SIGTRAP, Place::Event);
    let signal = stop(task, regs, kind, false);
    send_given(task, signal);
}
