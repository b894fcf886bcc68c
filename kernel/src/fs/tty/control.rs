//! Job control: which session a terminal controls, which of its process groups is in the
//! foreground, and what becomes of those in the background (setsid(2), tcsetpgrp(3)).
//!
//! Processes are the business of a room above; it hands its side down as [`Hooks`].

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::num::low8;

use super::Terminal;
use crate::sync::Once;

/// Who makes a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Caller {
    /// Its session.
    pub(crate) session: u32,
    /// Its process group.
    pub(crate) group: u32,
    /// It leads its session.
    pub(crate) leads: bool,
}

impl Caller {
    /// A thread of the kernel's own.
    pub(crate) const NOBODY: Self = Self {
        session: 0,
        group: 0,
        leads: false,
    };
}

/// What the process room does here.
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    /// Who is running.
    pub(crate) caller: fn() -> Caller,
    /// Sends a signal to a process group.
    pub(crate) signal_group: fn(u32, u8),
    /// Whether there is a process of that group in that session.
    pub(crate) group_in_session: fn(u32, u32) -> bool,
    /// Whether nobody outside the group, in its session, could let it go on again.
    pub(crate) is_orphaned: fn(u32) -> bool,
    /// Whether the caller ignores or blocks a signal.
    pub(crate) ignores: fn(u8) -> bool,
}

static HOOKS: Once<Hooks> = Once::new();

/// Makes the process room known.
pub(crate) fn set_hooks(hooks: Hooks) {
    HOOKS.call_once(|| hooks);
}

/// A terminal's session and foreground group; 0 is none.
#[derive(Default)]
pub(crate) struct Control {
    session: AtomicU32,
    foreground: AtomicU32,
}

impl Control {
    /// The session it controls; 0: none.
    pub(crate) fn session(&self) -> u32 {
        self.session.load(Ordering::Acquire)
    }

    /// The foreground process group; 0: none.
    pub(crate) fn foreground(&self) -> u32 {
        self.foreground.load(Ordering::Acquire)
    }

    /// Becomes the controlling terminal of a session, whose leader's group is in the foreground.
    pub(crate) fn adopt(&self, session: u32, group: u32) {
        self.foreground.store(group, Ordering::Release);
        self.session.store(session, Ordering::Release);
    }

    /// Controls nobody any more.
    fn release(&self) {
        self.session.store(0, Ordering::Release);
        self.foreground.store(0, Ordering::Release);
    }

    /// Sends a signal to the foreground group.
    pub(super) fn signal_foreground(&self, signal: u32) {
        signal_group(self.foreground(), signal);
    }

    pub(super) fn hang_up(&self) {
        let (session, foreground) = (self.session(), self.foreground());
        // The leader's group has its number.
        signal_group(session, abi::SIGHUP);
        signal_group(session, abi::SIGCONT);
        if foreground != session {
            signal_group(foreground, abi::SIGHUP);
            signal_group(foreground, abi::SIGCONT);
        }
    }

    /// The caller's place, when this is its controlling terminal.
    fn own_caller(&self) -> Option<(Caller, Hooks)> {
        let hooks = *HOOKS.get()?;
        let caller = (hooks.caller)();
        (caller.session == self.session() && caller.session != 0).then_some((caller, hooks))
    }

    /// May the caller read? In the background it is stopped, or refused.
    pub(super) fn check_read(&self) -> Result<(), Errno> {
        self.check(abi::SIGTTIN)
    }

    /// May the caller change the terminal, or write to it under `TOSTOP`?
    pub(super) fn check_change(&self) -> Result<(), Errno> {
        self.check(abi::SIGTTOU)
    }

    fn check(&self, signal: u32) -> Result<(), Errno> {
        let Some((caller, hooks)) = self.own_caller() else {
            return Ok(());
        };
        let foreground = self.foreground();
        if foreground == 0 || foreground == caller.group {
            return Ok(());
        }
        if (hooks.ignores)(low8(signal.into())) {
            return if signal == abi::SIGTTIN {
                Err(Errno::EIO)
            } else {
                Ok(())
            };
        }
        if (hooks.is_orphaned)(caller.group) {
            return Err(Errno::EIO);
        }
        signal_group(caller.group, signal);
        Err(Errno::ERESTARTSYS)
    }

    /// `TIOCGPGRP`.
    pub(super) fn foreground_for_caller(&self) -> Result<u32, Errno> {
        self.own_caller().ok_or(Errno::ENOTTY)?;
        Ok(self.foreground())
    }

    /// `TIOCGSID`.
    pub(super) fn session_for_caller(&self) -> Result<u32, Errno> {
        self.own_caller().ok_or(Errno::ENOTTY)?;
        Ok(self.session())
    }

    /// `TIOCSPGRP`.
    pub(super) fn set_foreground(&self, group: i32) -> Result<(), Errno> {
        self.check_change()?;
        let (caller, hooks) = self.own_caller().ok_or(Errno::ENOTTY)?;
        let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
        if !(hooks.group_in_session)(group, caller.session) {
            return Err(Errno::EPERM);
        }
        self.foreground.store(group, Ordering::Release);
        Ok(())
    }

    /// `TIOCSCTTY`: only for a session's leader without a terminal, and a terminal without a
    /// session.
    pub(super) fn take_by_caller(&self, has_terminal: impl Fn(u32) -> bool) -> Result<(), Errno> {
        let caller = caller().ok_or(Errno::EPERM)?;
        if caller.leads && caller.session == self.session() {
            return Ok(());
        }
        if !caller.leads || has_terminal(caller.session) || self.session() != 0 {
            return Err(Errno::EPERM);
        }
        self.adopt(caller.session, caller.group);
        Ok(())
    }

    /// `TIOCNOTTY`. A leader takes the terminal from its whole session.
    pub(super) fn leave_by_caller(&self) -> Result<(), Errno> {
        let (caller, _) = self.own_caller().ok_or(Errno::ENOTTY)?;
        if caller.leads {
            self.end_session();
        }
        Ok(())
    }

    fn end_session(&self) {
        let foreground = self.foreground();
        self.release();
        signal_group(foreground, abi::SIGHUP);
        signal_group(foreground, abi::SIGCONT);
    }
}

/// Who is running; `None` before there are processes.
pub(super) fn caller() -> Option<Caller> {
    HOOKS.get().map(|hooks| (hooks.caller)())
}

fn signal_group(group: u32, signal: u32) {
    if let Some(hooks) = HOOKS.get()
        && group != 0
    {
        (hooks.signal_group)(group, low8(signal.into()));
    }
}

/// The terminal that controls a session.
pub(crate) fn terminal_of(session: u32) -> Option<&'static Arc<Terminal>> {
    super::console::terminal()
        .filter(|console| session != 0 && console.control.session() == session)
}

/// The leader of a session has ended: its terminal is free again.
pub(crate) fn session_ended(session: u32) {
    if let Some(terminal) = terminal_of(session) {
        terminal.control.end_session();
    }
}
