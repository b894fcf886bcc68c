//! What the connector tells of processes (linux/cn_proc.h).

use core::sync::atomic::Ordering;

use kiln_core::cred::Credentials;
use kiln_core::wait_status::WaitStatus;

use super::ptrace;
use super::task::Task;
use crate::net::events::{are_wanted, tell};

/// `PROC_EVENT_FORK` and the others.
const FORK: u32 = 1;
const EXEC: u32 = 2;
const UID: u32 = 4;
const GID: u32 = 0x40;
const SID: u32 = 0x80;
const PTRACE: u32 = 0x100;
const COMM: u32 = 0x200;
const COREDUMP: u32 = 0x4000_0000;
const EXIT: u32 = 0x8000_0000;

/// A task was made.
pub(super) fn forked(maker: &Task, child: &Task) {
    if are_wanted() {
        let parent = child.process().parent();
        // Its parent may be its maker's.
        let maker = if parent == maker.pid() {
            maker.tid()
        } else {
            parent
        };
        tell(FORK, &[maker, parent, child.tid(), child.pid(), 0, 0]);
    }
}

fn of_itself(what: u32, task: &Task, more: [u32; 4]) {
    let [a, b, c, d] = more;
    tell(what, &[task.tid(), task.pid(), a, b, c, d]);
}

/// A task runs another program.
pub(super) fn executed(task: &Task) {
    if are_wanted() {
        of_itself(EXEC, task, [0; 4]);
    }
}

/// It began a session.
pub(crate) fn session_began(task: &Task) {
    if are_wanted() {
        of_itself(SID, task, [0; 4]);
    }
}

/// It has another name.
pub(crate) fn renamed(task: &Task) {
    if are_wanted() {
        let name = task.comm();
        let mut words = [0; 4];
        for (to, from) in words.iter_mut().zip(name.as_chunks::<4>().0) {
            *to = u32::from_le_bytes(*from);
        }
        of_itself(COMM, task, words);
    }
}

/// It is somebody else now.
pub(super) fn changed(task: &Task, before: &Credentials, now: &Credentials) {
    if !are_wanted() {
        return;
    }
    for (what, old, new) in [(UID, before.uids, now.uids), (GID, before.gids, now.gids)] {
        if old != new {
            of_itself(what, task, [new.real, new.effective, 0, 0]);
        }
    }
}

/// It is traced by another, or (`None`) no longer.
pub(super) fn traced(task: &Task, by: Option<&Task>) {
    if are_wanted() {
        let (tid, pid) = by.map_or((0, 0), |by| (by.tid(), by.pid()));
        of_itself(PTRACE, task, [tid, pid, 0, 0]);
    }
}

/// It ends of a signal that may leave a core.
pub(super) fn dumping(task: &Task) {
    if are_wanted() {
        let parent = task.process().parent();
        of_itself(COREDUMP, task, [parent, parent, 0, 0]);
    }
}

/// It has ended.
pub(super) fn ended(task: &Task) {
    if !are_wanted() {
        return;
    }
    let status = WaitStatus::Ended(ptrace::event::status_of(task))
        .encode()
        .cast_unsigned();
    // Nobody waits for any other than the first.
    let (signal, parent) = match task.tid() == task.pid() {
        true => {
            let signal = task.process().exit_signal.load(Ordering::Relaxed);
            (signal.into(), task.process().parent())
        }
        false => (u32::MAX, 0),
    };
    of_itself(EXIT, task, [status, signal, parent, parent]);
}
