//! What terminals need of processes: who asks, whom their signals reach (job control). Handed down
//! to `fs::tty::control` as [`Hooks`].

use kiln_core::signal::Signal;

use super::signal::send_to_group;
use super::{current, table};
use crate::fs::tty::console;
use crate::fs::tty::control::{self, Caller, Hooks};

/// Makes terminals know of processes.
pub(super) fn init() {
    control::set_hooks(Hooks {
        caller,
        signal_group,
        group_in_session: table::group_is_in_session,
        is_orphaned: table::group_is_orphaned,
        ignores,
    });
}

/// The console becomes the controlling terminal of a session's leader.
pub(super) fn give_console_to(leader: u32) {
    if let Some(terminal) = console::terminal() {
        terminal.control().adopt(leader, leader);
    }
}

/// A process has ended: a session's leader takes the session's terminal with it.
pub(super) fn process_ended(pid: u32) {
    control::session_ended(pid);
}

/// What `/proc` shows of a session's terminal: its number and the foreground group.
pub(super) fn shown(session: u32) -> (u64, i64) {
    match control::terminal_of(session) {
        Some(terminal) => {
            let foreground = terminal.control().foreground();
            (terminal.device().encode(), i64::from(foreground))
        }
        None => (0, -1),
    }
}

fn caller() -> Caller {
    let pid = current().map_or(0, |task| task.pid());
    table::standing(pid).map_or(Caller::NOBODY, |standing| Caller {
        session: standing.session,
        group: standing.group,
        leads: standing.session == pid,
    })
}

fn signal_group(group: u32, number: u8) {
    if let Some(signal) = Signal::new(number.into()) {
        send_to_group(group, signal);
    }
}

fn ignores(number: u8) -> bool {
    let (Some(task), Some(signal)) = (current(), Signal::new(number.into())) else {
        return true;
    };
    task.blocked().contains(signal) || task.process().actions().lock().is_ignored(signal)
}
