//! Process groups and sessions: who moves whom to which, and which groups are orphaned.

use alloc::vec::Vec;

use super::{FIRST, ProcessTree};
use crate::errno::Errno;

impl<P: Clone, T: Clone> ProcessTree<P, T> {
    /// The groups that become orphaned when `pid` ends: its own, and those of its children in
    /// other groups of the session (POSIX, exit(3)).
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn orphaned_by(&self, pid: u32) -> Result<Vec<u32>, Errno> {
        let mut orphaned = Vec::new();
        let Some(node) = self.node(pid) else {
            return Ok(orphaned);
        };
        let own_parent = self.node(node.parent);
        let held_own = node.parent > FIRST
            && own_parent
                .is_some_and(|parent| parent.group != node.group && parent.session == node.session);
        let own = held_own.then_some(node.group);
        let held = self
            .children(pid)
            .filter_map(|(child, _)| self.node(child))
            .filter(|child| child.group != node.group && child.session == node.session)
            .map(|child| child.group);
        for group in own.into_iter().chain(held) {
            if !orphaned.contains(&group) && self.is_orphaned(group, Some(pid)) {
                orphaned.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                orphaned.push(group);
            }
        }
        Ok(orphaned)
    }

    /// setpgid(2), by `caller`.
    ///
    /// # Errors
    /// `EINVAL`, `ESRCH`, `EACCES`, `EPERM` as the man page says.
    pub fn set_group(&mut self, caller: u32, pid: i32, group: i32) -> Result<(), Errno> {
        let pid = number_or(pid, caller).ok_or(Errno::ESRCH)?;
        let group = number_or(group, pid).ok_or(Errno::EINVAL)?;
        let own_session = self.node(caller).ok_or(Errno::ESRCH)?.session;
        let node = self.node(pid).ok_or(Errno::ESRCH)?;
        if pid != caller {
            if node.parent != caller {
                return Err(Errno::ESRCH);
            }
            if node.session != own_session {
                return Err(Errno::EPERM);
            }
            if node.has_executed {
                return Err(Errno::EACCES);
            }
        }
        if node.session == pid || (group != pid && !self.group_is_in_session(group, own_session)) {
            return Err(Errno::EPERM);
        }
        self.move_to(pid, group, own_session)
    }

    /// Whether there is a group or a session of this number.
    fn leads(&self, number: u32) -> bool {
        let entry = self.entries.get(number);
        entry.is_some_and(|entry| entry.group > 0 || entry.session > 0)
    }

    /// setsid(2).
    ///
    /// # Errors
    /// `EPERM` when it leads a group already.
    pub fn start_session(&mut self, pid: u32) -> Result<(), Errno> {
        if self.leads(pid) {
            return Err(Errno::EPERM);
        }
        self.move_to(pid, pid, pid)
    }

    fn move_to(&mut self, pid: u32, group: u32, session: u32) -> Result<(), Errno> {
        let old = self.standing(pid).ok_or(Errno::ESRCH)?;
        self.join(group, session)?;
        if let Some(node) = self.node_mut(pid) {
            (node.group, node.session) = (group, session);
        }
        self.leave(old.group, old.session);
        Ok(())
    }

    /// Whether a group is orphaned: no member has a parent in another group of the same
    /// session, who could let it go on after a stop (`leaving` doesn't count as a member).
    #[must_use]
    pub fn is_orphaned(&self, group: u32, leaving: Option<u32>) -> bool {
        !self.nodes().any(|(pid, node)| {
            node.group == group
                && Some(pid) != leaving
                && !node.is_zombie
                && node.parent > FIRST
                && Some(node.parent) != leaving
                && self
                    .node(node.parent)
                    .is_some_and(|parent| parent.group != group && parent.session == node.session)
        })
    }
}

fn number_or(number: i32, default: u32) -> Option<u32> {
    match number {
        0 => Some(default),
        number => u32::try_from(number).ok(),
    }
}
