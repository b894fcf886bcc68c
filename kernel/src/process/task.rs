//! [`Task`]: a thread of a program, with what it shares with others ([`shared`]) or has for itself.

mod shared;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::bandwidth::Params;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::signal::frame::AltStack;
use kiln_core::signal::{Pending, SigInfo, SigSet};

use super::group::Process;
use super::rseq::Rseq;
use super::usage::Moved;
use super::{futex, ptrace, seccomp, user_dispatch};
use crate::mm::kmem;
use crate::sched::{
    self, NOTIFY_ATTENDED, NOTIFY_KILL, NOTIFY_REGISTERS, NOTIFY_SIGNAL, Thread, WaitQueue,
};
use crate::sync::{Once, SpinLock};
pub(crate) use shared::Held;
pub(super) use shared::Shared;

/// A thread of a program.
pub(crate) struct Task {
    tid: AtomicU32,
    process: Arc<Process>,
    thread: Once<Arc<Thread>>,
    shared: SpinLock<Shared>,
    creds: SpinLock<Arc<Credentials>>,
    pub(super) signals: SpinLock<TaskSignals>,
    /// Word to clear and wake when the task ends (`CLONE_CHILD_CLEARTID`, set_tid_address(2)).
    pub(super) clear_child_tid: AtomicU64,
    policy: SpinLock<Policy>,
    /// Head of the list of robust futexes.
    pub(super) robust_list: AtomicU64,
    /// The task is to end although its process lives on: another thread runs exec.
    pub(super) must_exit: AtomicBool,
    /// Who waits for this task to run exec or end: its vfork parent.
    pub(super) vfork: SpinLock<Option<Arc<Completion>>>,
    restart: SpinLock<Restart>,
    pub(super) futex: Arc<futex::Waiter>,
    pub(super) rseq: SpinLock<Rseq>,
    /// What makes its system calls, or its time in user mode, other than usual, as bits: [`ptrace::IS_TRACED`] and those of
    /// [`seccomp`], [`user_dispatch`] and `ptrace::debug`.
    pub(super) attention: AtomicU32,
    /// It does nothing until somebody lets it go on: it is stopped, frozen, or waits for its vfork child.
    pub(super) stands_still: AtomicBool,
    /// The last filter of its system calls.
    pub(super) filters: SpinLock<Option<Arc<seccomp::Filter>>>,
    pub(super) dispatch: SpinLock<user_dispatch::Dispatch>,
    pub(super) trace: ptrace::SlotLock,
    /// Wakes it from a stop.
    pub(super) trace_events: WaitQueue,
    pub(super) tracees: ptrace::TraceesLock,
    /// What it gave to exit(2).
    pub(super) exit_code: AtomicU8,
    /// `ioprio_set(2)`; kept, not used.
    pub(crate) io_priority: AtomicU32,
    /// How often it had waited, and what it had run, when its time under `RLIMIT_RTTIME` began.
    pub(super) waits_seen: AtomicU64,
    pub(super) ran_at_wait: AtomicU64,
    no_new_privileges: AtomicBool,
    /// Signal to get when the parent ends (`PR_SET_PDEATHSIG`); 0: none.
    pub(super) parent_death_signal: AtomicU32,
    /// Nanoseconds that a timer may be late (`PR_SET_TIMERSLACK`); kept, not used.
    pub(super) timer_slack: AtomicU64,
    /// What 0 puts back: what the thread that made it had then.
    default_slack: u64,
    /// What `PR_MCE_KILL` and `PR_SET_IO_FLUSHER` chose, as the prctl room encodes it.
    pub(crate) habits: AtomicU32,
    /// `personality(2)`.
    pub(super) personality: AtomicU32,
    /// `set_mempolicy(2)`: a `kiln_core::mempolicy::Policy`, packed.
    pub(crate) memory_policy: AtomicU32,
    /// What its calls move.
    pub(crate) moved: Moved,
}

/// A task's own part in signals.
#[derive(Default)]
pub(super) struct TaskSignals {
    pub(super) blocked: SigSet,
    /// The mask to go back to after a call that changed it for its duration.
    pub(super) saved_mask: Option<SigSet>,
    /// Signals that sigtimedwait(2) waits for: they count as not blocked for the sender.
    pub(super) awaited: SigSet,
    pub(super) pending: Pending,
    /// It dies of this, whatever is made of that signal meanwhile, and no tracer sees it.
    pub(super) doomed: Option<SigInfo>,
    pub(super) alt_stack: AltStack,
    /// Error code, vector and address of the last fault, for the handler's context.
    pub(super) last_fault: [u64; 3],
}

/// How restart_syscall(2) goes on with an interrupted call.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    /// Nothing to go on with.
    #[default]
    None,
    /// nanosleep(2): until when, of which clock, and where the rest goes.
    Nanosleep {
        /// The clock's number.
        clock: i32,
        /// Nanoseconds of `arch::time::now_ns`.
        deadline: u64,
        /// A timespec of the program's, or null.
        remaining: UserAddr,
    },
    /// futex(2) with a relative timeout.
    Futex {
        /// The word.
        addr: UserAddr,
        /// The value it must hold.
        value: u32,
        /// The bits to be woken by.
        bitset: u32,
        /// The word isn't shared with another address space.
        private: bool,
        /// Nanoseconds of `arch::time::now_ns`.
        deadline: u64,
    },
    /// poll(2).
    Poll {
        /// The array.
        fds: UserAddr,
        /// Its length.
        count: u32,
        /// Nanoseconds of `arch::time::now_ns`.
        deadline: u64,
    },
}

/// Something that happens once, and who waits for it.
#[derive(Default)]
pub(crate) struct Completion {
    done: AtomicBool,
    pub(super) queue: WaitQueue,
}

impl Completion {
    /// It has happened.
    pub(super) fn complete(&self) {
        self.done.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// What timers may be late by, unless a program says otherwise.
pub(super) const DEFAULT_TIMER_SLACK_NS: u64 = 50_000;

/// What a new task starts with.
pub(super) struct TaskParts {
    pub(super) shared: Shared,
    pub(super) creds: Arc<Credentials>,
    pub(super) signals: TaskSignals,
    pub(super) no_new_privileges: bool,
    pub(super) personality: u32,
    pub(super) memory_policy: u32,
    pub(super) timer_slack: u64,
    pub(super) habits: u32,
    pub(super) policy: Policy,
    pub(super) io_priority: u32,
}

/// A scheduling policy as it was set, with `SCHED_RESET_ON_FORK`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    /// `SCHED_*`.
    pub(crate) policy: u32,
    /// 1 to 99 for those of real time, else 0.
    pub(crate) priority: u32,
    /// What `SCHED_DEADLINE` reserves.
    pub(crate) reserved: Params,
    /// `SCHED_FLAG_RECLAIM` and `SCHED_FLAG_DL_OVERRUN`.
    pub(crate) flags: u32,
}

impl Policy {
    /// What is reserved for one thread isn't there for two (sched(7)).
    pub(super) const fn may_fork(self) -> bool {
        self.policy != abi::SCHED_DEADLINE
    }

    /// A child's: the same, unless the parent's isn't to be inherited.
    pub(super) fn for_child(self) -> Self {
        if self.policy & abi::SCHED_RESET_ON_FORK == 0 {
            return self;
        }
        match self.policy & !abi::SCHED_RESET_ON_FORK {
            abi::SCHED_FIFO | abi::SCHED_RR | abi::SCHED_DEADLINE => Self::default(),
            policy => Self {
                policy,
                ..Self::default()
            },
        }
    }
}

impl Task {
    pub(super) fn new(
        tid: u32,
        process: Arc<Process>,
        parts: TaskParts,
    ) -> Result<Arc<Self>, Errno> {
        let _charge = kmem::charge(size_of::<Self>() + size_of::<futex::Waiter>() + 64)?;
        Ok(Arc::new(Self {
            tid: AtomicU32::new(tid),
            process,
            thread: Once::new(),
            shared: SpinLock::new(parts.shared),
            creds: SpinLock::new(parts.creds),
            signals: SpinLock::new(parts.signals),
            clear_child_tid: AtomicU64::new(0),
            policy: SpinLock::new(parts.policy),
            robust_list: AtomicU64::new(0),
            must_exit: AtomicBool::new(false),
            vfork: SpinLock::new(None),
            restart: SpinLock::new(Restart::None),
            futex: Arc::new(futex::Waiter::default()),
            rseq: SpinLock::new(Rseq::default()),
            attention: AtomicU32::new(0),
            stands_still: AtomicBool::new(false),
            filters: SpinLock::new(None),
            dispatch: SpinLock::default(),
            trace: SpinLock::default(),
            trace_events: WaitQueue::new(),
            tracees: SpinLock::default(),
            exit_code: AtomicU8::new(0),
            io_priority: AtomicU32::new(parts.io_priority),
            waits_seen: AtomicU64::new(0),
            ran_at_wait: AtomicU64::new(0),
            no_new_privileges: AtomicBool::new(parts.no_new_privileges),
            parent_death_signal: AtomicU32::new(0),
            timer_slack: AtomicU64::new(parts.timer_slack),
            default_slack: parts.timer_slack,
            habits: AtomicU32::new(parts.habits),
            personality: AtomicU32::new(parts.personality),
            memory_policy: AtomicU32::new(parts.memory_policy),
            moved: Moved::default(),
        }))
    }

    /// Gives the task its thread, which it has from before it first runs.
    pub(super) fn set_thread(self: &Arc<Self>, thread: Arc<Thread>) {
        let owner: Weak<Self> = Arc::downgrade(self);
        thread.set_owner(owner);
        self.thread.call_once(|| thread);
    }

    /// Gives it a thread of the kernel's own, which goes on doing other things.
    pub(super) fn adopt_thread(&self, thread: Arc<Thread>) {
        self.thread.call_once(|| thread);
    }

    /// Its number (gettid(2)).
    pub(crate) fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }

    pub(super) fn set_tid(&self, tid: u32) {
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// The process it belongs to.
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Its system calls take the long way from now on: see `attention`.
    pub(super) fn attend(&self, why: u32) {
        self.attention.fetch_or(why, Ordering::AcqRel);
        if let Some(thread) = self.thread() {
            thread.note(NOTIFY_ATTENDED);
        }
    }

    /// They don't for this reason any more. The thread finds out by itself.
    pub(super) fn attend_no_more(&self, why: u32) {
        self.attention.fetch_and(!why, Ordering::AcqRel);
    }

    /// The call in progress changed registers.
    pub(super) fn note_registers(&self) {
        if let Some(thread) = self.thread() {
            thread.note(NOTIFY_REGISTERS);
        }
    }

    /// Whether its system calls take the long way, through tracers and filters.
    pub(crate) fn is_attended(&self) -> bool {
        self.attention.load(Ordering::Relaxed) != 0
    }

    /// Its process's number (getpid(2)).
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its thread; `None` only while it is being made.
    pub(crate) fn thread(&self) -> Option<&Arc<Thread>> {
        self.thread.get()
    }

    /// The word to clear at its end; 0: none.
    pub(crate) fn clear_child_tid(&self) -> u64 {
        self.clear_child_tid.load(Ordering::Relaxed)
    }

    /// set_tid_address(2).
    pub(crate) fn set_clear_child_tid(&self, word: u64) {
        self.clear_child_tid.store(word, Ordering::Relaxed);
    }

    /// The signal it gets when its parent ends; 0: none.
    pub(crate) fn parent_death_signal(&self) -> u32 {
        self.parent_death_signal.load(Ordering::Relaxed)
    }

    /// Sets that signal.
    pub(crate) fn set_parent_death_signal(&self, number: u32) {
        self.parent_death_signal.store(number, Ordering::Relaxed);
    }

    /// How late a timer may be, in nanoseconds.
    pub(crate) fn timer_slack(&self) -> u64 {
        self.timer_slack.load(Ordering::Relaxed)
    }

    /// Sets that; 0 puts the default back.
    pub(crate) fn set_timer_slack(&self, ns: u64) {
        let ns = if ns == 0 { self.default_slack } else { ns };
        self.timer_slack.store(ns, Ordering::Relaxed);
    }

    /// Its execution domain's flags.
    pub(crate) fn personality(&self) -> &AtomicU32 {
        &self.personality
    }

    /// Its scheduling policy.
    pub(crate) fn policy(&self) -> Policy {
        *self.policy.lock()
    }

    /// Sets its scheduling policy.
    pub(crate) fn set_policy(&self, policy: Policy) {
        *self.policy.lock() = policy;
    }

    /// Its name (`comm`), NUL-padded.
    pub(crate) fn comm(&self) -> [u8; 16] {
        self.thread().map_or([0; 16], |thread| thread.name())
    }

    /// Whether [`super::work`] has something to do before user mode goes on.
    pub(crate) fn has_work(&self) -> bool {
        self.thread()
            .is_some_and(|thread| thread.is_notified(NOTIFY_KILL | NOTIFY_SIGNAL))
    }

    /// Whether it ends as soon as it can.
    pub(crate) fn is_ending(&self) -> bool {
        self.thread()
            .is_some_and(|thread| thread.is_notified(NOTIFY_KILL))
    }

    /// Says how restart_syscall(2) goes on; the call then answers `ERESTART_RESTARTBLOCK`.
    pub(crate) fn set_restart(&self, restart: Restart) {
        *self.restart.lock() = restart;
    }

    /// Takes what was said.
    pub(crate) fn take_restart(&self) -> Restart {
        core::mem::take(&mut self.restart.lock())
    }

    /// Whether exec gives no more rights (`PR_SET_NO_NEW_PRIVS`).
    pub(crate) fn has_no_new_privileges(&self) -> bool {
        self.no_new_privileges.load(Ordering::Relaxed)
    }

    /// From now on exec gives no more rights.
    pub(crate) fn set_no_new_privileges(&self) {
        self.no_new_privileges.store(true, Ordering::Relaxed);
    }

    /// The signals it blocks.
    pub(crate) fn blocked(&self) -> SigSet {
        self.signals.lock().blocked
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // What a task shares goes at its end; this is for one that never ran.
        let shared = core::mem::take(&mut *self.shared.lock());
        drop(shared);
    }
}

/// The task whose thread is running; `None` in threads of the kernel alone.
pub(crate) fn current() -> Option<Arc<Task>> {
    let owner: Arc<dyn Any + Send + Sync> = sched::current().owner()?;
    owner.downcast().ok()
}

/// A boxed value, when there is memory for it.
pub(super) fn boxed<T>(value: T) -> Result<Box<T>, Errno> {
    let _charge = kmem::charge(size_of::<T>())?;
    Ok(Box::new(value))
}
