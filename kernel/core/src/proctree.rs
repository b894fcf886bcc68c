//! [`ProcessTree`]: which processes and threads there are, who is whose parent, and how they form
//! process groups and sessions (credentials(7), setpgid(2), setsid(2): [`groups`]).
//!
//! It holds numbers and relations; what a process is, the kernel puts in as `P`, and a thread as
//! `T`. One number space serves threads, processes, groups and sessions, and a number is not
//! given out again while any of them bears it: so there is one table, with an entry for each number
//! in use.

mod groups;

use crate::errno::Errno;
use crate::numbers::Numbers;
use alloc::vec::Vec;

/// The highest process number (`kernel.pid_max` of a small machine).
pub const PID_MAX: u32 = 32_768;
/// Numbers below this are given out once only, as on Linux (`RESERVED_PIDS`).
const RESERVED: u32 = 300;

/// The process that takes orphans. Nobody waits for children there.
const FIRST: u32 = 1;

struct Node<P> {
    process: P,
    parent: u32,
    children: Vec<u32>,
    group: u32,
    session: u32,
    /// It ran exec: its parent can't move it to another group any more.
    has_executed: bool,
    /// It ended and waits to be reaped.
    is_zombie: bool,
}

/// Who bears a number.
struct Entry<P, T> {
    thread: Option<T>,
    node: Option<Node<P>>,
    /// How many processes are in the group of this number.
    group: u32,
    /// How many processes are in the session of this number.
    session: u32,
}

impl<P, T> Entry<P, T> {
    const fn vacant() -> Self {
        Self {
            thread: None,
            node: None,
            group: 0,
            session: 0,
        }
    }

    const fn is_vacant(&self) -> bool {
        self.thread.is_none() && self.node.is_none() && self.group == 0 && self.session == 0
    }
}

/// Where a process stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its parent's number; 0: none.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
}

/// All processes and threads.
pub struct ProcessTree<P, T> {
    entries: Numbers<Entry<P, T>>,
    processes: usize,
    threads: usize,
    last: u32,
    /// Numbers are below this.
    max: u32,
}

impl<P: Clone, T: Clone> Default for ProcessTree<P, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Clone, T: Clone> ProcessTree<P, T> {
    /// Without processes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Numbers::new(),
            processes: 0,
            threads: 0,
            last: 0,
            max: PID_MAX,
        }
    }

    fn is_used(&self, number: u32) -> bool {
        let entry = self.entries.get(number);
        entry.is_some_and(|entry| !entry.is_vacant())
    }

    fn entry(&mut self, number: u32) -> Result<&mut Entry<P, T>, Errno> {
        self.entries.get_or_make(number, Entry::vacant)
    }

    /// Forgets a number that nobody bears any more.
    fn settle(&mut self, number: u32) {
        let entry = self.entries.get(number);
        if entry.is_some_and(Entry::is_vacant) {
            self.entries.remove(number);
        }
    }

    fn node(&self, pid: u32) -> Option<&Node<P>> {
        self.entries.get(pid)?.node.as_ref()
    }

    fn node_mut(&mut self, pid: u32) -> Option<&mut Node<P>> {
        self.entries.get_mut(pid)?.node.as_mut()
    }

    fn nodes(&self) -> impl Iterator<Item = (u32, &Node<P>)> {
        let entries = self.entries.iter();
        entries.filter_map(|(pid, entry)| entry.node.as_ref().map(|node| (pid, node)))
    }

    /// Counts a process into a group and a session.
    fn join(&mut self, group: u32, session: u32) -> Result<(), Errno> {
        self.entry(session)?;
        self.entry(group)?.group += 1;
        self.entry(session)?.session += 1;
        Ok(())
    }

    /// Counts it out again.
    fn leave(&mut self, group: u32, session: u32) {
        if let Some(entry) = self.entries.get_mut(group) {
            entry.group = entry.group.saturating_sub(1);
        }
        if let Some(entry) = self.entries.get_mut(session) {
            entry.session = entry.session.saturating_sub(1);
        }
        self.settle(group);
        self.settle(session);
    }

    /// A number for a thread and its entry in the table, and for a process the same when
    /// [`Self::add_process`] follows.
    ///
    /// With `wanted` it is that number and no other.
    ///
    /// # Errors
    /// `EAGAIN` when all numbers are taken, `EEXIST` when the wanted one is, `EINVAL` when it can
    /// be nobody's, `ENOMEM`.
    pub fn add_thread(
        &mut self,
        wanted: Option<u32>,
        make: impl FnOnce(u32) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let number = match wanted {
            Some(number) if number == 0 || number >= self.max => return Err(Errno::EINVAL),
            Some(number) if self.is_used(number) => return Err(Errno::EEXIST),
            Some(number) => number,
            None => self.free_number().ok_or(Errno::EAGAIN)?,
        };
        self.entry(number)?;
        let made = make(number);
        if let (Ok(thread), Ok(entry)) = (&made, self.entry(number)) {
            entry.thread = Some(thread.clone());
            self.threads += 1;
        }
        self.settle(number);
        let thread = made?;
        if wanted.is_none() {
            self.last = number;
        }
        Ok(thread)
    }

    fn free_number(&self) -> Option<u32> {
        let after = (self.last + 1..self.max).find(|number| !self.is_used(*number));
        let end = self.max.min(self.last + 1);
        after.or_else(|| (RESERVED..end).find(|number| !self.is_used(*number)))
    }

    /// Numbers are given out below this from now on (`/proc/sys/kernel/pid_max`).
    pub const fn set_max(&mut self, max: u32) {
        self.max = max;
    }

    /// What [`Self::set_max`] said last.
    #[must_use]
    pub const fn max(&self) -> u32 {
        self.max
    }

    /// Enters the first process, with number 1.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn add_first(&mut self, process: P) -> Result<(), Errno> {
        self.last = FIRST;
        self.add_process(FIRST, 0, process)
    }

    /// Enters a process, as a child of `parent` in its group and session; the first of all
    /// starts its own.
    ///
    /// # Errors
    /// `ENOMEM`; `ESRCH` when there is no such parent.
    pub fn add_process(&mut self, pid: u32, parent: u32, process: P) -> Result<(), Errno> {
        self.entry(pid)?;
        let (mut group, mut session) = (pid, pid);
        if parent != 0 {
            let above = self.node_mut(parent).ok_or(Errno::ESRCH)?;
            above.children.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            (group, session) = (above.group, above.session);
        }
        self.join(group, session)?;
        if let Some(above) = self.node_mut(parent) {
            above.children.push(pid);
        }
        let node = Node {
            process,
            parent,
            children: Vec::new(),
            group,
            session,
            has_executed: false,
            is_zombie: false,
        };
        self.entry(pid)?.node = Some(node);
        self.processes += 1;
        Ok(())
    }

    /// Takes a thread out of the table.
    pub fn remove_thread(&mut self, tid: u32) -> Option<T> {
        let thread = self.entries.get_mut(tid)?.thread.take()?;
        self.threads -= 1;
        self.settle(tid);
        Some(thread)
    }

    /// Gives the thread `from` the number `to`: exec by a thread that isn't the first one.
    pub fn renumber_thread(&mut self, from: u32, to: u32) {
        let thread = self
            .entries
            .get_mut(from)
            .and_then(|entry| entry.thread.take());
        // The process whose number it takes is there, so the entry is.
        if let Some(entry) = self.entries.get_mut(to)
            && let Some(thread) = thread
            && entry.thread.replace(thread).is_some()
        {
            self.threads -= 1;
        }
        self.settle(from);
    }

    /// Takes a process out of the tree. Its children must have been handed over before.
    pub fn remove_process(&mut self, pid: u32) -> Option<P> {
        let node = self.entries.get_mut(pid)?.node.take()?;
        self.processes -= 1;
        if let Some(parent) = self.node_mut(node.parent) {
            // Most often it is one of the last.
            if let Some(at) = parent.children.iter().rposition(|child| *child == pid) {
                parent.children.remove(at);
            }
        }
        self.leave(node.group, node.session);
        self.settle(pid);
        Some(node.process)
    }

    /// The thread with this number.
    #[must_use]
    pub fn thread(&self, tid: u32) -> Option<T> {
        self.entries.get(tid)?.thread.clone()
    }

    /// The process with this number.
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<P> {
        self.node(pid).map(|node| node.process.clone())
    }

    /// How many threads there are.
    #[must_use]
    pub const fn thread_count(&self) -> usize {
        self.threads
    }

    /// The number given out last.
    #[must_use]
    pub const fn last_number(&self) -> u32 {
        self.last
    }

    /// Every process, by ascending number.
    pub fn processes(&self) -> impl Iterator<Item = (u32, &P)> {
        self.nodes().map(|(pid, node)| (pid, &node.process))
    }

    /// The process numbers, ascending.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn pids(&self) -> Result<Vec<u32>, Errno> {
        let mut pids = Vec::new();
        pids.try_reserve(self.processes)
            .map_err(|_| Errno::ENOMEM)?;
        pids.extend(self.nodes().map(|(pid, _)| pid));
        Ok(pids)
    }

    /// The children of a process, oldest first.
    pub fn children(&self, pid: u32) -> impl Iterator<Item = (u32, &P)> {
        let children = self.node(pid).map_or(&[][..], |node| &node.children);
        children
            .iter()
            .filter_map(|pid| self.node(*pid).map(|node| (*pid, &node.process)))
    }

    /// The process with this number, if it is a child of `parent`.
    #[must_use]
    pub fn child(&self, parent: u32, pid: u32) -> Option<(u32, &P)> {
        let node = self.node(pid).filter(|node| node.parent == parent)?;
        Some((pid, &node.process))
    }

    /// The members of a process group.
    pub fn group_members(&self, group: u32) -> impl Iterator<Item = (u32, &P)> {
        self.nodes()
            .filter(move |(_, node)| node.group == group)
            .map(|(pid, node)| (pid, &node.process))
    }

    /// Where a process stands.
    #[must_use]
    pub fn standing(&self, pid: u32) -> Option<Standing> {
        let node = self.node(pid)?;
        Some(Standing {
            parent: node.parent,
            group: node.group,
            session: node.session,
        })
    }

    /// Whether a group with this number exists in the session.
    #[must_use]
    pub fn group_is_in_session(&self, group: u32, session: u32) -> bool {
        self.nodes()
            .any(|(_, node)| node.group == group && node.session == session)
    }

    /// Whether the process has run exec since it was made.
    #[must_use]
    pub fn has_executed(&self, pid: u32) -> bool {
        self.node(pid).is_some_and(|node| node.has_executed)
    }

    /// The process ran exec.
    pub fn mark_executed(&mut self, pid: u32) {
        if let Some(node) = self.node_mut(pid) {
            node.has_executed = true;
        }
    }

    /// The process ended and waits to be reaped.
    pub fn mark_zombie(&mut self, pid: u32) {
        if let Some(node) = self.node_mut(pid) {
            node.is_zombie = true;
        }
    }

    /// Hands the children of `pid` over to `reaper`, or to the first process, which keeps no list
    /// of its children, and tells of each and of whose it is now.
    pub fn hand_over_children(&mut self, pid: u32, reaper: u32, mut tell: impl FnMut(&P, u32)) {
        let Some(node) = self.node_mut(pid) else {
            return;
        };
        let children = core::mem::take(&mut node.children);
        let mut reaper = reaper;
        if let Some(node) = self.node_mut(reaper).filter(|_| reaper != FIRST) {
            match node.children.try_reserve(children.len()) {
                Ok(()) => node.children.extend_from_slice(&children),
                Err(_) => reaper = FIRST,
            }
        }
        for child in &children {
            if let Some(node) = self.node_mut(*child) {
                node.parent = reaper;
                tell(&node.process, reaper);
            }
        }
    }

    /// The process that orphans of `pid` go to: the nearest ancestor that asked for them, by
    /// `is_subreaper`, else the first process.
    #[must_use]
    pub fn reaper_of(&self, pid: u32, is_subreaper: impl Fn(&P) -> bool) -> u32 {
        let mut at = self.node(pid).map_or(0, |node| node.parent);
        while let Some(node) = self.node(at) {
            if is_subreaper(&node.process) && !node.is_zombie {
                return at;
            }
            at = node.parent;
        }
        FIRST
    }
}

#[cfg(test)]
#[path = "proctree_tests.rs"]
mod tests;
