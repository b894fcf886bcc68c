//! ptrace(2): one task, the tracer, watches another and stops it at signals, system calls and other
//! events.
//!
//! | module | |
//! | --- | --- |
//! | this one | [`Trace`]: who traces a task and how; beginning and ending it |
//! | [`stop`] | the tracee's side: its stops |
//! | [`event`] | the stops at fork, exec and exit, and what becomes of children |
//! | [`request`] | the tracer's side, on a stopped tracee |
//! | [`registers`] | `struct user_regs_struct` and its kin |
//! | [`wait`] | what the tracer's wait4(2) sees |
//!
//! A stopped tracee has put its registers into its [`Frame`] and sleeps; the tracer changes them
//! there, and the tracee takes them back when it goes on. So nobody touches what another CPU may be
//! using. Lock order: the table, a process's group, a task's signals, then its `trace`; a tracer's
//! list of tracees comes before the `trace` of those in it.

mod debug;
pub(super) mod event;
mod registers;
pub(crate) mod request;
pub(super) mod stop;
pub(super) mod wait;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use kiln_core::abi::{self, CAP_SYS_PTRACE};
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::wait_status::ExitStatus;

use super::signal::send_to_task;
use super::task::{Task, boxed};
use super::{cgroup, events, proc, table};
use crate::arch::debug::Breakpoints;
use crate::arch::segments::Segments;
use crate::arch::user::UserContext;
use crate::sched::NOTIFY_SIGNAL;
use crate::sync::SpinLock;

pub(crate) use event::{exec_event, exit_event, release_tracees};
pub(super) use request::FXSAVE;
pub(crate) use stop::around_syscall;
pub(super) use stop::{leave_registers, left_registers};

/// `PTRACE_O_*` (linux/ptrace.h).
pub(super) mod options {
    pub(in crate::process) const SYSGOOD: u32 = 1;
    pub(in crate::process) const FORK: u32 = 1 << 1;
    pub(in crate::process) const VFORK: u32 = 1 << 2;
    pub(in crate::process) const CLONE: u32 = 1 << 3;
    pub(in crate::process) const EXEC: u32 = 1 << 4;
    pub(in crate::process) const VFORK_DONE: u32 = 1 << 5;
    pub(in crate::process) const EXIT: u32 = 1 << 6;
    pub(in crate::process) const SECCOMP: u32 = 1 << 7;
    pub(in crate::process) const EXIT_KILL: u32 = 1 << 20;
    /// All that may be set.
    pub(in crate::process) const KNOWN: u32 = 0xff | EXIT_KILL;
}

/// `PTRACE_EVENT_STOP`: a group stop, an interruption or a child's first stop, of a seized task.
pub(super) const EVENT_STOP: u32 = 128;
/// The trap flag (SDM volume 1, 3.4.3.3).
pub(super) const TRAP_FLAG: u64 = 1 << 8;

/// How many tasks are traced: waits need not look for tracees when nobody is.
static TRACED: AtomicUsize = AtomicUsize::new(0);

/// Bit of a task's `attention`: it is traced.
pub(super) const IS_TRACED: u32 = 1;

/// What a task knows of being traced, under its lock.
#[derive(Default)]
pub(in crate::process) struct TraceSlot {
    pub(in crate::process) trace: Option<Box<Trace>>,
    /// Its registers, while it is stopped.
    frame: Option<Box<Frame>>,
    breakpoints: Breakpoints,
    /// Why the last debug exception came, as `debug` keeps it.
    debug_status: u64,
}

/// Who traces a task, and how.
pub(in crate::process) struct Trace {
    pub(super) tracer: Arc<Task>,
    /// Who began the tracing may trace everybody.
    is_able: bool,
    /// By `PTRACE_SEIZE`.
    seized: bool,
    options: u32,
    /// System calls stop it.
    syscalls: bool,
    /// System calls stop it and are left out (`PTRACE_SYSEMU`).
    emulates: bool,
    /// It goes on for one instruction.
    steps: bool,
    /// The trap flag in its registers is ours.
    forced_flag: bool,
    stop: Option<StopKind>,
    /// `PTRACE_SETSIGINFO` since the last stop.
    changed_info: Option<SigInfo>,
    /// `PTRACE_GETEVENTMSG`.
    message: u64,
    /// It is to stop at the next opportunity (`PTRACE_INTERRUPT`).
    trap: bool,
    /// It has taken part in its process's present stop and was told to go on.
    passed_group_stop: bool,
    /// It stays stopped, waiting for SIGCONT (`PTRACE_LISTEN`).
    listens: bool,
    /// It has ended and waits for its tracer.
    pub(super) ended: Option<ExitStatus>,
}

/// What stopped it.
#[derive(Clone, Copy)]
struct StopKind {
    /// What wait4 shows in the upper bytes of its status.
    code: u32,
    /// The tracer hasn't waited for it yet.
    news: bool,
    /// `PTRACE_GETSIGINFO`.
    info: Option<SigInfo>,
    place: Place,
}

/// Where a task is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Signal,
    Group,
    SyscallEntry,
    SyscallExit,
    Event,
}

/// A stopped task's registers.
#[derive(Default)]
struct Frame {
    regs: UserContext,
    segments: Segments,
    fpu: Vec<u8>,
    fpu_changed: bool,
    /// The signal that it goes on with; 0: none.
    signal: u32,
    resumed: bool,
}

/// The tasks that a task traces.
#[derive(Default)]
pub(in crate::process) struct Tracees {
    list: Vec<Arc<Task>>,
    /// The tracer has ended: there will be no more.
    closed: bool,
}

impl Trace {
    fn new(tracer: Arc<Task>, is_able: bool, seized: bool, options: u32) -> Self {
        Self {
            tracer,
            is_able,
            seized,
            options,
            syscalls: false,
            emulates: false,
            steps: false,
            forced_flag: false,
            stop: None,
            changed_info: None,
            message: 0,
            trap: false,
            passed_group_stop: false,
            listens: false,
            ended: None,
        }
    }
}

impl Task {
    /// Whether somebody traces it.
    pub(crate) fn is_traced(&self) -> bool {
        self.attention.load(Ordering::Relaxed) & IS_TRACED != 0
    }

    /// The number of the task that traces it; 0: none.
    pub(crate) fn tracer_tid(&self) -> u32 {
        let slot = self.trace.lock();
        slot.trace.as_ref().map_or(0, |trace| trace.tracer.tid())
    }

    /// Whether it is stopped for its tracer.
    pub(super) fn is_trace_stopped(&self) -> bool {
        let slot = self.trace.lock();
        slot.trace
            .as_ref()
            .is_some_and(|trace| trace.stop.is_some())
    }
}

/// Puts the tracee under its tracer.
fn attach_to(tracee: &Arc<Task>, trace: Trace) -> Result<(), Errno> {
    let tracer = Arc::clone(&trace.tracer);
    let mut trace = Some(boxed(trace)?);
    let mut tracees = tracer.tracees.lock();
    tracees.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let mut slot = tracee.trace.lock();
    if slot.trace.is_some() || tracees.closed {
        drop((slot, tracees));
        return Err(Errno::EPERM);
    }
    slot.trace = trace.take();
    tracee.attend(IS_TRACED);
    TRACED.fetch_add(1, Ordering::Relaxed);
    tracees.list.push(Arc::clone(tracee));
    Ok(())
}

/// Ends the tracing of a task: it goes on if it is stopped, with `signal`. What was said of it comes
/// back, for dropping outside of locks.
fn unlink(tracee: &Arc<Task>, signal: u32) -> Option<Box<Trace>> {
    let tracer = {
        let slot = tracee.trace.lock();
        Arc::clone(&slot.trace.as_ref()?.tracer)
    };
    let listed = {
        let mut tracees = tracer.tracees.lock();
        let at = tracees
            .list
            .iter()
            .position(|other| Arc::ptr_eq(other, tracee));
        at.map(|at| tracees.list.swap_remove(at))
    };
    let mut slot = tracee.trace.lock();
    let trace = slot.trace.take();
    tracee.attend_no_more(IS_TRACED);
    if let Some(frame) = slot.frame.as_mut() {
        frame.resumed = true;
        frame.signal = signal;
    }
    drop(slot);
    if trace.is_some() {
        TRACED.fetch_sub(1, Ordering::Relaxed);
    }
    tracee.trace_events.wake_all();
    drop(listed);
    trace
}

/// Forgets that a task was traced: it is no more.
pub(super) fn forget(tracee: &Arc<Task>) {
    if tracee.is_traced() {
        drop(unlink(tracee, 0));
    }
}

/// `PTRACE_TRACEME`: the parent traces the caller.
///
/// # Errors
/// `EPERM` when it is traced, or nobody can.
pub(crate) fn trace_me(task: &Arc<Task>) -> Result<(), Errno> {
    let standing = table::standing(task.pid()).ok_or(Errno::EPERM)?;
    let parent = table::process_of(standing.parent).ok_or(Errno::EPERM)?;
    let maker = task.process().maker.load(Ordering::Relaxed);
    let maker = table::task(maker).filter(|maker| Arc::ptr_eq(maker.process(), &parent));
    let tracer = maker.or_else(|| parent.first_task()).ok_or(Errno::EPERM)?;
    let is_able = task.creds().has(CAP_SYS_PTRACE);
    attach_to(task, Trace::new(tracer, is_able, false, 0))
}

/// `PTRACE_ATTACH`, and with options `PTRACE_SEIZE`.
///
/// # Errors
/// `EPERM`.
pub(crate) fn attach(
    tracer: &Arc<Task>,
    tracee: &Arc<Task>,
    seize: Option<u32>,
) -> Result<(), Errno> {
    let process = tracee.process();
    if process.is_init() || Arc::ptr_eq(process, tracer.process()) || tracee.is_ending() {
        return Err(Errno::EPERM);
    }
    if !proc::may_inspect(tracer, tracee) {
        return Err(Errno::EPERM);
    }
    let options = seize.unwrap_or(0);
    let is_able = tracer.creds().has(CAP_SYS_PTRACE);
    attach_to(
        tracee,
        Trace::new(Arc::clone(tracer), is_able, seize.is_some(), options),
    )?;
    if seize.is_none() {
        let info = SigInfo::user(Signal::STOP, abi::SI_KERNEL.cast_signed(), 0, 0);
        send_to_task(tracee, info)?;
    }
    events::traced(tracee, Some(tracer));
    // One that is stopped already tells its tracer so.
    process.thread_events.wake_all();
    Ok(())
}

/// Whether somebody traces the task who mayn't see exec give it more rights: only one who could do anything
/// anyway may.
pub(super) fn is_watched(task: &Task) -> bool {
    let slot = task.trace.lock();
    slot.trace.as_ref().is_some_and(|trace| !trace.is_able)
}

/// Makes a task look whether it has to stop.
fn prod(task: &Arc<Task>) {
    if let Some(thread) = task.thread() {
        thread.notify(NOTIFY_SIGNAL);
    }
    task.trace_events.wake_all();
    cgroup::look_again(task);
}

/// The lock's type, for the task.
pub(super) type SlotLock = SpinLock<TraceSlot>;
/// As [`SlotLock`].
pub(super) type TraceesLock = SpinLock<Tracees>;
