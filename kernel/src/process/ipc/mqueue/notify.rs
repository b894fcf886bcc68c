//! [`Notify`]: the process that is told when a message comes to an empty queue (mq_notify(3)), by a
//! signal or, for `SIGEV_THREAD`, by a message to a netlink socket of the C library's, on which a
//! thread of it waits.

use alloc::sync::{Arc, Weak};

use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::signal::{SigInfo, Signal};

use crate::net::Protocol;
use crate::process::current;
use crate::process::group::Process;
use crate::process::signal::send;

/// Bytes of the message to the socket (`NOTIFY_COOKIE_LEN`, linux/mqueue.h); the last one says what
/// happened.
pub(crate) const COOKIE: usize = 32;
/// A message came, or the registration ended (`NOTIFY_WOKENUP`, `NOTIFY_REMOVED`).
const CAME: u8 = 1;
const REMOVED: u8 = 2;

/// How it is told.
pub(crate) enum How {
    /// Not at all (`SIGEV_NONE`).
    None,
    /// By this signal with this value; 0 is none.
    Signal(Option<Signal>, u64),
    /// By this message to this socket.
    Socket(Arc<dyn Protocol>, [u8; COOKIE]),
}

/// A process that is told.
pub(crate) struct Notify {
    owner: Weak<Process>,
    pid: u32,
    how: How,
}

impl Notify {
    /// The calling process is to be told.
    ///
    /// # Errors
    /// `ESRCH` for a thread of the kernel's own.
    pub(crate) fn caller(how: How) -> Result<Self, Errno> {
        let task = current().ok_or(Errno::ESRCH)?;
        Ok(Self {
            owner: Arc::downgrade(task.process()),
            pid: task.pid(),
            how,
        })
    }

    pub(super) fn is_of(&self, process: &Arc<Process>) -> bool {
        core::ptr::eq(self.owner.as_ptr(), Arc::as_ptr(process))
    }

    /// How, which signal, and whose: as a read of the queue shows it.
    pub(super) fn shown(&self) -> (u32, u32, u32) {
        let (kind, signal) = match &self.how {
            How::None => (abi::SIGEV_NONE, 0),
            How::Signal(signal, _) => {
                let number = signal.map_or(0, |signal| signal.number().into());
                (abi::SIGEV_SIGNAL, number)
            }
            How::Socket(..) => (abi::SIGEV_THREAD, 0),
        };
        (kind, signal, self.pid)
    }

    /// A message came: the sender is the caller.
    pub(super) fn message_came(self) {
        match self.how {
            How::None | How::Signal(None, _) => {}
            How::Signal(Some(signal), value) => {
                let sender = current().map(|task| (task.pid(), task.creds().uids.real));
                let (pid, uid) = sender.unwrap_or_default();
                let info = SigInfo::queued(signal, abi::SI_MESGQ, pid, uid, value);
                if let Some(owner) = self.owner.upgrade() {
                    // A full queue of signals loses it, as on Linux.
                    let _ = send(&owner, info);
                }
            }
            How::Socket(socket, cookie) => tell(&*socket, cookie, CAME),
        }
    }

    /// The registration ended without a message.
    pub(super) fn removed(self) {
        if let How::Socket(socket, cookie) = self.how {
            tell(&*socket, cookie, REMOVED);
        }
    }
}

fn tell(socket: &dyn Protocol, mut cookie: [u8; COOKIE], what: u8) {
    if let Some(last) = cookie.last_mut() {
        *last = what;
    }
    // Without memory the thread isn't woken, as on Linux when the socket's buffer is full.
    let _ = socket.deliver(&cookie);
}
