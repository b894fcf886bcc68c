//! execve(2): another program in the same process.
//!
//! [`prepare`](mod@prepare) finds the file, follows `#!` lines and lets `vm::loader` build the new address space
//! beside the old one; nothing of the process has changed until then, and errors are the call's
//! answer. [`Prepared::commit`] ends the other threads and puts the new program in place.

mod prepare;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::auxv::ArgStrings;
use kiln_core::cred::Credentials;
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};

use super::group::Process;
use super::signal::force_fatal;
use super::table;
use super::task::Task;
use super::{clone, events, exit, futex, ptrace, rseq, signal, unshare, user_dispatch};
use crate::arch::segments::Segments;
use crate::arch::user::UserContext;
use crate::fs;
use crate::sched::Mode;
use crate::vm::AddressSpace;
use crate::vm::loader::Loaded;
use prepare::CLEARED_ON_SET_ID;
pub(crate) use prepare::memory_limits;
pub(super) use prepare::{Caller, ExecError, Prepared, find, found, prepare};

/// Where a relative path of execveat(2) begins.
pub(crate) struct Base {
    /// What the descriptor refers to.
    pub(crate) path: fs::Path,
    /// The whole path as the program sees it: through `/dev/fd`.
    pub(crate) shown: Vec<u8>,
    /// The descriptor closes at exec.
    pub(crate) closes: bool,
}

/// How exec is called.
pub(crate) struct ExecCall {
    /// The path as given.
    pub(crate) path: Vec<u8>,
    /// Where a relative path begins, when not in the working directory.
    pub(crate) base: Option<Base>,
    /// The file is `base` itself (`AT_EMPTY_PATH`).
    pub(crate) base_itself: bool,
    /// A last symbolic link is followed.
    pub(crate) follow: bool,
    /// Arrays of the program's.
    pub(crate) argv: UserAddr,
    /// As `argv`.
    pub(crate) envp: UserAddr,
}

/// Runs another program in the task's process.
///
/// # Errors
/// As execve(2) says. When it is too late for an error, the task gets SIGSEGV and goes on to die.
pub(crate) fn exec(task: &Arc<Task>, regs: &mut UserContext, call: &ExecCall) -> Result<(), Errno> {
    let (fs, creds) = (task.fs()?, task.creds());
    let caller = Caller {
        fs: &fs,
        creds: &creds,
        base_closes: call.base.as_ref().is_some_and(|base| base.closes),
        no_new: task.has_no_new_privileges(),
        watched: &|| ptrace::is_watched(task) || unshare::shares_directories(task, &fs),
        limits: task.process().limits(),
        personality: task.personality.load(Ordering::Relaxed),
    };
    let base = call.base.as_ref().map(|base| base.path.clone());
    let file = match base {
        Some(base) if call.base_itself => found(&caller, base)?,
        // The working directory itself, which is no program.
        None if call.base_itself => find(&caller, None, b".", true)?,
        base => find(&caller, base, &call.path, call.follow)?,
    };
    let space = task.space()?;
    let shown = call.base.as_ref().map_or(&call.path, |base| &base.shown);
    let mut strings = ArgStrings::new(caller.limits.soft(abi::RLIMIT_STACK), shown.len());
    copy_strings(&space, call.argv, &mut strings, ArgStrings::push_arg)?;
    if strings.args() == 0 {
        // A program without arguments gets an empty one (Linux 5.18).
        strings.push_arg(b"").map_err(Errno::from)?;
    }
    copy_strings(&space, call.envp, &mut strings, ArgStrings::push_env)?;
    drop(space);
    match prepare(&caller, file, shown, &mut strings) {
        Ok(prepared) => {
            drop(strings);
            let old_tid = task.tid();
            prepared.commit(task, regs)?;
            events::executed(task);
            ptrace::exec_event(task, regs, old_tid);
            Ok(())
        }
        Err(ExecError { fatal: true, .. }) => {
            force_fatal(task, SigInfo::kernel(Signal::SEGV));
            Ok(())
        }
        Err(ExecError { errno, .. }) => Err(errno),
    }
}

/// Takes an array of strings over from the program. A null array counts as an empty one.
fn copy_strings<E>(
    space: &Arc<AddressSpace>,
    array: UserAddr,
    strings: &mut ArgStrings,
    push: impl Fn(&mut ArgStrings, &[u8]) -> Result<(), E>,
) -> Result<(), Errno>
where
    Errno: From<E>,
{
    if array.is_null() {
        return Ok(());
    }
    let mut at = array;
    loop {
        let string: UserAddr = space.read_val(at)?;
        if string.is_null() {
            return Ok(());
        }
        let room = strings.room();
        let copied = space.copy_str(string, room).map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        push(strings, &copied)?;
        at = at.checked_add(8).ok_or(Errno::EFAULT)?;
    }
}

impl Prepared {
    /// What the first process of all is made of.
    pub(super) fn into_parts(self, process: &Process) -> (Vec<u8>, Loaded, Credentials) {
        process.set_exe(Some(self.exe));
        (self.name, self.loaded, self.creds)
    }

    /// Puts the program in the place of the task's old one.
    fn commit(self, task: &Arc<Task>, regs: &mut UserContext) -> Result<(), Errno> {
        let process = task.process();
        end_other_threads(task)?;
        // From here on there is no way back.
        unshare(task)?;
        // Before anybody can notice: descriptors that close, a vfork's end.
        table::tree().lock().mark_executed(process.pid());
        let limits = task.process().limits();
        self.loaded
            .space
            .set_limits(memory_limits(&limits, &self.creds));
        signal::reset_for_exec(task);
        process.timers.delete_posix(process);
        rseq::forget(task);
        user_dispatch::switch_off(task);
        task.forget_breakpoints();
        futex::release_robust_list(task);
        let old = self.switch_memory(task);
        exit::release_memory_of(task, old, 1);
        if let Ok(files) = task.files() {
            files.close_on_exec();
        }
        let dumpable = if self.effect.private { 0 } else { 1 };
        process.dumpable.store(dumpable, Ordering::Relaxed);
        if self.effect.secure {
            task.parent_death_signal.store(0, Ordering::Relaxed);
            task.personality
                .fetch_and(!CLEARED_ON_SET_ID, Ordering::Relaxed);
        }
        process.uid.store(self.creds.uids.real, Ordering::Relaxed);
        task.set_creds(self.creds)?;
        process.set_exe(Some(self.exe));
        let chld = Signal::CHLD.number();
        process.exit_signal.store(chld, Ordering::Relaxed);
        if let Some(thread) = task.thread() {
            thread.set_name(&self.name);
            thread.with_fpu(|state| (state.reset(), true));
        }
        let number = regs.orig_rax;
        Segments::default().set();
        task.note_registers();
        *regs = UserContext::new(self.loaded.entry.raw(), self.loaded.stack.raw());
        // A tracer sees which call it was.
        regs.orig_rax = number;
        Ok(())
    }

    /// Loads the new address space and gives the old one.
    fn switch_memory(&self, task: &Arc<Task>) -> Option<Arc<AddressSpace>> {
        // The old program's waiters are woken while its memory is still loaded.
        exit::clear_child_tid(task, 1);
        let new = Arc::clone(&self.loaded.space);
        if let Some(thread) = task.thread() {
            thread.set_root(Some(new.root()));
        }
        let old = task.replace_shared(|shared| {
            let old = shared.clone();
            if let Some(old) = &old.space {
                new.refuse_huge(old.refuses_huge());
            }
            shared.space = Some(new);
            old
        });
        old.space
    }
}

/// Ends every thread of the process but this one, which becomes the first.
fn end_other_threads(task: &Arc<Task>) -> Result<(), Errno> {
    let process = task.process();
    {
        let group = process.group.lock();
        if group.exit.is_some() || task.must_exit.load(Ordering::Relaxed) {
            return Err(Errno::EAGAIN);
        }
        for other in &group.tasks {
            if !Arc::ptr_eq(other, task) {
                exit::ask_to_end(other);
            }
        }
    }
    let alone = || (process.thread_count() == 1).then_some(());
    process
        .thread_events
        .wait(Mode::Killable, None, alone)
        .map_err(|_| Errno::EAGAIN)?;
    let (own, pid) = (task.tid(), process.pid());
    if own != pid {
        if let Some(first) = table::task(pid) {
            ptrace::forget(&first);
        }
        table::tree().lock().renumber_thread(own, pid);
        task.set_tid(pid);
    }
    Ok(())
}

/// Gives the process files and signal actions of its own; handlers go, ignored signals stay.
fn unshare(task: &Arc<Task>) -> Result<(), Errno> {
    unshare::own_files(task)?;
    let process: &Arc<Process> = task.process();
    let mut actions = process.actions().lock().try_clone()?;
    actions.reset_for_exec();
    let actions = clone::shared_actions(actions)?;
    let old = core::mem::replace(&mut process.group.lock().actions, actions);
    drop(old);
    Ok(())
}
