//! Ending tasks and processes.
//!
//! Whoever ends something only says so ([`start_group_exit`], [`end_thread`]); the task itself
//! comes to [`end_task`] by way of [`super::work`] and gives up what it holds. The last thread of a
//! process makes it a zombie, until its parent has waited for it ([`unlist`], [`finish_reap`]).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::LazyCell;
use core::sync::atomic::Ordering;

use kiln_core::addr::UserAddr;
use kiln_core::num::low8;
use kiln_core::signal::{SigInfo, Signal};
use kiln_core::wait_status::{ExitStatus, WaitStatus};

use super::group::{Group, Process, Stop};
use super::signal::{
    notify_parent, notify_parent_in, parent_reaps_by_itself, send, send_to_group, settle_stop,
};
use super::table;
use super::task::Task;
use super::{cgroup, events, futex, ptrace, start, terminal, usage};
use crate::sched::NOTIFY_KILL;
use crate::vm::AddressSpace;

/// Makes every thread of a process end. The first status counts.
pub(super) fn start_group_exit(group: &mut Group, status: ExitStatus) {
    if group.exit.is_some() {
        return;
    }
    group.exit = Some(status);
    group.stop = Stop::Running;
    for task in &group.tasks {
        if let Some(thread) = task.thread() {
            thread.notify(NOTIFY_KILL);
        }
    }
}

/// exit_group(2): the process ends with the low 8 bits of `code`.
pub(crate) fn end_process(task: &Arc<Task>, code: i32) {
    let code = low8(u64::from(code.cast_unsigned()));
    start_group_exit(&mut task.process().group.lock(), ExitStatus::Exited(code));
}

/// exit(2): the calling thread ends, the process when it is the last one.
pub(crate) fn end_thread(task: &Arc<Task>, code: i32) {
    let low = low8(u64::from(code.cast_unsigned()));
    task.exit_code.store(low, Ordering::Relaxed);
    task.process().group.lock().last_code = low;
    ask_to_end(task);
}

/// Makes one task end.
pub(super) fn ask_to_end(task: &Task) {
    task.must_exit.store(true, Ordering::Relaxed);
    if let Some(thread) = task.thread() {
        thread.notify(NOTIFY_KILL);
    }
}

/// Ends the running task: gives up what it holds and tells those who care. It runs no program
/// after this.
pub(crate) fn end_task(task: &Arc<Task>) {
    start::maybe_leave(task.process());
    ptrace::release_tracees(task);
    // Heirs first: a lock that the list frees is theirs already.
    futex::end_ownership(task);
    futex::release_robust_list(task);
    clear_child_tid(task, 0);
    if let Some(thread) = task.thread() {
        thread.set_root(None);
    }
    let mut shared = task.replace_shared(core::mem::take);
    release_memory_of(task, shared.space.take(), 0);
    drop(shared);
    leave_group(task);
}

/// Clears the word that joiners wait for and wakes one, when anybody else could see it. The memory
/// must still be loaded; `held` as for [`release_memory_of`].
pub(super) fn clear_child_tid(task: &Arc<Task>, held: usize) {
    let word = task.clear_child_tid.swap(0, Ordering::Relaxed);
    if word != 0
        && let Ok(space) = task.space()
        // One count is the task's, one is ours.
        && Arc::strong_count(&space) > 2 + held
    {
        let word = UserAddr::new(word);
        if space.copy_out(word, &0u32.to_le_bytes()).is_ok() {
            futex::wake_word(&space, word, 1);
        }
    }
}

/// The task has left this memory, at its end or by exec: its faults are counted, and the vfork
/// parent goes on. Its thread holds the memory `held` times: in a system call it does.
pub(super) fn release_memory_of(task: &Arc<Task>, space: Option<Arc<AddressSpace>>, held: usize) {
    if let Some(space) = space {
        // Whoever else uses it counts it.
        if Arc::strong_count(&space) == 1 + held {
            let used = usage::of_space(&space);
            task.process().ended_threads.lock().add(&used);
        }
        drop(space);
    }
    let waiting = task.vfork.lock().take();
    if let Some(waiting) = waiting {
        waiting.complete();
    }
}

/// Takes the task out of its process; the last one ends the process.
fn leave_group(task: &Arc<Task>) {
    let process = task.process();
    process.ended_threads.lock().add(&usage::of_task(task));
    let mut group = process.group.lock();
    group.tasks.retain(|other| !Arc::ptr_eq(other, task));
    group.leaving -= 1;
    let left = cgroup::leave(&group, task);
    let last = group.tasks.is_empty();
    let stopped = settle_stop(&mut group);
    let status = group.status();
    drop(group);
    if let Some(left) = left {
        cgroup::announce(&left);
    }
    if let Some(signal) = stopped {
        notify_parent(process, WaitStatus::Stopped(signal));
    }
    // The first thread's number is the process's, which goes when the process is reaped.
    if task.tid() != process.pid() {
        let own = ptrace::event::status_of(task);
        if !ptrace::event::thread_ended(task, own) {
            table::tree().lock().remove_thread(task.tid());
        }
    }
    if last {
        become_zombie(process, status);
    } else {
        leave_children(task);
    }
    process.thread_events.wake_all();
    events::ended(task);
}

/// What a thread made that isn't the last one becomes another thread's children, and hears of its parent's end.
#[cold]
fn leave_children(task: &Task) {
    // Chosen with the table locked: an heir that leaves later finds them.
    let heir = LazyCell::new(|| task.process().first_task().map_or(0, |heir| heir.tid()));
    let mut mourners = Vec::new();
    {
        let tree = table::tree().lock();
        let children = tree.children(task.pid()).map(|(_, child)| child);
        for child in children.filter(|child| child.maker.load(Ordering::Relaxed) == task.tid()) {
            child.maker.store(*heir, Ordering::Relaxed);
            note_mourner(&mut mourners, child);
        }
    }
    tell_mourners(&mourners, (task.pid(), task.creds().uids.real));
}

/// Notes a child that asked for a signal at its parent's end, as far as memory allows.
#[inline(never)]
fn note_mourner(mourners: &mut Vec<Arc<Process>>, child: &Arc<Process>) {
    if death_signal(child).is_some() && mourners.try_reserve(1).is_ok() {
        mourners.push(Arc::clone(child));
    }
}

/// Sends them what they asked for, the parent's last. The table isn't locked: one may stand still, and its own parent
/// is to hear that it goes on.
#[inline(never)]
fn tell_mourners(mourners: &[Arc<Process>], (pid, uid): (u32, u32)) {
    for child in mourners {
        if let Some(signal) = death_signal(child) {
            // What kill(2) might have sent is never refused.
            let _ = send(child, SigInfo::user(signal, 0, pid, uid));
        }
    }
}

/// A process has no threads left.
fn become_zombie(process: &Arc<Process>, status: ExitStatus) {
    let pid = process.pid();
    super::ipc::sem::process_ended(pid);
    process.timers.clear(process);
    process.set_exe(None);
    usage::count_ended(&process.ended_threads.lock());
    terminal::process_ended(process);
    hand_over_children(pid);
    let mut tree = table::tree().lock();
    tree.mark_zombie(pid);
    let parent = tree
        .standing(pid)
        .and_then(|standing| tree.process(standing.parent));
    drop(tree);
    let first = table::task(pid);
    if first.as_ref().is_some_and(|first| first.is_traced()) {
        process.set_ended(status);
        let awaited = first.is_some_and(|first| ptrace::event::process_ended(&first, status));
        if !awaited {
            tell_of_end(process, parent.as_ref(), status, || {});
        }
    } else {
        tell_of_end(process, parent.as_ref(), status, || {
            process.set_ended(status);
        });
    }
}

/// A tracer that was to hear of the end first has heard of it.
pub(super) fn tell_parent_of_end(process: &Arc<Process>, status: ExitStatus) {
    let tree = table::tree().lock();
    let parent = tree
        .standing(process.pid())
        .and_then(|standing| tree.process(standing.parent));
    drop(tree);
    tell_of_end(process, parent.as_ref(), status, || {});
}

/// `make` makes the end visible, which comes together with its signal for whoever looks.
fn tell_of_end(
    process: &Arc<Process>,
    parent: Option<&Arc<Process>>,
    status: ExitStatus,
    make: impl FnOnce(),
) {
    let unwanted = process.exit_signal() == Some(Signal::CHLD)
        && parent.is_none_or(|parent| parent_reaps_by_itself(parent));
    let mut tree = table::tree().lock();
    make();
    notify_parent_in(&tree, process, WaitStatus::Ended(status));
    // Before anybody can look: what nobody is to wait for is never a zombie.
    let unlisted = unwanted.then(|| unlist(&mut tree, process.pid()));
    drop(tree);
    if let Some(unlisted) = unlisted {
        // Only who waits is told what was used (getrusage(2)).
        finish_reap(process, None, unlisted);
    }
}

/// Gives a process's children to their next ancestor who wants orphans, or to PID 1, and lets
/// stopped groups go on that nobody else could continue.
fn hand_over_children(pid: u32) {
    let mut tree = table::tree().lock();
    // Without memory no group is told; its members are stopped, not lost.
    let orphaned = tree.orphaned_by(pid).unwrap_or_default();
    if tree.children(pid).next().is_some() {
        let handed = hand_over_in(&mut tree, pid);
        drop(tree);
        tell_handed_over(&handed);
    } else {
        drop(tree);
    }
    for group in orphaned {
        continue_orphaned(group);
    }
}

/// Children that have another parent now.
#[derive(Default)]
struct HandedOver {
    parent: Option<Arc<Process>>,
    /// Number and user of the one that they had.
    from: (u32, u32),
    /// The new parent's SIGCHLD or, for PID 1, reaping at once.
    zombies: Vec<Arc<Process>>,
    mourners: Vec<Arc<Process>>,
    /// One more zombie, for which there was no memory.
    first_zombie: Option<Arc<Process>>,
}

fn hand_over_in(tree: &mut table::Tree, pid: u32) -> HandedOver {
    let reaper = tree.reaper_of(pid, |process| {
        process.is_subreaper.load(Ordering::Relaxed) && process.thread_count() > 0
    });
    let old = tree.process(pid);
    let uid = old.map_or(0, |old| old.uid.load(Ordering::Relaxed));
    let mut handed = HandedOver {
        from: (pid, uid),
        ..HandedOver::default()
    };
    tree.hand_over_children(pid, reaper, |child, parent| {
        child.set_parent(parent);
        child.maker.store(parent, Ordering::Relaxed);
        // Whoever takes orphans waits for plain children.
        let usual = Signal::CHLD.number();
        child.exit_signal.store(usual, Ordering::Relaxed);
        if child.ended().is_some() {
            if handed.zombies.try_reserve(1).is_ok() {
                handed.zombies.push(Arc::clone(child));
            } else {
                handed.first_zombie.get_or_insert(Arc::clone(child));
            }
        } else {
            note_mourner(&mut handed.mourners, child);
        }
    });
    handed.parent = tree.process(reaper);
    handed
}

fn tell_handed_over(handed: &HandedOver) {
    tell_mourners(&handed.mourners, handed.from);
    let unwanted = |parent: &Arc<Process>| parent_reaps_by_itself(parent);
    for child in handed.zombies.iter().chain(&handed.first_zombie) {
        if handed.parent.as_ref().is_none_or(unwanted) {
            reap(child);
        } else if let Some(status) = child.ended() {
            notify_parent(child, WaitStatus::Ended(status));
        }
    }
}

/// `PR_SET_PDEATHSIG`.
fn death_signal(child: &Arc<Process>) -> Option<Signal> {
    let number = child
        .first_task()?
        .parent_death_signal
        .load(Ordering::Relaxed);
    Signal::new(number)
}

fn continue_orphaned(group: u32) {
    let members = table::members(group).unwrap_or_default();
    let any_stopped = members
        .iter()
        .any(|process| matches!(process.group.lock().stop, Stop::Stopped(_)));
    if any_stopped {
        send_to_group(group, Signal::HUP);
        send_to_group(group, Signal::CONT);
    }
}

/// What the table held of a zombie.
pub(super) struct Unlisted {
    first_thread: Option<Arc<Task>>,
    process: Option<Arc<Process>>,
}

/// Takes a zombie out of the table, so that nobody finds it any more; [`finish_reap`] follows when the table
/// is unlocked.
pub(super) fn unlist(tree: &mut table::Tree, pid: u32) -> Unlisted {
    Unlisted {
        first_thread: tree.remove_thread(pid),
        process: tree.remove_process(pid),
    }
}

/// Ends what was begun with [`unlist`]: no tracer keeps the zombie, and `parent` gets what it used.
pub(super) fn finish_reap(
    process: &Arc<Process>,
    parent: Option<&Arc<Process>>,
    unlisted: Unlisted,
) {
    if let Some(thread) = &unlisted.first_thread {
        ptrace::forget(thread);
    }
    if let Some(parent) = parent
        && unlisted.process.is_some()
    {
        let mut used = *process.ended_threads.lock();
        used.add(&process.children.lock());
        parent.children.lock().add(&used);
    }
}

/// Takes a zombie out of the table that was handed to a parent who doesn't wait.
fn reap(process: &Arc<Process>) {
    let unlisted = unlist(&mut table::tree().lock(), process.pid());
    finish_reap(process, None, unlisted);
}
