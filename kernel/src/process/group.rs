//! [`Process`]: threads that share a process id, the signals sent to all of them, limits, timers
//! and what their parent learns of them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

use kiln_core::errno::Errno;
use kiln_core::rlimit::Rlimits;
use kiln_core::signal::{Pending, SigActions, Signal};
use kiln_core::wait_status::{ExitStatus, WaitStatus};

use super::cgroup::Cgroup;
use super::exe::Executable;
use super::task::Task;
use super::terminal;
use super::timers::ProcessTimers;
use super::usage::Usage;
use crate::mm::kmem;
use crate::sched::{Mode, WaitQueue};
use crate::sync::{Once, SpinLock};

/// What every signal does, shared by the threads of a process and perhaps by other processes
/// (`CLONE_SIGHAND`).
pub(crate) type SharedActions = Arc<SpinLock<SigActions>>;

/// A process.
pub(crate) struct Process {
    /// Set once, when the process enters the table.
    pid: AtomicU32,
    /// Its parent's number, as the tree has it: getppid(2) needn't ask there.
    parent: AtomicU32,
    pub(super) group: SpinLock<Group>,
    limits: SpinLock<Rlimits>,
    /// Signal its parent gets when it ends; 0: none.
    pub(super) exit_signal: AtomicU8,
    /// Children changed state.
    pub(super) child_events: WaitQueue,
    /// Threads ended.
    pub(super) thread_events: WaitQueue,
    /// How it ended; set once.
    ended: Once<ExitStatus>,
    end_event: WaitQueue,
    /// As `end_event`, for polling; made when first asked for.
    watched_end: Once<Arc<WaitQueue>>,
    /// What its ended threads used.
    pub(super) ended_threads: SpinLock<Usage>,
    /// What its reaped children used.
    pub(super) children: SpinLock<Usage>,
    pub(super) timers: ProcessTimers,
    /// Wakes when a signal is sent; made when somebody first watches (signalfd(2)).
    signal_watchers: Once<Arc<WaitQueue>>,
    exe: SpinLock<Option<Arc<Executable>>>,
    pub(super) own_terminal: SpinLock<terminal::Own>,
    /// It may be inspected by its own user (`PR_SET_DUMPABLE`): 0, 1 or 2.
    pub(crate) dumpable: AtomicU8,
    /// Orphans among its descendants become its children (`PR_SET_CHILD_SUBREAPER`).
    pub(crate) is_subreaper: AtomicBool,
    /// The parent's real user id when a state change is told, and for /proc.
    pub(super) uid: AtomicU32,
    /// The number of the thread that made it: the tracer of `PTRACE_TRACEME`.
    pub(super) maker: AtomicU32,
    /// Nanoseconds after boot.
    pub(crate) started: u64,
    /// oom_score_adj, biased by 1000.
    pub(crate) oom_adjustment: AtomicU32,
    /// What a core file holds (core(5)).
    pub(crate) core_filter: AtomicU32,
    /// Commands registered with membarrier(2).
    pub(crate) membarrier: AtomicU64,
    /// The kernel's own first process.
    is_init: bool,
}

/// The part of a process that its lock protects.
#[derive(Default)]
pub(crate) struct Group {
    /// Threads that haven't ended, the first one first.
    pub(super) tasks: Vec<Arc<Task>>,
    /// Signals for the process as a whole.
    pub(super) pending: Pending,
    pub(super) actions: SharedActions,
    /// The whole process is to end so.
    pub(super) exit: Option<ExitStatus>,
    /// One of its threads dumps its core, for which so many others have left their registers; they wait.
    pub(super) dump: Option<usize>,
    /// Threads that are past that on their way to their end.
    pub(super) leaving: usize,
    /// What the last thread that called exit(2) gave it: the status when every thread ends by itself.
    pub(super) last_code: u8,
    pub(super) stop: Stop,
    /// A change of state that nobody has waited for.
    pub(super) event: Option<WaitStatus>,
    /// Its control group; `None`: the root of them.
    pub(super) cgroup: Option<Arc<Cgroup>>,
}

impl Group {
    /// How it ends, or would if its threads ended now.
    pub(super) fn status(&self) -> ExitStatus {
        self.exit.unwrap_or(ExitStatus::Exited(self.last_code))
    }

    /// Whether it is on its way to its end, which SIGKILL doesn't hasten.
    pub(super) fn is_ending(&self) -> bool {
        self.exit.is_some() && self.dump.is_none()
    }
}

/// Whether a process is stopped.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// It runs.
    #[default]
    Running,
    /// Its threads are to stop; so many have.
    Stopping(Signal, usize),
    /// All have.
    Stopped(Signal),
}

impl Process {
    /// Whether its own user may look into it.
    pub(crate) fn is_dumpable(&self) -> bool {
        self.dumpable.load(Ordering::Relaxed) == 1
    }

    pub(super) fn new(
        pid: u32,
        limits: Rlimits,
        actions: SharedActions,
    ) -> Result<Arc<Self>, Errno> {
        let _charge = kmem::charge(size_of::<Self>() + 16)?;
        Ok(Arc::new(Self {
            pid: AtomicU32::new(pid),
            parent: AtomicU32::new(0),
            group: SpinLock::new(Group {
                actions,
                ..Group::default()
            }),
            limits: SpinLock::new(limits),
            exit_signal: AtomicU8::new(Signal::CHLD.number()),
            child_events: WaitQueue::new(),
            thread_events: WaitQueue::new(),
            ended: Once::new(),
            end_event: WaitQueue::new(),
            watched_end: Once::new(),
            ended_threads: SpinLock::new(Usage::default()),
            children: SpinLock::new(Usage::default()),
            timers: ProcessTimers::default(),
            signal_watchers: Once::new(),
            exe: SpinLock::new(None),
            own_terminal: SpinLock::new(terminal::Own::default()),
            dumpable: AtomicU8::new(1),
            is_subreaper: AtomicBool::new(false),
            uid: AtomicU32::new(0),
            maker: AtomicU32::new(0),
            started: crate::arch::time::now_ns(),
            oom_adjustment: AtomicU32::new(1000),
            core_filter: AtomicU32::new(0x33),
            membarrier: AtomicU64::new(0),
            is_init: pid == 1,
        }))
    }

    /// Its parent's number; 0: none.
    pub(crate) fn parent(&self) -> u32 {
        self.parent.load(Ordering::Relaxed)
    }

    /// The tree gives it a parent.
    pub(super) fn set_parent(&self, parent: u32) {
        self.parent.store(parent, Ordering::Relaxed);
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    pub(super) fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Whether it is the kernel's own first process, which nothing touches.
    pub(crate) fn is_init(&self) -> bool {
        self.is_init
    }

    /// Its first thread, or the first that is left; `None` when all have ended.
    pub(crate) fn first_task(&self) -> Option<Arc<Task>> {
        self.group.lock().tasks.first().cloned()
    }

    /// Its threads.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn tasks(&self) -> Result<Vec<Arc<Task>>, Errno> {
        let mut tasks = Vec::new();
        let group = self.group.lock();
        tasks
            .try_reserve(group.tasks.len())
            .map_err(|_| Errno::ENOMEM)?;
        tasks.extend(group.tasks.iter().cloned());
        Ok(tasks)
    }

    /// How many threads it has.
    pub(crate) fn thread_count(&self) -> usize {
        self.group.lock().tasks.len()
    }

    /// Its limits, a copy.
    pub(crate) fn limits(&self) -> Rlimits {
        *self.limits.lock()
    }

    /// The soft limit of a resource (`RLIMIT_*`).
    pub(crate) fn limit(&self, resource: u32) -> u64 {
        self.limits.lock().soft(resource)
    }

    /// Works on its limits.
    pub(crate) fn with_limits<R>(&self, change: impl FnOnce(&mut Rlimits) -> R) -> R {
        change(&mut self.limits.lock())
    }

    /// The program's file.
    pub(crate) fn exe(&self) -> Option<Arc<Executable>> {
        self.exe.lock().clone()
    }

    pub(super) fn set_exe(&self, exe: Option<Arc<Executable>>) {
        let old = core::mem::replace(&mut *self.exe.lock(), exe);
        drop(old);
    }

    /// The queue that wakes when a signal is sent, if anybody ever watched.
    pub(super) fn signal_watchers(&self) -> Option<&Arc<WaitQueue>> {
        self.signal_watchers.get()
    }

    /// The queue that wakes when a signal is sent.
    pub(super) fn make_signal_watchers(&self) -> Result<Arc<WaitQueue>, Errno> {
        let queue = self
            .signal_watchers
            .try_call_once(|| crate::fs::memory::try_arc(WaitQueue::new()))?;
        Ok(Arc::clone(queue))
    }

    /// How it ended, once its last thread has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.ended.get().copied()
    }

    pub(super) fn set_ended(&self, status: ExitStatus) {
        self.ended.call_once(|| status);
        self.end_event.wake_all();
        // Orders the end before the look for watchers, who look for the end after they came.
        fence(Ordering::SeqCst);
        if let Some(queue) = self.watched_end.get() {
            queue.wake_all();
        }
    }

    /// Its end wakes this queue, too. Said before it starts, when nobody can have asked for the end yet.
    pub(super) fn tell_end(&self, queue: &Arc<WaitQueue>) {
        self.watched_end.call_once(|| Arc::clone(queue));
    }

    /// The queue that is woken when it ends, for poll.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn watched_end(&self) -> Result<&Arc<WaitQueue>, Errno> {
        self.watched_end
            .try_call_once(|| crate::fs::memory::try_arc(WaitQueue::new()))
    }

    /// Where the table of what signals do is: two processes share it when it is the same place.
    pub(crate) fn actions_address(&self) -> usize {
        Arc::as_ptr(&self.group.lock().actions).addr()
    }

    /// Sleeps until it has ended, or until `deadline` (in nanoseconds).
    pub(crate) fn wait_ended(&self, deadline: Option<u64>) -> Option<ExitStatus> {
        self.end_event
            .wait(Mode::Uninterruptible, deadline, || self.ended())
            .ok()
    }

    /// What the children it has waited for used.
    pub(crate) fn children_usage(&self) -> Usage {
        *self.children.lock()
    }

    /// The table of what every signal does.
    pub(super) fn actions(&self) -> SharedActions {
        Arc::clone(&self.group.lock().actions)
    }

    /// Signal its parent gets when it ends.
    pub(super) fn exit_signal(&self) -> Option<Signal> {
        Signal::new(u32::from(self.exit_signal.load(Ordering::Relaxed)))
    }
}
