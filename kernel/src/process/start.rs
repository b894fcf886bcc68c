//! The first processes: PID 1, the kernel's own, and the job, PID 2.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kiln_core::abi;
use kiln_core::auxv::ArgStrings;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::num::u64_of;
use kiln_core::rlimit::Rlimits;
use kiln_core::signal::{SigActions, SigInfo, Signal};
use kiln_core::wait_status::ExitStatus;

use super::clone::{Entry, shared_actions};
use super::exec::{self, Caller, Prepared};
use super::group::Process;
use super::oom;
use super::signal::{kill_everyone, send};
use super::task::{DEFAULT_TIMER_SLACK_NS, Policy, Shared, Task, TaskParts, TaskSignals, boxed};
use super::{async_io, table, terminal};
use crate::arch::fpu::FpuState;
use crate::arch::segments::Segments;
use crate::arch::time::now_ns;
use crate::arch::user::UserContext;
use crate::fs::stdio::Stdio;
use crate::fs::{self, FdTable, FsContext, Lookup};
use crate::mm::{frame, kmem};
use crate::sched::{self, ThreadParts, WaitQueue};
use crate::sync::Once;
use crate::vm;

/// What a user thread runs, handed down by the `syscall` room.
static ENTRY: Once<Entry> = Once::new();
static JOB: Once<Arc<Process>> = Once::new();
/// What takes the place of the job's end when it is the last of all; unset: nothing.
static LEAVE: Once<Leave> = Once::new();
/// When the job entered user mode; 0: not yet.
static FIRST_INSTRUCTION: AtomicU64 = AtomicU64::new(0);
/// How long [`kill_all`] waits for processes to end: one that waits for a dead disk never does.
const KILL_PATIENCE_NS: u64 = 10_000_000_000;
/// Where programs are looked for when the environment doesn't say.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes PID 1, to which orphans go; they are reaped as they end. Its thread is the caller, the
/// kernel's first; it never enters user mode.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn init(entry: Entry) -> Result<(), Errno> {
    ENTRY.call_once(|| entry);
    vm::reclaim::on_shortage(oom::make_room);
    terminal::init();
    async_io::init();
    let actions = shared_actions(SigActions::new())?;
    let process = Process::new(1, initial_limits(), actions)?;
    let task = Task::new(
        1,
        Arc::clone(&process),
        first_parts(Shared::default(), Credentials::new(0, 0))?,
    )?;
    let thread = sched::current();
    thread.set_name(b"init");
    task.adopt_thread(thread);
    let mut tree = table::tree().lock();
    tree.add_thread(Some(1), |_| Ok(Arc::clone(&task)))?;
    let mut group = process.group.lock();
    group.tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    group.tasks.push(task);
    drop(group);
    tree.add_first(process)
}

/// What a task starts with that has no parent.
fn first_parts(shared: Shared, creds: Credentials) -> Result<TaskParts, Errno> {
    let _charge = kmem::charge(size_of::<Credentials>() + 16)?;
    Ok(TaskParts {
        shared,
        creds: Arc::new(creds),
        signals: TaskSignals::default(),
        no_new_privileges: false,
        personality: 0,
        memory_policy: 0,
        timer_slack: DEFAULT_TIMER_SLACK_NS,
        habits: 0,
        policy: Policy::default(),
        io_priority: 0,
    })
}

/// The loop that user threads run.
pub(super) fn entry() -> Result<Entry, Errno> {
    ENTRY.get().copied().ok_or(Errno::ENOSYS)
}

/// Linux allows as many threads as take an eighth of memory (`fork_init`), 16 KiB of stack each.
#[inline(never)]
fn initial_limits() -> Rlimits {
    let frames = u64_of(frame::stats().total);
    let threads = (frames / (8 * 4)).clamp(20, u64::from(kiln_core::proctree::PID_MAX));
    Rlimits::initial(threads / 2)
}

/// Leaves the machine with the job's status.
pub(crate) type Leave = fn(&Arc<Process>, ExitStatus) -> !;

/// What the job is.
pub(crate) struct JobPlan<'a> {
    /// The program and its arguments.
    pub(crate) args: &'a [Vec<u8>],
    /// The environment.
    pub(crate) env: &'a [Vec<u8>],
    /// The working directory; empty: the root.
    pub(crate) cwd: &'a [u8],
    /// The user.
    pub(crate) uid: u32,
    /// The group.
    pub(crate) gid: u32,
    /// Descriptors 0, 1 and 2.
    pub(crate) stdio: &'a Stdio,
    /// Where it starts.
    pub(crate) fs: &'a Arc<FsContext>,
    /// Standard input is a terminal, which becomes the job's own.
    pub(crate) tty: bool,
    /// Where to wake who waits for its end.
    pub(crate) end: &'a Arc<WaitQueue>,
    /// Called in place of the end of the job's last thread, if there is no other in the machine: for a job that
    /// leaves nothing behind, whose memory and files needn't be given back piece by piece.
    pub(crate) leave: Option<Leave>,
}

/// Starts the job: PID 2, leader of a session and a group of its own.
///
/// # Errors
/// As execve(2): the program can't be found or can't be run.
pub(crate) fn spawn_job(plan: &JobPlan<'_>) -> Result<Arc<Process>, Errno> {
    let creds = Credentials::new(plan.uid, plan.gid);
    let fs = plan.fs.fork()?;
    if !plan.cwd.is_empty() {
        let lookup = Lookup::new(&fs, fs::identity(&creds));
        fs.set_cwd(fs::vfs::directory(&lookup, plan.cwd)?);
    }
    let prepared = prepare(plan, &fs, &creds)?;
    let files = FdTable::new()?;
    for (fd, file) in plan.stdio.iter().enumerate() {
        if let Some(file) = file {
            files.install_from(Arc::clone(file), false, fd, 1024)?;
        }
    }
    let task = make_task(prepared, fs, files)?;
    share_with_first(plan)?;
    let process = Arc::clone(task.process());
    JOB.call_once(|| Arc::clone(&process));
    process.tell_end(plan.end);
    if let Some(leave) = plan.leave {
        LEAVE.call_once(|| leave);
    }
    if plan.tty {
        terminal::give_console_to(&process);
    }
    if let Some(thread) = task.thread() {
        thread.wake();
    }
    Ok(process)
}

/// PID 1 stands at the root that the job starts from, with no file open.
fn share_with_first(plan: &JobPlan<'_>) -> Result<(), Errno> {
    let shared = Shared {
        space: None,
        files: Some(FdTable::new()?),
        fs: Some(Arc::clone(plan.fs)),
    };
    if let Some(first) = table::task(1) {
        first.replace_shared(|old| core::mem::replace(old, shared));
    }
    Ok(())
}

fn prepare(plan: &JobPlan<'_>, fs: &FsContext, creds: &Credentials) -> Result<Prepared, Errno> {
    let caller = Caller {
        fs,
        creds,
        base_closes: false,
        no_new: false,
        watched: &|| false,
        limits: initial_limits(),
        personality: 0,
    };
    let mut strings = ArgStrings::new(caller.limits.soft(abi::RLIMIT_STACK), 0);
    for arg in plan.args {
        strings.push_arg(arg).map_err(Errno::from)?;
    }
    for variable in plan.env {
        strings.push_env(variable).map_err(Errno::from)?;
    }
    let program = plan.args.first().ok_or(Errno::ENOENT)?;
    let path = locate(plan, &caller, program)?;
    let file = exec::find(&caller, None, &path, true)?;
    exec::prepare(&caller, file, &path, &mut strings).map_err(|error| error.errno)
}

/// Looks for a program without a slash along PATH, as execvp(3) does.
fn locate(plan: &JobPlan<'_>, caller: &Caller<'_>, program: &[u8]) -> Result<Vec<u8>, Errno> {
    if program.contains(&b'/') || program.is_empty() {
        return fs::memory::try_copy(program);
    }
    let path = plan
        .env
        .iter()
        .find_map(|variable| variable.strip_prefix(b"PATH="))
        .unwrap_or(DEFAULT_PATH);
    let mut error = Errno::ENOENT;
    for directory in path.split(|byte| *byte == b':') {
        let mut candidate = fs::memory::try_copy(directory)?;
        if !directory.is_empty() {
            fs::memory::append(&mut candidate, b"/")?;
        }
        fs::memory::append(&mut candidate, program)?;
        match exec::find(caller, None, &candidate, true) {
            Ok(_) => return Ok(candidate),
            Err(Errno::EACCES) => error = Errno::EACCES,
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(other) => return Err(other),
        }
    }
    Err(error)
}

fn make_task(
    prepared: Prepared,
    fs: Arc<FsContext>,
    files: Arc<FdTable>,
) -> Result<Arc<Task>, Errno> {
    let actions = shared_actions(SigActions::new())?;
    let process = Process::new(0, initial_limits(), actions)?;
    process
        .uid
        .store(prepared.creds.uids.real, Ordering::Relaxed);
    let (name, loaded, creds) = prepared.into_parts(&process);
    let shared = Shared {
        space: Some(Arc::clone(&loaded.space)),
        files: Some(files),
        fs: Some(fs),
    };
    let task = Task::new(0, Arc::clone(&process), first_parts(shared, creds)?)?;
    let regs = UserContext::new(loaded.entry.raw(), loaded.stack.raw());
    let body = {
        let (task, entry) = (Arc::clone(&task), entry()?);
        boxed(move || {
            FIRST_INSTRUCTION.store(now_ns(), Ordering::Relaxed);
            entry(task, regs);
        })?
    };
    let parts = ThreadParts {
        segments: Segments::default(),
        fpu: FpuState::new()?,
        root: loaded.space.root(),
    };
    task.set_thread(sched::prepare(&name, Some(parts), body)?);
    enter(&task)?;
    Ok(task)
}

/// Gives the job its number, session and group.
fn enter(task: &Arc<Task>) -> Result<(), Errno> {
    let process = task.process();
    let mut tree = table::tree().lock();
    tree.add_thread(None, |tid| {
        task.set_tid(tid);
        process.set_pid(tid);
        Ok(Arc::clone(task))
    })?;
    let mut group = process.group.lock();
    group.tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    group.tasks.push(Arc::clone(task));
    drop(group);
    process.set_parent(1);
    tree.add_process(process.pid(), 1, Arc::clone(process))?;
    tree.mark_executed(process.pid());
    tree.start_session(process.pid())
}

/// A thread of this process ends. Comes back unless there is nothing else to do than to leave: it is the job's last.
pub(super) fn maybe_leave(process: &Arc<Process>) {
    // PID 1 and this one.
    if let Some(leave) = LEAVE.get()
        && process.pid() == 2
        && table::counts().0 == 2
    {
        let status = process.group.lock().status();
        leave(process, status)
    }
}

/// The job's main process, once it has started.
pub(crate) fn job() -> Option<&'static Arc<Process>> {
    JOB.get()
}

/// When the job's first instruction ran, in nanoseconds after boot.
pub(crate) fn first_user_instruction_ns() -> Option<u64> {
    match FIRST_INSTRUCTION.load(Ordering::Relaxed) {
        0 => None,
        at => Some(at),
    }
}

/// A signal from outside goes to the job's main process.
pub(crate) fn signal_job(number: u8) {
    if let (Some(job), Some(signal)) = (job(), Signal::new(u32::from(number))) {
        // The kernel's own signals are never refused.
        let _ = send(job, SigInfo::kernel(signal));
    }
}

/// SIGKILL for the job's main process.
pub(crate) fn kill_job() {
    signal_job(Signal::KILL.number());
}

/// Kills every process and waits until all have ended. Answers whether they have.
pub(crate) fn kill_all() -> bool {
    let deadline = now_ns().saturating_add(KILL_PATIENCE_NS);
    loop {
        kill_everyone();
        let living = table::select(|_, process| !process.is_init() && process.ended().is_none());
        let Ok(living) = living else { return false };
        let Some(process) = living.first() else {
            return true;
        };
        if process.wait_ended(Some(deadline)).is_none() {
            return false;
        }
    }
}
