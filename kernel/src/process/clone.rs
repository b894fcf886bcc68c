//! Making tasks: fork(2), vfork(2), clone(2), clone3(2). [`enter`] gives them their places.

mod enter;

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::addr::{TASK_SIZE, UserAddr};
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::signal::{SigActions, Signal};

use super::cgroup;
use super::group::{Process, SharedActions};
use super::task::{Completion, Shared, Task, TaskParts, TaskSignals, boxed};
use super::{events, pidfd, ptrace, table, timers};
use crate::arch::segments::Segments;
use crate::arch::user::UserContext;
use crate::mm::kmem;
use crate::sched::{self, Mode, ThreadParts};
use crate::sync::SpinLock;

/// The loop that a user thread runs, handed down by the `syscall` room. It returns when the task
/// has ended.
pub(crate) type Entry = fn(Arc<Task>, UserContext);

/// What clone(2) and clone3(2) are asked for.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct CloneArgs {
    /// `CLONE_*`.
    pub(crate) flags: u64,
    /// Signal for the parent at the child's end; 0: none.
    pub(crate) exit_signal: u32,
    /// The child's stack pointer; 0: the parent's.
    pub(crate) stack: u64,
    /// The child's FS base (`CLONE_SETTLS`).
    pub(crate) tls: u64,
    /// Where the parent finds the child's number.
    pub(crate) parent_tid: UserAddr,
    /// Where the child finds its own number.
    pub(crate) child_tid: UserAddr,
    /// Where the parent finds the child's descriptor (`CLONE_PIDFD`).
    pub(crate) pidfd: UserAddr,
    /// The number that the child must get; 0: any.
    pub(crate) set_tid: u32,
    /// A descriptor of the directory of the child's control group (`CLONE_INTO_CGROUP`).
    pub(crate) cgroup: i32,
}

/// Namespaces, which there are none of.
const NEW_NAMESPACES: u64 = (abi::CLONE_NEWNS
    | abi::CLONE_NEWCGROUP
    | abi::CLONE_NEWUTS
    | abi::CLONE_NEWIPC
    | abi::CLONE_NEWUSER
    | abi::CLONE_NEWPID
    | abi::CLONE_NEWNET) as u64;

impl CloneArgs {
    pub(super) const fn has(&self, flag: u32) -> bool {
        self.flags & flag as u64 != 0
    }

    fn check(&self) -> Result<(), Errno> {
        let needs = |flag, needed| !self.has(flag) || self.has(needed);
        let valid = needs(abi::CLONE_SIGHAND, abi::CLONE_VM)
            && needs(abi::CLONE_THREAD, abi::CLONE_SIGHAND)
            && self.flags & NEW_NAMESPACES == 0
            && !(self.has(abi::CLONE_PIDFD) && self.has(abi::CLONE_THREAD))
            && !(self.has(abi::CLONE_PIDFD)
                && self.has(abi::CLONE_PARENT_SETTID)
                && self.pidfd.raw() == self.parent_tid.raw())
            && !(self.has(abi::CLONE_SIGHAND) && self.flags & abi::CLONE_CLEAR_SIGHAND != 0)
            && self.exit_signal <= abi::NSIG;
        if valid { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

/// Makes a task as `parent` asks, and answers its number. With `CLONE_VFORK` the parent sleeps
/// until the child runs exec or ends.
///
/// # Errors
/// `EINVAL`, `EAGAIN`, `ENOMEM` as clone(2) says; `ERESTARTNOINTR` when a signal is to be
/// delivered first.
pub(crate) fn clone(
    parent: &Arc<Task>,
    regs: &mut UserContext,
    args: &CloneArgs,
    entry: Entry,
) -> Result<u32, Errno> {
    args.check()?;
    if parent.has_work() {
        return Err(Errno::ERESTARTNOINTR);
    }
    let creds = parent.creds();
    check_process_limit(parent, &creds)?;
    if !parent.policy().may_fork() {
        return Err(Errno::EAGAIN);
    }
    let into = enter::into_cgroup(parent, args)?;
    let child = new_task(parent, args, creds)?;
    let done = vfork_completion(args, &child)?;
    let mut own_regs = child_regs(regs, args);
    if parent.is_traced() {
        // Only the parent is stepping.
        own_regs.rflags &= !ptrace::TRAP_FLAG;
    }
    give_thread(parent, &child, own_regs, args, entry)?;
    let pidfd = give_descriptor(parent, &child, args)?;
    let (tid, joined) = match enter::enter(parent, &child, args, into) {
        Ok(entered) => entered,
        Err(errno) => {
            if let Some(fd) = pidfd {
                parent.files()?.close(fd)?;
            }
            return Err(errno);
        }
    };
    if args.has(abi::CLONE_PARENT_SETTID)
        && let Ok(space) = parent.space()
    {
        // clone(2) doesn't tell of a bad address.
        let _ = space.copy_out(args.parent_tid, &tid.to_le_bytes());
    }
    if let Some(joined) = joined {
        cgroup::announce(&joined);
    }
    events::forked(parent, &child);
    let event = ptrace::event::of_clone(parent, args);
    if event.is_some() || (parent.is_traced() && args.has(abi::CLONE_PTRACE)) {
        // Without memory it runs untraced.
        let _ = ptrace::event::follow(parent, &child);
    }
    if let Some(thread) = child.thread() {
        thread.wake();
    }
    if let Some(event) = event {
        ptrace::event::report(parent, regs, event, tid.into());
    }
    if let Some(done) = done {
        let is_done = || done.is_done().then_some(());
        cgroup::stand_still(parent);
        // When the parent is killed it doesn't wait any longer.
        let _ = done.queue.wait(Mode::Killable, None, is_done);
        cgroup::stands_no_more(parent);
        let event = ptrace::event::Event::VforkDone;
        ptrace::event::report(parent, regs, event, tid.into());
    }
    Ok(tid)
}

/// `CLONE_PIDFD`: a descriptor of the child's for the parent.
fn give_descriptor(
    parent: &Arc<Task>,
    child: &Task,
    args: &CloneArgs,
) -> Result<Option<i32>, Errno> {
    if !args.has(abi::CLONE_PIDFD) {
        return Ok(None);
    }
    let fd = pidfd::install(parent, child.process(), 0)?;
    let told = parent.space()?.copy_out(args.pidfd, &fd.to_le_bytes());
    if let Err(errno) = told {
        parent.files()?.close(fd)?;
        return Err(errno);
    }
    Ok(Some(fd))
}

/// `RLIMIT_NPROC`: how many threads the real user may have.
fn check_process_limit(parent: &Task, creds: &Credentials) -> Result<(), Errno> {
    let limit = parent.process().limit(abi::RLIMIT_NPROC);
    let privileged =
        creds.uids.real == 0 || creds.has(abi::CAP_SYS_RESOURCE) || creds.has(abi::CAP_SYS_ADMIN);
    let (threads, _) = table::counts();
    if privileged || u64_of(threads) < limit {
        return Ok(());
    }
    let uid = creds.uids.real;
    let own =
        table::select(|_, process| process.uid.load(core::sync::atomic::Ordering::Relaxed) == uid)?;
    let count: usize = own.iter().map(|process| process.thread_count()).sum();
    if u64_of(count) >= limit {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

fn new_task(
    parent: &Arc<Task>,
    args: &CloneArgs,
    creds: Arc<Credentials>,
) -> Result<Arc<Task>, Errno> {
    let process = if args.has(abi::CLONE_THREAD) {
        Arc::clone(parent.process())
    } else {
        new_process(parent, args, &creds)?
    };
    let signals = {
        let signals = parent.signals.lock();
        let keeps_alt_stack = !args.has(abi::CLONE_VM) || args.has(abi::CLONE_VFORK);
        TaskSignals {
            blocked: signals.blocked,
            alt_stack: if keeps_alt_stack {
                signals.alt_stack
            } else {
                Default::default()
            },
            ..TaskSignals::default()
        }
    };
    let parts = TaskParts {
        shared: shared(parent, args)?,
        creds,
        signals,
        no_new_privileges: parent.has_no_new_privileges(),
        personality: parent
            .personality
            .load(core::sync::atomic::Ordering::Relaxed),
        memory_policy: parent
            .memory_policy
            .load(core::sync::atomic::Ordering::Relaxed),
        timer_slack: parent.timer_slack(),
        habits: parent.habits.load(core::sync::atomic::Ordering::Relaxed),
        policy: parent.policy().for_child(),
        io_priority: parent
            .io_priority
            .load(core::sync::atomic::Ordering::Relaxed),
    };
    let child = Task::new(0, process, parts)?;
    if parent.is_timeless() {
        child.set_timeless(true);
    }
    if args.has(abi::CLONE_CHILD_CLEARTID) {
        let word = args.child_tid.raw();
        child
            .clear_child_tid
            .store(word, core::sync::atomic::Ordering::Relaxed);
    }
    super::rseq::inherit(parent, &child, args.has(abi::CLONE_VM));
    Ok(child)
}

/// A process for a fork, still without number.
fn new_process(
    parent: &Arc<Task>,
    args: &CloneArgs,
    creds: &Credentials,
) -> Result<Arc<Process>, Errno> {
    use core::sync::atomic::Ordering::Relaxed;
    let from = parent.process();
    let actions = from.actions();
    let actions = if args.has(abi::CLONE_SIGHAND) {
        actions
    } else {
        let mut copy = actions.lock().try_clone()?;
        if args.flags & abi::CLONE_CLEAR_SIGHAND != 0 {
            copy.reset_for_exec();
        }
        shared_actions(copy)?
    };
    let process = Process::new(0, from.limits(), actions)?;
    let exit_signal = if args.has(abi::CLONE_PARENT) {
        from.exit_signal().map_or(0, Signal::number)
    } else {
        Signal::new(args.exit_signal).map_or(0, Signal::number)
    };
    process.exit_signal.store(exit_signal, Relaxed);
    process.maker.store(parent.tid(), Relaxed);
    process.uid.store(creds.uids.real, Relaxed);
    process.dumpable.store(from.dumpable.load(Relaxed), Relaxed);
    process
        .oom_adjustment
        .store(from.oom_adjustment.load(Relaxed), Relaxed);
    process
        .core_filter
        .store(from.core_filter.load(Relaxed), Relaxed);
    process.set_exe(from.exe());
    process.set_terminal(from.terminal());
    timers::watch_all_limits(&process)?;
    Ok(process)
}

/// A table of actions for a process of its own.
pub(super) fn shared_actions(actions: SigActions) -> Result<SharedActions, Errno> {
    let _charge = kmem::charge(size_of::<SpinLock<SigActions>>() + 16)?;
    Ok(Arc::new(SpinLock::new(actions)))
}

/// Address space, files and directories: shared or copied.
fn shared(parent: &Arc<Task>, args: &CloneArgs) -> Result<Shared, Errno> {
    let from = parent.shared();
    let (space, files, fs) = match (from.space, from.files, from.fs) {
        (Some(space), Some(files), Some(fs)) => (space, files, fs),
        _ => return Err(Errno::ESRCH),
    };
    Ok(Shared {
        files: Some(if args.has(abi::CLONE_FILES) {
            files
        } else {
            files.fork()?
        }),
        fs: Some(if args.has(abi::CLONE_FS) {
            fs
        } else {
            fs.fork()?
        }),
        space: Some(if args.has(abi::CLONE_VM) {
            space
        } else {
            space.fork()?
        }),
    })
}

fn vfork_completion(args: &CloneArgs, child: &Task) -> Result<Option<Arc<Completion>>, Errno> {
    if !args.has(abi::CLONE_VFORK) {
        return Ok(None);
    }
    let _charge = kmem::charge(size_of::<Completion>() + 16)?;
    let done = Arc::new(Completion::default());
    *child.vfork.lock() = Some(Arc::clone(&done));
    Ok(Some(done))
}

/// The child's registers: the parent's, with 0 for its answer.
fn child_regs(regs: &UserContext, args: &CloneArgs) -> UserContext {
    let mut regs = regs.clone();
    regs.rax = 0;
    regs.orig_rax = u64::MAX;
    if args.stack != 0 {
        regs.rsp = args.stack;
    }
    regs
}

/// Makes the child's thread, which doesn't run yet.
fn give_thread(
    parent: &Arc<Task>,
    child: &Arc<Task>,
    regs: UserContext,
    args: &CloneArgs,
    entry: Entry,
) -> Result<(), Errno> {
    let from = parent.thread().ok_or(Errno::ESRCH)?;
    let fpu = from
        .with_fpu(|fpu| (fpu.try_clone(), false))
        .ok_or(Errno::ESRCH)??;
    let root = child.space()?.root();
    let mut segments = Segments::get();
    if args.has(abi::CLONE_SETTLS) {
        if args.tls >= TASK_SIZE {
            return Err(Errno::EPERM);
        }
        segments.fs = args.tls;
        segments.selectors.fs = 0;
    }
    let tells = args.has(abi::CLONE_CHILD_SETTID).then_some(args.child_tid);
    let task = Arc::clone(child);
    let body = boxed(move || {
        if let Some(word) = tells
            && let Ok(space) = task.space()
        {
            // clone(2) doesn't tell of a bad address.
            let _ = space.copy_out(word, &task.tid().to_le_bytes());
        }
        entry(task, regs);
    })?;
    let thread = sched::prepare(
        &from.name(),
        Some(ThreadParts {
            segments,
            fpu,
            root,
        }),
        body,
    )?;
    let reset = parent.policy().policy & abi::SCHED_RESET_ON_FORK != 0;
    thread.inherit(from, reset);
    child.set_thread(thread);
    Ok(())
}
