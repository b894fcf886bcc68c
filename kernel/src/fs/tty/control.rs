//! Job control: which session a terminal controls, which of its process groups is in the
//! foreground, and what becomes of those in the background (setsid(2), tcsetpgrp(3)).
//!
//! Processes are the business of a room above, which also remembers each one's controlling
//! terminal; it hands its side down as [`Hooks`].

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::num::low8;

use super::super::fasync::{self, Owner, Whom};
use super::super::file::File;
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
    /// The caller's controlling terminal.
    pub(crate) terminal: fn() -> Option<Arc<Terminal>>,
    /// Gives the caller another one, or none.
    pub(crate) set_terminal: fn(Option<Arc<Terminal>>),
    /// Nobody in a session has this terminal any more. When it was hung up, by its foreground
    /// group, the leader gets SIGHUP and SIGCONT.
    pub(crate) leave_session: fn(u32, &Arc<Terminal>, Option<u32>),
    /// Sends a signal to a process group.
    pub(crate) signal_group: fn(u32, u8),
    /// The session that a process group, or else a process, of that number belongs to.
    pub(crate) session_of: fn(u32) -> Option<u32>,
    /// Whether nobody outside the group, in its session, could let it go on again.
    pub(crate) is_orphaned: fn(u32) -> bool,
    /// Whether the caller ignores or blocks a signal.
    pub(crate) ignores: fn(u8) -> bool,
    /// Whether the caller has `CAP_SYS_ADMIN`.
    pub(crate) is_privileged: fn() -> bool,
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

    /// Controls nobody any more; answers which session and foreground group it controlled.
    pub(crate) fn release(&self) -> (u32, u32) {
        let session = self.session.swap(0, Ordering::AcqRel);
        (session, self.foreground.swap(0, Ordering::AcqRel))
    }

    /// Sends a signal to the foreground group.
    pub(super) fn signal_foreground(&self, signal: u32) {
        signal_group(self.foreground(), signal);
    }
}

impl Terminal {
    /// Whether it is the caller's controlling terminal.
    fn is_callers(&self) -> bool {
        callers_terminal().is_some_and(|own| core::ptr::eq(Arc::as_ptr(&own), self))
    }

    /// Names the owner of an open terminal that has none (`O_ASYNC`): the foreground group, or else
    /// the caller.
    pub(super) fn own(&self, file: &File) {
        let caller = fasync::caller();
        let whom = match self.control().foreground() {
            0 => caller.whom,
            group => Whom::Group(group),
        };
        fasync::own_as(file, Owner { whom, ..caller });
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
        let (Some(hooks), true) = (HOOKS.get(), self.is_callers()) else {
            return Ok(());
        };
        let (group, foreground) = ((hooks.caller)().group, self.control().foreground());
        if foreground == 0 || foreground == group {
            return Ok(());
        }
        if (hooks.ignores)(low8(signal.into())) {
            return if signal == abi::SIGTTIN {
                Err(Errno::EIO)
            } else {
                Ok(())
            };
        }
        if (hooks.is_orphaned)(group) {
            return Err(Errno::EIO);
        }
        signal_group(group, signal);
        Err(Errno::ERESTARTSYS)
    }

    /// `TIOCGPGRP`: whoever has the master may ask, others of their own terminal only.
    pub(super) fn foreground_for_caller(&self, by_master: bool) -> Result<u32, Errno> {
        self.known_to_caller(by_master)?;
        Ok(self.control().foreground())
    }

    /// `TIOCGSID`.
    pub(super) fn session_for_caller(&self, by_master: bool) -> Result<u32, Errno> {
        self.known_to_caller(by_master)?;
        match self.control().session() {
            0 => Err(Errno::ENOTTY),
            session => Ok(session),
        }
    }

    fn known_to_caller(&self, by_master: bool) -> Result<(), Errno> {
        (by_master || self.is_callers())
            .then_some(())
            .ok_or(Errno::ENOTTY)
    }

    /// Whether the caller may choose the foreground group, before it is known which.
    pub(super) fn check_foreground_change(&self) -> Result<(), Errno> {
        self.check_change().map_err(|error| match error {
            Errno::EIO => Errno::ENOTTY,
            other => other,
        })
    }

    /// `TIOCSPGRP`.
    pub(super) fn set_foreground(&self, group: i32) -> Result<(), Errno> {
        let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
        let hooks = HOOKS.get().ok_or(Errno::ENOTTY)?;
        let session = (hooks.caller)().session;
        if !self.is_callers() || self.control().session() != session {
            return Err(Errno::ENOTTY);
        }
        if (hooks.session_of)(group).ok_or(Errno::ESRCH)? != session {
            return Err(Errno::EPERM);
        }
        self.control().foreground.store(group, Ordering::Release);
        Ok(())
    }

    /// `TIOCSCTTY`: only for a session's leader without a terminal, and a terminal without a
    /// session, unless the privileged caller takes it away from another (`steals`).
    pub(super) fn take_by_caller(
        self: &Arc<Self>,
        steals: bool,
        readable: bool,
    ) -> Result<(), Errno> {
        let hooks = HOOKS.get().ok_or(Errno::EPERM)?;
        let (caller, held) = ((hooks.caller)(), self.control().session());
        if caller.leads && caller.session == held {
            return Ok(());
        }
        if !caller.leads || (hooks.terminal)().is_some() {
            return Err(Errno::EPERM);
        }
        let privileged = (hooks.is_privileged)();
        if held != 0 {
            if !steals || !privileged {
                return Err(Errno::EPERM);
            }
            (hooks.leave_session)(held, self, None);
        }
        if !readable && !privileged {
            return Err(Errno::EPERM);
        }
        self.give_to(hooks, caller);
        Ok(())
    }

    /// It was opened without `O_NOCTTY`: a session's leader without a terminal gets it, if nobody
    /// has it and it was opened for reading.
    pub(super) fn take_by_opening(self: &Arc<Self>, readable: bool) {
        let Some(hooks) = HOOKS.get() else { return };
        let caller = (hooks.caller)();
        let free = self.control().session() == 0 && (hooks.terminal)().is_none();
        if caller.leads && free && readable {
            self.give_to(hooks, caller);
        }
    }

    fn give_to(self: &Arc<Self>, hooks: &Hooks, caller: Caller) {
        self.control().adopt(caller.session, caller.group);
        (hooks.set_terminal)(Some(Arc::clone(self)));
    }

    /// `TIOCNOTTY`. A leader takes the terminal from its whole session.
    pub(super) fn leave_by_caller(self: &Arc<Self>) -> Result<(), Errno> {
        let hooks = HOOKS.get().ok_or(Errno::ENOTTY)?;
        if !self.is_callers() {
            return Err(Errno::ENOTTY);
        }
        if (hooks.caller)().leads {
            self.control().signal_foreground(abi::SIGHUP);
            self.control().signal_foreground(abi::SIGCONT);
            let (session, _) = self.control().release();
            (hooks.leave_session)(session, self, None);
        }
        (hooks.set_terminal)(None);
        Ok(())
    }
}

/// The session of a terminal that is hung up loses it, and its leader is told.
pub(super) fn hang_up(terminal: &Arc<Terminal>) {
    let (session, foreground) = terminal.control().release();
    if let Some(hooks) = HOOKS.get()
        && session != 0
    {
        (hooks.leave_session)(session, terminal, Some(foreground));
    }
}

/// The caller's controlling terminal.
pub(crate) fn callers_terminal() -> Option<Arc<Terminal>> {
    (HOOKS.get()?.terminal)()
}

/// Whether the caller has `CAP_SYS_ADMIN`; threads of the kernel's own have.
pub(super) fn is_privileged() -> bool {
    HOOKS.get().is_none_or(|hooks| (hooks.is_privileged)())
}

fn signal_group(group: u32, signal: u32) {
    if let Some(hooks) = HOOKS.get()
        && group != 0
    {
        (hooks.signal_group)(group, low8(signal.into()));
    }
}
