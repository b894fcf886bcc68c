//! What a task lets itself call: seccomp(2)'s strict mode and its filters.
//!
//! A [`Filter`] knows the one before it; a task has the last of its chain, which children and threads share. Whether a
//! task has any is a bit of what it does at system calls ([`Task::is_attended`]), so that others pay nothing.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kiln_core::bpf::{Program, WORDS};
use kiln_core::errno::Errno;
use kiln_core::num::{high32, low32};
use kiln_core::signal::{SigInfo, Signal};

use super::exit;
use super::ptrace::event::{self, Event};
use super::signal::{force, force_unseen};
use super::task::Task;
use crate::arch::user::UserContext;
use crate::mm::kmem;

/// Bits of a task's `attention`: it is in strict mode; it has filters.
const STRICT: u32 = 2;
const FILTERED: u32 = 4;
/// `AUDIT_ARCH_X86_64` (linux/audit.h).
pub(super) const ARCH: u32 = 0xC000_003E;
/// `SYS_SECCOMP` (asm-generic/siginfo.h).
const SYS_SECCOMP: i32 = 1;
/// Most instructions of a chain, each filter counted as four more (`MAX_INSNS_PER_PATH`, kernel/seccomp.c).
const MOST: usize = 32768;
const PER_FILTER: usize = 4;
/// What strict mode leaves: read, write, exit, `rt_sigreturn`.
const LEFT: [u32; 4] = [0, 1, 60, 15];

/// How a task is bound, as prctl(2) and `/proc` tell it (linux/seccomp.h).
pub(crate) mod mode {
    pub(crate) const STRICT: u32 = 1;
    pub(crate) const FILTER: u32 = 2;
}

/// What a filter answers, without its data (linux/seccomp.h).
pub(crate) mod action {
    pub(crate) const KILL_PROCESS: u32 = 0x8000_0000;
    pub(crate) const KILL_THREAD: u32 = 0;
    pub(crate) const TRAP: u32 = 0x3_0000;
    pub(crate) const ERRNO: u32 = 0x5_0000;
    pub(crate) const USER_NOTIF: u32 = 0x7FC0_0000;
    pub(crate) const TRACE: u32 = 0x7FF0_0000;
    pub(crate) const LOG: u32 = 0x7FFC_0000;
    pub(crate) const ALLOW: u32 = 0x7FFF_0000;
}

/// A filter, and those that were there before it.
pub(super) struct Filter {
    program: Program,
    before: Option<Arc<Self>>,
    /// Instructions of the chain.
    weight: usize,
    /// Filters of the chain.
    count: u32,
}

impl Drop for Filter {
    fn drop(&mut self) {
        // One after the other: a long chain needs no deep stack.
        let mut next = self.before.take();
        while let Some(filter) = next {
            next = Arc::into_inner(filter).and_then(|mut filter| filter.before.take());
        }
    }
}

impl Task {
    /// `prctl(PR_GET_SECCOMP)`: 0 none, 1 strict, 2 filters.
    pub(crate) fn seccomp_mode(&self) -> u32 {
        match self.attention.load(Ordering::Relaxed) {
            bits if bits & STRICT != 0 => mode::STRICT,
            bits if bits & FILTERED != 0 => mode::FILTER,
            _ => 0,
        }
    }

    /// How many filters it has.
    pub(crate) fn filter_count(&self) -> u32 {
        self.filters.lock().as_ref().map_or(0, |last| last.count)
    }

    fn set_filter(&self, filter: Arc<Filter>) {
        // What goes is in the new one's chain, or was none.
        let old = self.filters.lock().replace(filter);
        self.attend(FILTERED);
        drop(old);
    }
}

/// A child, or a thread that is just becoming one of its process's, is bound as `parent` is.
pub(super) fn inherit(parent: &Task, child: &Task) {
    // Whoever binds all threads sets these after the filters.
    if parent.attention.load(Ordering::Acquire) & (STRICT | FILTERED) == 0 {
        return;
    }
    let filter = parent.filters.lock().clone();
    if let Some(filter) = filter {
        child.set_filter(filter);
    }
    let strict = parent.attention.load(Ordering::Relaxed) & STRICT;
    child.attend(strict);
    if parent.has_no_new_privileges() {
        child.set_no_new_privileges();
    }
}

/// Strict mode, for good.
///
/// # Errors
/// `EINVAL` for a task that has filters.
pub(crate) fn set_strict(task: &Task) -> Result<(), Errno> {
    if task.seccomp_mode() == mode::FILTER {
        return Err(Errno::EINVAL);
    }
    task.attend(STRICT);
    Ok(())
}

/// One more filter, also for the other threads of the process if `sync` says so. Answers the number of a thread whose
/// filters don't let that be; 0 when all is well.
///
/// # Errors
/// `EINVAL` in strict mode, `ENOMEM`.
pub(crate) fn add_filter(task: &Arc<Task>, program: Program, sync: bool) -> Result<u32, Errno> {
    let _charge = kmem::charge(size_of::<Filter>() + 32)?;
    let weight = program.len();
    let mut filter = Arc::new(Filter {
        program,
        before: None,
        weight,
        count: 1,
    });
    let group = task.process().group.lock();
    if task.seccomp_mode() == mode::STRICT {
        return Err(Errno::EINVAL);
    }
    let before = task.filters.lock().clone();
    if let (Some(before), Some(new)) = (&before, Arc::get_mut(&mut filter)) {
        new.weight += before.weight + PER_FILTER;
        new.count += before.count;
        new.before = Some(Arc::clone(before));
    }
    if filter.weight > MOST {
        return Err(Errno::ENOMEM);
    }
    let others = || {
        group
            .tasks
            .iter()
            .filter(|other| sync && !Arc::ptr_eq(other, task))
    };
    if let Some(odd) = others().find(|other| !may_follow(other, before.as_ref())) {
        return Ok(odd.tid());
    }
    for other in others() {
        // First this: one that forks meanwhile never has a child with the filter and without it.
        if task.has_no_new_privileges() {
            other.set_no_new_privileges();
        }
        other.set_filter(Arc::clone(&filter));
    }
    task.set_filter(filter);
    Ok(0)
}

/// Whether a thread's own filters are among the caller's.
fn may_follow(thread: &Task, chain: Option<&Arc<Filter>>) -> bool {
    if thread.seccomp_mode() == mode::STRICT {
        return false;
    }
    let own = thread.filters.lock();
    let Some(own) = own.as_ref() else {
        return true;
    };
    let mut next = chain;
    while let Some(filter) = next {
        if Arc::ptr_eq(filter, own) {
            return true;
        }
        next = filter.before.as_ref();
    }
    false
}

/// What the filters say of the call: the strictest counts, of equals the last filter's.
fn ask(task: &Task, regs: &UserContext) -> u32 {
    let filter = task.filters.lock().clone();
    let number = low32(regs.orig_rax);
    let (mut data, words) = (
        [0; WORDS],
        [
            regs.rip, regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9,
        ],
    );
    let halves = words.iter().flat_map(|word| [low32(*word), high32(*word)]);
    let values = [number, ARCH].into_iter().chain(halves);
    data.iter_mut()
        .zip(values)
        .for_each(|(place, value)| *place = value);
    let rank = |answer: u32| (answer & ACTION).cast_signed();
    let mut verdict = action::ALLOW;
    let mut next = filter.as_ref();
    while let Some(filter) = next {
        let answer = filter.program.run(&data);
        if rank(answer) < rank(verdict) {
            verdict = answer;
        }
        next = filter.before.as_ref();
    }
    verdict
}

/// `SECCOMP_RET_ACTION_FULL`.
const ACTION: u32 = 0xFFFF_0000;

/// Whether a call may be made. Where it may not, what becomes of that is done, and RAX holds the answer.
pub(super) fn passes(task: &Arc<Task>, regs: &mut UserContext) -> bool {
    match task.seccomp_mode() {
        0 => return true,
        mode::STRICT => {
            let passes = LEFT.contains(&low32(regs.orig_rax));
            if !passes {
                end(task, SigInfo::kernel(Signal::KILL), false);
            }
            return passes;
        }
        _ => {}
    }
    let verdict = ask(task, regs);
    if verdict & ACTION == action::TRACE {
        return traced(task, regs, verdict);
    }
    carry_out(task, regs, verdict)
}

/// The tracer looks at the call and may change it; then the filters look again.
fn traced(task: &Arc<Task>, regs: &mut UserContext, verdict: u32) -> bool {
    let rax = regs.rax;
    regs.rax = Errno::ENOSYS.to_return();
    let told = event::report(task, regs, Event::Seccomp, u64::from(verdict & !ACTION));
    // A number of -1 leaves the call out; what the tracer put into RAX is its answer.
    if !told || task.is_ending() || low32(regs.orig_rax) == u32::MAX {
        return false;
    }
    regs.rax = rax;
    let verdict = ask(task, regs);
    verdict & ACTION == action::TRACE || carry_out(task, regs, verdict)
}

fn carry_out(task: &Arc<Task>, regs: &mut UserContext, verdict: u32) -> bool {
    let data = verdict & !ACTION;
    match verdict & ACTION {
        // There is no log that anybody reads.
        action::ALLOW | action::LOG => return true,
        action::ERRNO => regs.rax = u64::from(data.min(4095)).wrapping_neg(),
        // Nobody listens.
        action::USER_NOTIF => regs.rax = Errno::ENOSYS.to_return(),
        what => {
            regs.rax = regs.orig_rax;
            let info = refusal(regs, SYS_SECCOMP, data.cast_signed());
            match what {
                action::TRAP => force(task, info),
                _ => end(task, info, what != action::KILL_THREAD),
            }
        }
    }
    false
}

/// SIGSYS's story: which call it was, and where.
pub(super) fn refusal(regs: &UserContext, code: i32, errno: i32) -> SigInfo {
    SigInfo::refused_call(
        code,
        errno,
        regs.rip,
        low32(regs.orig_rax).cast_signed(),
        ARCH,
    )
}

/// Ends the process with a signal; a single thread of several without.
fn end(task: &Arc<Task>, info: SigInfo, all: bool) {
    if all || task.process().thread_count() <= 1 {
        force_unseen(task, info);
    } else {
        exit::ask_to_end(task);
    }
}
