//! Waiting for children: wait4(2) and waitid(2).

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::Signal;
use kiln_core::wait_status::WaitStatus;

use super::group::Process;
use super::ptrace::{self, wait::ChildTrace};
use super::task::Task;
use super::usage::{self, Usage};
use super::{exit, table};
use crate::sched::Mode;

/// Which children count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    /// Every child.
    Any,
    /// The one with this number.
    Process(u32),
    /// Those in this group.
    Group(u32),
}

/// A child's change of state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// The child's number.
    pub(crate) pid: u32,
    /// Its real user id.
    pub(crate) uid: u32,
    /// What happened.
    pub(crate) status: WaitStatus,
    /// What it and the children it waited for have used.
    pub(crate) usage: Usage,
}

/// Stopped children count too (`WUNTRACED` of wait4 is the same bit).
const WSTOPPED: u32 = 2;
/// Continued children count too.
const WCONTINUED: u32 = 8;
/// The child stays waitable.
const WNOWAIT: u32 = 0x0100_0000;
/// The bits that wait4 knows.
pub(crate) const WAIT4_OPTIONS: u32 =
    abi::WNOHANG | WSTOPPED | WCONTINUED | abi::__WNOTHREAD | abi::__WCLONE | abi::__WALL;
/// The bits that waitid knows.
pub(crate) const WAITID_OPTIONS: u32 = WAIT4_OPTIONS | abi::WEXITED | WNOWAIT;

/// Waits for a child's change of state. `None`: there are children but no news, with `WNOHANG`.
///
/// # Errors
/// `ECHILD` when no child counts, `ERESTARTSYS` when a signal came.
pub(crate) fn wait(task: &Arc<Task>, which: Which, options: u32) -> Result<Option<Event>, Errno> {
    let process = task.process();
    let look = || match look(task, which, options) {
        Ok(None) if options & abi::WNOHANG == 0 => None,
        found => Some(found),
    };
    process
        .child_events
        .wait(Mode::Interruptible, None, look)
        .map_err(|_| Errno::ERESTARTSYS)?
}

/// Looks for news once. A zombie that is found leaves the table before another thread can find it too.
fn look(task: &Arc<Task>, which: Which, options: u32) -> Result<Option<Event>, Errno> {
    let process = task.process();
    let mut tree = table::tree().lock();
    let mut any = false;
    let news_of = |(pid, child): (u32, &Arc<Process>)| {
        let counts = match which {
            Which::Any | Which::Process(_) => true,
            Which::Group(group) => tree.standing(pid).is_some_and(|at| at.group == group),
        };
        if !counts || !is_eligible(child, options) || !is_own(&tree, task, child, options) {
            return None;
        }
        let tracer = ptrace::wait::of_child(&tree, pid, process);
        // Of one that has ended there is nothing to expect but its end.
        any |=
            options & abi::WEXITED != 0 || tracer == ChildTrace::Other || child.ended().is_none();
        news(child, options, tracer).map(|status| (Arc::clone(child), status))
    };
    let own = process.pid();
    let found = match which {
        Which::Process(wanted) => tree.child(own, wanted).and_then(news_of),
        _ => tree.children(own).find_map(news_of),
    };
    if let Some((child, status)) = found {
        let reaps = matches!(status, WaitStatus::Ended(_)) && options & WNOWAIT == 0;
        let unlisted = reaps.then(|| exit::unlist(&mut tree, child.pid()));
        drop(tree);
        return Ok(Some(take(process, &child, status, unlisted)));
    }
    let tracees = ptrace::wait::look(&tree, process, which, options);
    drop(tree);
    if let Some((tracee, status)) = tracees.news {
        return match take_tracee(&tracee, status, options) {
            Some(event) => Ok(Some(event)),
            // Another thread has just had it.
            None => look(task, which, options),
        };
    }
    if any || tracees.any {
        Ok(None)
    } else {
        Err(Errno::ECHILD)
    }
}

/// `__WCLONE` asks for children that send another signal than SIGCHLD at their end; `__WALL` for
/// all.
fn is_eligible(child: &Process, options: u32) -> bool {
    let is_clone = child.exit_signal() != Some(Signal::CHLD);
    options & abi::__WALL != 0 || is_clone == (options & abi::__WCLONE != 0)
}

/// `__WNOTHREAD` leaves out what other threads made. A thread's children are another's when it ends.
fn is_own(tree: &table::Tree, task: &Task, child: &Process, options: u32) -> bool {
    let maker = child.maker.load(core::sync::atomic::Ordering::Relaxed);
    options & abi::__WNOTHREAD == 0
        || maker == task.tid()
        || tree
            .thread(maker)
            .is_none_or(|maker| maker.pid() != task.pid())
}

fn news(child: &Process, options: u32, tracer: ChildTrace) -> Option<WaitStatus> {
    if let Some(status) = child.ended() {
        if tracer == ChildTrace::Other {
            return None;
        }
        let asked = options & abi::WEXITED != 0;
        return asked.then_some(WaitStatus::Ended(status));
    }
    let mut group = child.group.lock();
    let status = group.event?;
    let asked = match status {
        // A tracee's stops are told otherwise.
        WaitStatus::Stopped(_) if tracer == ChildTrace::Parent => return None,
        WaitStatus::Stopped(_) => options & WSTOPPED != 0,
        WaitStatus::Continued => options & WCONTINUED != 0,
        WaitStatus::Ended(_) | WaitStatus::Traced(_) => false,
    };
    if asked && options & WNOWAIT == 0 {
        group.event = None;
    }
    asked.then_some(status)
}

/// A tracee's news; `None` when it had ended and another thread was told.
fn take_tracee(tracee: &Arc<Task>, status: WaitStatus, options: u32) -> Option<Event> {
    let event = Event {
        pid: tracee.tid(),
        uid: tracee.creds().uids.real,
        status,
        usage: usage::of_process(tracee.process()),
    };
    let reaps = matches!(status, WaitStatus::Ended(_)) && options & WNOWAIT == 0;
    (!reaps || ptrace::wait::reap(tracee, status)).then_some(event)
}

fn take(
    process: &Arc<Process>,
    child: &Arc<Process>,
    status: WaitStatus,
    unlisted: Option<exit::Unlisted>,
) -> Event {
    let mut used = usage::of_process(child);
    used.add(&child.children.lock());
    if let Some(unlisted) = unlisted {
        exit::finish_reap(child, Some(process), unlisted);
    }
    Event {
        pid: child.pid(),
        uid: child.uid.load(core::sync::atomic::Ordering::Relaxed),
        status,
        usage: used,
    }
}
