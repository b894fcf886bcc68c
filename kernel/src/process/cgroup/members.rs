//! Who is in which control group: tasks that come by fork and go at their end, processes that move.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kiln_core::cgroup::PIDS;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Want;
use kiln_core::num::u64_of;
use kiln_core::signal::{SigInfo, Signal};

use super::files::File;
use super::freeze::let_go;
use super::{Cgroup, MOVING, TREE};
use crate::fs;
use crate::fs::procfs::Text;
use crate::process::group::{Group, Process};
use crate::process::signal::send;
use crate::process::task::{Task, current};
use crate::process::{table, usage};
use crate::sched::NOTIFY_SIGNAL;

/// What moves from group to group together.
#[derive(Clone, Copy, Default)]
struct Load {
    tasks: usize,
    still: usize,
    /// Nanoseconds in user mode and in the kernel.
    times: [u64; 2],
}

impl Load {
    fn of(tasks: &[Arc<Task>]) -> Self {
        let mut load = Self::default();
        for task in tasks {
            let used = usage::of_task(task);
            load.tasks += 1;
            load.still += usize::from(task.stands_still.load(Ordering::Relaxed));
            load.times[0] = load.times[0].wrapping_add(used.user_ns);
            load.times[1] = load.times[1].wrapping_add(used.system_ns);
        }
        load
    }
}

impl Cgroup {
    /// These are in it from now on; [`TREE`] is locked.
    fn add(&self, load: &Load) {
        self.own.fetch_add(load.tasks, Ordering::Relaxed);
        for group in self.line() {
            let now = group.tasks.fetch_add(load.tasks, Ordering::Relaxed) + load.tasks;
            group.still.fetch_add(load.still, Ordering::Relaxed);
            group.pids.peak.fetch_max(u64_of(now), Ordering::Relaxed);
            for (total, part) in group.times.iter().zip(load.times) {
                total.fetch_sub(part, Ordering::Relaxed);
            }
        }
    }

    /// These aren't any more; [`TREE`] is locked.
    fn remove(&self, load: &Load) {
        self.own.fetch_sub(load.tasks, Ordering::Relaxed);
        for group in self.line() {
            group.tasks.fetch_sub(load.tasks, Ordering::Relaxed);
            group.still.fetch_sub(load.still, Ordering::Relaxed);
            for (total, part) in group.times.iter().zip(load.times) {
                total.fetch_add(part, Ordering::Relaxed);
            }
        }
    }

    /// `EAGAIN` when one more task is too many for it or a group above it, or would escape from being killed.
    fn admit(&self) -> Result<(), Errno> {
        if self
            .line()
            .any(|group| group.killed.load(Ordering::Relaxed) > 0)
        {
            return Err(Errno::EAGAIN);
        }
        let full = self.line().find(|group| {
            let max = group.pids.max.load(Ordering::Relaxed);
            group.controllers() & PIDS != 0
                && u64_of(group.tasks.load(Ordering::Relaxed)).saturating_add(1) > max
        });
        let Some(full) = full else { return Ok(()) };
        full.pids.refused.fetch_add(1, Ordering::Relaxed);
        full.pids.changes.note();
        Err(Errno::EAGAIN)
    }

    /// Whether groups below it, but for itself, have members.
    fn has_members_below(&self) -> bool {
        self.children
            .lock()
            .iter()
            .any(|child| child.group.tasks.load(Ordering::Relaxed) > 0)
    }

    /// `EBUSY` when its controllers serve groups below it that have members: they would compete with its own.
    fn may_hold(&self) -> Result<(), Errno> {
        let shares = self.controls.load(Ordering::Relaxed) != 0;
        if !self.is_root() && shares && self.has_members_below() {
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    /// Turns controllers of its children on and off.
    ///
    /// # Errors
    /// `ENOENT` for one that it hasn't itself, `EBUSY` where others depend on what there is.
    pub(super) fn control(&self, enable: u32, disable: u32) -> Result<(), Errno> {
        let _tree = TREE.lock();
        let now = self.controls.load(Ordering::Relaxed);
        let (enable, disable) = (enable & !now, disable & now);
        if enable & !self.controllers() != 0 {
            return Err(Errno::ENOENT);
        }
        let children = self.children.lock();
        let in_use = |child: &super::Child| child.group.controls.load(Ordering::Relaxed) & disable;
        if children.iter().any(|child| in_use(child) != 0) {
            return Err(Errno::EBUSY);
        }
        drop(children);
        let own = self.own.load(Ordering::Relaxed) > 0;
        if enable != 0 && !self.is_root() && own && self.has_members_below() {
            return Err(Errno::EBUSY);
        }
        self.controls
            .store(now & !disable | enable, Ordering::Relaxed);
        Ok(())
    }

    /// The processes in it; in it and below, where `below` says so.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn processes(&self, below: bool) -> Result<Vec<Arc<Process>>, Errno> {
        table::select(|_, process| {
            let group = process.group.lock();
            let living = !group.tasks.is_empty() && !process.is_init();
            living
                && match &group.cgroup {
                    Some(own) if below => own.is_within(self),
                    Some(own) => core::ptr::eq(&raw const **own, self),
                    None => self.is_root(),
                }
        })
    }

    /// `cgroup.kill`: ends every process in it and below it.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn kill(&self) -> Result<(), Errno> {
        // Before the look at who there is: what is forked from now on isn't.
        self.killed.fetch_add(1, Ordering::SeqCst);
        let all = self.processes(true);
        for process in all.iter().flatten() {
            // The kernel's own signals are never refused.
            let _ = send(process, SigInfo::kernel(Signal::KILL));
        }
        self.killed.fetch_sub(1, Ordering::SeqCst);
        all.map(|_| ())
    }
}

/// A new task of the process that `group` is of counts where the process is. Answers that place, which is to be
/// [announced](announce).
///
/// # Errors
/// `EAGAIN` when a limit is reached or the control group is being killed, `ENODEV` when it was removed.
pub(in crate::process) fn enter(group: &Group) -> Result<Option<Arc<Cgroup>>, Errno> {
    let Some(own) = &group.cgroup else {
        return Ok(None);
    };
    let _tree = TREE.lock();
    if own.is_removed() {
        return Err(Errno::ENODEV);
    }
    own.admit()?;
    own.add(&Load {
        tasks: 1,
        ..Load::default()
    });
    Ok(Some(Arc::clone(own)))
}

/// A task has left its process. Answers where it was, which is to be [announced](announce).
pub(in crate::process) fn leave(group: &Group, task: &Arc<Task>) -> Option<Arc<Cgroup>> {
    let own = group.cgroup.as_ref()?;
    let _tree = TREE.lock();
    own.remove(&Load::of(core::slice::from_ref(task)));
    Some(Arc::clone(own))
}

/// Tells those who watch `cgroup.events` of the group, and of those above it, what is new. No lock may be held.
pub(in crate::process) fn announce(group: &Cgroup) {
    for group in group.line() {
        let now = group.events();
        if group.told.swap(now, Ordering::AcqRel) != now {
            group.changes.note();
            group.told_of(File::Events);
        }
    }
}

/// The group whose directory is open as `fd` (`CLONE_INTO_CGROUP`), if `task` may put children there.
///
/// # Errors
/// `EBADF` for anything else, `ENOENT` when it was removed, `EACCES`, `EBUSY`.
pub(in crate::process) fn destination(task: &Arc<Task>, fd: i32) -> Result<Arc<Cgroup>, Errno> {
    let file = task.files()?.get(fd)?;
    let to = super::tree::directory_of(&file.inode).ok_or(Errno::EBADF)?;
    if to.is_removed() {
        return Err(Errno::ENOENT);
    }
    let from = task.process().group.lock().cgroup.clone();
    may_move(from.as_ref(), &to)?;
    to.inode_of(File::Procs)?
        .check(&fs::identity(&task.creds()), Want::WRITE)?;
    to.may_hold()?;
    Ok(to)
}

/// Whether the caller may move processes from one group to the other: it must be one who may write to
/// `cgroup.procs` of the group that both lie below.
fn may_move(from: Option<&Arc<Cgroup>>, to: &Arc<Cgroup>) -> Result<(), Errno> {
    let root = Cgroup::root().ok_or(Errno::ENODEV)?;
    let task = current().ok_or(Errno::EACCES)?;
    let from = from.unwrap_or(&root.group);
    let mut common = to;
    while !from.is_within(common) {
        common = common.parent.as_ref().ok_or(Errno::ENODEV)?;
    }
    let inode = common.inode_of(File::Procs)?;
    inode.check(&fs::identity(&task.creds()), Want::WRITE)
}

/// `/proc/PID/cgroup`.
///
/// # Errors
/// `ENOMEM`.
pub(in crate::process) fn tell(process: &Process, out: &mut Text) -> Result<(), Errno> {
    let own = process.group.lock().cgroup.clone();
    out.bytes(b"0::")?;
    match own {
        Some(own) => out.bytes(&own.path()?)?,
        None => out.bytes(b"/")?,
    }
    out.bytes(b"\n")
}

/// Moves a process, with all its threads.
///
/// # Errors
/// `EACCES`, `ENODEV`, `EBUSY`.
pub(super) fn attach(process: &Arc<Process>, to: &Arc<Cgroup>) -> Result<(), Errno> {
    // One move at a time: where it is allowed to come from is where it comes from.
    let _moving = MOVING.lock();
    let from = process.group.lock().cgroup.clone();
    may_move(from.as_ref(), to)?;
    let mut group = process.group.lock();
    {
        let _tree = TREE.lock();
        if to.is_removed() {
            return Err(Errno::ENODEV);
        }
        to.may_hold()?;
        if from.as_ref().is_some_and(|from| Arc::ptr_eq(from, to)) || group.tasks.is_empty() {
            return Ok(());
        }
        let load = Load::of(&group.tasks);
        if let Some(from) = &from {
            from.remove(&load);
        }
        if !to.is_root() {
            to.add(&load);
        }
        group.cgroup = (!to.is_root()).then(|| Arc::clone(to));
        if to.is_freezing() {
            for thread in group.tasks.iter().filter_map(|task| task.thread()) {
                thread.notify(NOTIFY_SIGNAL);
            }
        }
    }
    drop(group);
    if let Some(from) = &from {
        let_go();
        announce(from);
    }
    announce(to);
    Ok(())
}
