//! What terminals need of processes: who asks, whose terminal is whose, whom their signals reach
//! (job control). Handed down to `fs::tty::control` as [`Hooks`].
//!
//! Each process remembers its controlling terminal, as Linux's does: a child has its parent's, and a
//! session that gets one later doesn't give it to those that are there already.

use alloc::sync::Arc;

use kiln_core::abi;
use kiln_core::signal::{SigInfo, Signal};

use super::group::Process;
use super::signal::{send, send_to_group};
use super::{current, table};
use crate::fs::tty::Terminal;
use crate::fs::tty::console;
use crate::fs::tty::control::{self, Caller, Hooks};

/// A process's controlling terminal.
#[derive(Default)]
pub(super) struct Own {
    terminal: Option<Arc<Terminal>>,
    /// The foreground group of the terminal that a session's leader lost by a hang-up; 0: none.
    lost_foreground: u32,
}

impl Process {
    /// Its controlling terminal.
    pub(super) fn terminal(&self) -> Option<Arc<Terminal>> {
        self.own_terminal.lock().terminal.clone()
    }

    /// Gives it a controlling terminal, or takes it away.
    pub(super) fn set_terminal(&self, terminal: Option<Arc<Terminal>>) {
        let own = Own {
            terminal,
            lost_foreground: 0,
        };
        let old = core::mem::replace(&mut *self.own_terminal.lock(), own);
        drop(old);
    }
}

impl Process {
    /// It has a session of its own now, which has no terminal yet.
    pub(crate) fn leave_terminal(&self) {
        self.set_terminal(None);
    }
}

/// Makes terminals know of processes.
pub(super) fn init() {
    control::set_hooks(Hooks {
        caller,
        terminal: || current()?.process().terminal(),
        set_terminal: |terminal| {
            if let Some(task) = current() {
                task.process().set_terminal(terminal);
            }
        },
        leave_session,
        signal_group,
        session_of: table::session_of_group,
        is_orphaned: table::group_is_orphaned,
        ignores,
        is_privileged: || current().is_none_or(|task| task.creds().has(abi::CAP_SYS_ADMIN)),
    });
}

/// The console becomes the controlling terminal of a session's leader.
pub(super) fn give_console_to(leader: &Process) {
    if let Some(terminal) = console::terminal() {
        terminal.control().adopt(leader.pid(), leader.pid());
        leader.set_terminal(Some(Arc::clone(terminal)));
    }
}

/// A process has ended: a session's leader takes the session's terminal with it. The foreground
/// group of a pseudo terminal gets SIGHUP, another terminal is hung up.
pub(super) fn process_ended(process: &Process) {
    let own = core::mem::take(&mut *process.own_terminal.lock());
    let pid = process.pid();
    if table::standing(pid).is_none_or(|standing| standing.session != pid) {
        return;
    }
    let Some(terminal) = own.terminal else {
        hang_up_group(own.lost_foreground);
        return;
    };
    let foreground = terminal.control().foreground();
    if terminal.is_pty() {
        signal_group(foreground, HANGUP);
        terminal.control().release();
        leave_session(pid, &terminal, None);
    } else {
        terminal.hang_up();
        signal_group(foreground, HANGUP);
    }
}

/// vhangup(2): the caller's terminal is hung up, if it has one.
pub(crate) fn hang_up_own() {
    if let Some(terminal) = control::callers_terminal() {
        terminal.hang_up();
    }
}

/// What `/proc` shows of a process's terminal: its number and the foreground group.
pub(super) fn shown(process: &Process) -> (u64, i64) {
    match process.terminal() {
        Some(terminal) => {
            let foreground = match terminal.control().foreground() {
                0 => -1,
                group => i64::from(group),
            };
            (terminal.device().encode(), foreground)
        }
        None => (0, -1),
    }
}

const HANGUP: u8 = Signal::HUP.number();

fn hang_up_group(group: u32) {
    signal_group(group, HANGUP);
    signal_group(group, Signal::CONT.number());
}

fn caller() -> Caller {
    let pid = current().map_or(0, |task| task.pid());
    table::standing(pid).map_or(Caller::NOBODY, |standing| Caller {
        session: standing.session,
        group: standing.group,
        leads: standing.session == pid,
    })
}

/// Nobody in the session has this terminal any more; `hung_up`: by which foreground group, of which
/// only the leader is told.
fn leave_session(session: u32, terminal: &Arc<Terminal>, hung_up: Option<u32>) {
    for process in table::session_members(session).unwrap_or_default() {
        let leads = process.pid() == session;
        let mut own = process.own_terminal.lock();
        let has = |own: &Arc<Terminal>| Arc::ptr_eq(own, terminal);
        let left = if own.terminal.as_ref().is_some_and(has) {
            own.terminal.take()
        } else {
            None
        };
        if let (Some(foreground), true) = (hung_up, leads) {
            own.lost_foreground = foreground;
        }
        drop(own);
        drop(left);
        if hung_up.is_some() && leads {
            for signal in [Signal::HUP, Signal::CONT] {
                // The kernel's own signals are never refused.
                let _ = send(&process, SigInfo::kernel(signal));
            }
        }
    }
}

fn signal_group(group: u32, number: u8) {
    if let Some(signal) = Signal::new(number.into())
        && group != 0
    {
        send_to_group(group, signal);
    }
}

fn ignores(number: u8) -> bool {
    let (Some(task), Some(signal)) = (current(), Signal::new(number.into())) else {
        return true;
    };
    task.blocked().contains(signal) || task.process().actions().lock().is_ignored(signal)
}
