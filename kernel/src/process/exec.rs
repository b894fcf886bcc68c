//! execve(2): another program in the same process.
//!
//! [`prepare`] finds the file, follows `#!` lines and lets `vm::loader` build the new address space
//! beside the old one; nothing of the process has changed until then, and errors are the call's
//! answer. [`Prepared::commit`] ends the other threads and puts the new program in place.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::abi;
use kiln_core::addr::UserAddr;
use kiln_core::auxv::ArgStrings;
use kiln_core::cred::{Credentials, ExecEffect, FileCaps, FileRights};
use kiln_core::errno::Errno;
use kiln_core::fs::attr::FileType;
use kiln_core::fs::perm::Want;
use kiln_core::fs::xattr::FILE_CAPABILITIES;
use kiln_core::num::u64_of;
use kiln_core::rlimit::{INFINITY, Rlimits};
use kiln_core::script::{self, HEAD_SIZE};
use kiln_core::signal::frame::FRAME_SIZE;
use kiln_core::signal::{SigInfo, Signal};

use super::exe::Executable;
use super::group::Process;
use super::signal::force_fatal;
use super::table;
use super::task::Task;
use super::{clone, events, exit, futex, ptrace, rseq, signal, unshare, user_dispatch};
use crate::arch::fpu;
use crate::arch::segments::Segments;
use crate::arch::user::UserContext;
use crate::drivers::random;
use crate::fs::{self, FsContext, Lookup};
use crate::sched::Mode;
use crate::vm::loader::{self, ImageFile, Loaded, Program};
use crate::vm::{AddressSpace, MemoryLimits};

/// `ADDR_NO_RANDOMIZE` (linux/personality.h).
const NO_RANDOMIZE: u32 = 0x004_0000;
/// Personality flags that exec of a set-id program clears (`PER_CLEAR_ON_SETID`).
const CLEARED_ON_SET_ID: u32 = 0x010_0000 | 0x040_0000 | 0x020_0000 | NO_RANDOMIZE;

/// Who runs a program, and where it is looked for.
pub(super) struct Caller<'a> {
    pub(super) fs: &'a FsContext,
    pub(super) creds: &'a Credentials,
    /// The path goes through a descriptor that the new program won't have.
    pub(super) base_closes: bool,
    /// The program gets no more rights, whatever its file says.
    pub(super) no_new: bool,
    /// Whether somebody may not see it get more: a tracer, or who shares its directories.
    pub(super) watched: &'a dyn Fn() -> bool,
    pub(super) limits: Rlimits,
    pub(super) personality: u32,
}

/// A program ready to take a process over.
pub(super) struct Prepared {
    pub(super) loaded: Loaded,
    exe: Arc<Executable>,
    pub(super) creds: Credentials,
    effect: ExecEffect,
    /// The last part of the path: the thread's name.
    pub(super) name: Vec<u8>,
}

/// Why a program can't be run.
pub(super) struct ExecError {
    pub(super) errno: Errno,
    /// Linux would have destroyed the old program by then: the process dies.
    fatal: bool,
}

impl From<Errno> for ExecError {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            fatal: false,
        }
    }
}

/// The file that a path names, checked to be executable. `base`: where a relative path begins, when
/// not in the working directory; `follow`: a last symbolic link too.
pub(super) fn find(
    caller: &Caller<'_>,
    base: Option<fs::Path>,
    path: &[u8],
    follow: bool,
) -> Result<Arc<Executable>, Errno> {
    let lookup = Lookup::new(caller.fs, fs::identity(caller.creds)).at(base);
    let found = fs::vfs::resolve(&lookup, path, follow)?;
    check(&lookup, found)
}

/// An open file's own path, for execveat(2) with `AT_EMPTY_PATH`.
pub(super) fn found(caller: &Caller<'_>, path: fs::Path) -> Result<Arc<Executable>, Errno> {
    let lookup = Lookup::new(caller.fs, fs::identity(caller.creds));
    check(&lookup, path)
}

fn check(lookup: &Lookup<'_>, found: fs::Path) -> Result<Arc<Executable>, Errno> {
    let inode = found.inode()?;
    match inode.kind() {
        FileType::Regular => {}
        FileType::Symlink => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    if found.mount.has(fs::MountFlags::NO_EXEC) {
        return Err(Errno::EACCES);
    }
    lookup.check(inode, Want::EXEC)?;
    Executable::open(found)
}

/// Builds the program that `file` is. `path` is how it was named.
pub(super) fn prepare(
    caller: &Caller<'_>,
    file: Arc<Executable>,
    path: &[u8],
    strings: &mut ArgStrings,
) -> Result<Prepared, ExecError> {
    let file = through_scripts(caller, file, path, strings)?;
    let (creds, effect) = new_credentials(caller, &file)?;
    let mut random = [0; 48];
    random::fill(&mut random);
    let mut words = [0; 6];
    for (word, bytes) in words.iter_mut().zip(random.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    let open_interp = |path: &[u8]| -> Result<Arc<dyn ImageFile>, Errno> {
        let interpreter = find(caller, None, path, true)?;
        Ok(interpreter)
    };
    let [hwcap, hwcap2] = crate::arch::features::capabilities();
    let program = Program {
        file: &*file,
        path,
        strings,
        ids: [
            creds.uids.real,
            creds.uids.effective,
            creds.gids.real,
            creds.gids.effective,
        ],
        secure: effect.secure,
        limits: memory_limits(&caller.limits, &creds),
        randomize: caller.personality & NO_RANDOMIZE == 0,
        random: words,
        // Frame, FPU state with its mark, and what aligning both may take.
        min_signal_stack: u64_of(FRAME_SIZE + fpu::size() + 4 + 64 + 16),
        hwcap: [hwcap, hwcap2],
        open_interp: &open_interp,
    };
    let loaded = loader::load(&program).map_err(|error| ExecError {
        errno: error.errno,
        fatal: error.fatal,
    })?;
    Ok(Prepared {
        loaded,
        exe: file,
        creds,
        effect,
        name: last_part(path)?,
    })
}

/// Follows `#!` lines to the file that is really run.
fn through_scripts(
    caller: &Caller<'_>,
    mut file: Arc<Executable>,
    path: &[u8],
    strings: &mut ArgStrings,
) -> Result<Arc<Executable>, ExecError> {
    let mut head = [0; HEAD_SIZE];
    let mut name: Option<Vec<u8>> = None;
    for _ in 0..=script::MAX_DEPTH {
        let length = file.read_at(0, &mut head)?;
        let head = head.get(..length).unwrap_or_default();
        let Some(line) = script::parse(head)? else {
            return Ok(file);
        };
        if caller.base_closes {
            // The interpreter couldn't open the script.
            return Err(Errno::ENOENT.into());
        }
        let script = name.as_deref().unwrap_or(path);
        let replaced = match line.argument {
            Some(argument) => strings.replace_first_arg(&[line.interpreter, argument, script]),
            None => strings.replace_first_arg(&[line.interpreter, script]),
        };
        replaced.map_err(Errno::from)?;
        file = find(caller, None, line.interpreter, true)?;
        name = Some(fs::memory::try_copy(line.interpreter)?);
    }
    Err(Errno::ELOOP.into())
}

/// Who runs the program, by the file's set-id bits and capabilities; and what else that changes.
fn new_credentials(
    caller: &Caller<'_>,
    file: &Executable,
) -> Result<(Credentials, ExecEffect), Errno> {
    let inode = file.inode();
    let attr = inode.attr();
    let mut rights = FileRights::default();
    if !file.path().mount.has(fs::MountFlags::NO_SUID) {
        rights.uid = (attr.mode & abi::S_ISUID != 0).then_some(attr.uid);
        let group_bits = abi::S_ISGID | abi::S_IXGRP;
        rights.gid = (attr.mode & group_bits == group_bits).then_some(attr.gid);
        let caps = inode.ops().get_xattr(inode, FILE_CAPABILITIES);
        rights.caps = caps.ok().as_deref().and_then(FileCaps::parse);
    }
    let made = caller
        .creds
        .for_exec(&rights, caller.no_new, caller.watched);
    let (creds, mut effect) = made?;
    // Who can't read the program can't do so in its memory either.
    effect.private |= fs::identity(caller.creds).check(&attr, Want::READ).is_err();
    Ok((creds, effect))
}

/// The limits that an address space keeps.
pub(crate) fn memory_limits(limits: &Rlimits, creds: &Credentials) -> MemoryLimits {
    MemoryLimits {
        stack: limits.soft(abi::RLIMIT_STACK),
        address_space: limits.soft(abi::RLIMIT_AS),
        data: limits.soft(abi::RLIMIT_DATA),
        locked: if creds.has(abi::CAP_IPC_LOCK) {
            INFINITY
        } else {
            limits.soft(abi::RLIMIT_MEMLOCK)
        },
    }
}

fn last_part(path: &[u8]) -> Result<Vec<u8>, Errno> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    fs::memory::try_copy(name.get(..15).unwrap_or(name))
}

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
        process.timers.delete_posix();
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
