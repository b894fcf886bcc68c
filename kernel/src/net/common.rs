//! [`Common`]: what a socket of every family has — options, the pending error, what is shut down,
//! who waits — and [`Patience`], how long a call waits.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, AtomicU16, AtomicU32, AtomicU64, Ordering};
use kiln_core::abi;
use kiln_core::bpf::Program;
use kiln_core::errno::Errno;
use kiln_core::net::inet::HeadOptions;
use kiln_core::net::msg;
use kiln_core::net::options::Options;
use kiln_core::net::queue::Piece;

use super::packet::Packet;
use crate::arch::time::now_ns;
use crate::fs::fasync::AsyncList;
use crate::fs::memory::try_arc;
use crate::fs::{Events, Watch};
use crate::sched::{Mode, WaitQueue, Wake};
use crate::sync::SpinLock;
use crate::vm::IoDst;

/// Bits of [`Common::shut`]: nothing is received any more (`RCV_SHUTDOWN`).
pub(super) const SHUT_READ: u32 = 1;
/// Nothing is sent any more (`SEND_SHUTDOWN`).
pub(super) const SHUT_WRITE: u32 = 2;
/// Both.
pub(super) const SHUT_BOTH: u32 = 3;

/// What every socket has.
pub(crate) struct Common {
    /// `AF_*`; a connection of IPv6's may become one of IPv4's.
    family: AtomicU16,
    /// `SOCK_*`.
    pub(crate) kind: u32,
    /// `IPPROTO_*`.
    pub(crate) protocol: u32,
    /// The number of its inode, once it has a file.
    pub(super) ino: AtomicU64,
    pub(super) options: SpinLock<Options>,
    /// `IP_OPTIONS`: kept and told. The heads that raw sockets are shown are without them.
    pub(super) head_options: SpinLock<HeadOptions>,
    /// What says which messages it takes.
    pub(super) filter: SpinLock<Option<Arc<Program>>>,
    error: AtomicI32,
    shut: AtomicU32,
    /// For something to read, a connection, an error, the end.
    pub(super) readers: Arc<WaitQueue>,
    /// For room to write, or a connection made.
    pub(super) writers: Arc<WaitQueue>,
    /// Who is told by signals of what `readers` are woken for.
    pub(super) signals: Arc<AsyncList>,
}

impl Common {
    /// Of a new socket.
    pub(super) fn new(family: u16, kind: u32, protocol: u32) -> Result<Self, Errno> {
        Ok(Self {
            family: AtomicU16::new(family),
            kind,
            protocol,
            ino: AtomicU64::new(0),
            options: SpinLock::new(Options::new()),
            head_options: SpinLock::new(HeadOptions::new()),
            filter: SpinLock::new(None),
            error: AtomicI32::new(0),
            shut: AtomicU32::new(0),
            readers: try_arc(WaitQueue::new())?,
            writers: try_arc(WaitQueue::new())?,
            signals: try_arc(AsyncList::new())?,
        })
    }

    /// `AF_*`.
    pub(crate) fn family(&self) -> u16 {
        self.family.load(Ordering::Relaxed)
    }

    /// From now on it is of this family.
    pub(super) fn set_family(&self, family: u16) {
        self.family.store(family, Ordering::Relaxed);
    }

    /// The options now.
    pub(super) fn options(&self) -> Options {
        *self.options.lock()
    }

    /// Bits of what is shut down.
    pub(super) fn shut(&self) -> u32 {
        self.shut.load(Ordering::Acquire)
    }

    /// Whether these are shut down.
    pub(super) fn is_shut(&self, what: u32) -> bool {
        self.shut() & what == what
    }

    /// Shuts down more; nobody is woken.
    pub(super) fn shut_down(&self, what: u32) {
        self.shut.fetch_or(what, Ordering::AcqRel);
    }

    /// Opens both ways again, for a socket that is used anew.
    pub(super) fn reopen(&self) {
        self.shut.store(0, Ordering::Release);
    }

    /// Leaves an error for the next call; nobody is woken.
    pub(super) fn fail(&self, error: Errno) {
        self.error
            .store(i32::from(error.number()), Ordering::Release);
    }

    /// The pending error, which is gone then.
    pub(super) fn take_error(&self) -> Option<Errno> {
        if self.error.load(Ordering::Acquire) == 0 {
            return None;
        }
        let number = self.error.swap(0, Ordering::AcqRel);
        u16::try_from(number).ok().and_then(Errno::from_number)
    }

    /// Fails with the pending error, which is gone then.
    pub(super) fn check_error(&self) -> Result<(), Errno> {
        self.take_error().map_or(Ok(()), Err)
    }

    /// Why no message will come: an error, which is gone then, or the way is shut.
    pub(super) fn reading_is_over(&self) -> Option<Result<(), Errno>> {
        match self.take_error() {
            Some(error) => Some(Err(error)),
            None => self.is_shut(SHUT_READ).then_some(Ok(())),
        }
    }

    /// Whether an error is pending.
    pub(super) fn has_error(&self) -> bool {
        self.error.load(Ordering::Acquire) != 0
    }

    /// Wakes everybody: the state changed.
    pub(super) fn changed(&self) {
        self.readers.wake_all();
        self.writers.wake_all();
    }

    /// Wakes everybody: the other side ended, or broke off (`POLL_ERR`).
    pub(super) fn ended(&self, reason: u32) {
        self.changed();
        self.signals.tell(reason);
    }

    /// What a signal says when the other side has ended.
    pub(super) fn end_reason(&self) -> u32 {
        if self.is_shut(SHUT_BOTH) {
            abi::POLL_HUP
        } else {
            abi::POLL_IN
        }
    }

    /// Tells poll the queues: of what can be read, and of what can be written. A change of the state
    /// wakes both.
    pub(super) fn watch(&self, watch: &mut dyn Watch) {
        watch.add_for(&self.readers, Self::READING);
        watch.add_for(&self.writers, Self::WRITING);
    }

    /// What the readers' queue tells of.
    const READING: Events = Events::READABLE
        .union(Events::PRI)
        .union(Events::RDBAND)
        .union(Events::RDHUP);
    /// What the writers' queue tells of.
    pub(super) const WRITING: Events = Events::WRITABLE.union(Events::WRBAND);

    /// How many bytes a look leaves out (`SO_PEEK_OFF`).
    pub(super) fn look_from(&self, flags: u32) -> usize {
        let from = self.options.lock().peek_off;
        match flags & msg::PEEK {
            0 => 0,
            _ => usize::try_from(from).unwrap_or(0),
        }
    }

    /// So many bytes were looked at, or taken: the next look begins elsewhere.
    pub(super) fn looked(&self, flags: u32, count: usize) {
        let mut options = self.options.lock();
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        if options.peek_off >= 0 {
            options.peek_off = match flags & msg::PEEK {
                0 => options.peek_off.saturating_sub(count).max(0),
                _ => options.peek_off.saturating_add(count),
            };
        }
    }

    /// Gives a message to its reader, from the byte `from` on.
    pub(super) fn give(
        &self,
        packet: &Packet,
        dst: &mut IoDst<'_>,
        flags: u32,
        from: usize,
        told: &mut u32,
    ) -> Result<usize, Errno> {
        let room = dst.remaining();
        let answer = packet.give(dst, flags, from, told)?;
        self.looked(
            flags,
            match flags & msg::PEEK {
                0 => packet.len(),
                _ => room - dst.remaining(),
            },
        );
        Ok(answer)
    }

    /// How long a receiving call waits.
    pub(super) fn read_patience(&self, nonblocking: bool) -> Patience {
        Patience::new(nonblocking, || self.options.lock().rcvtimeo)
    }

    /// How long a sending call waits.
    pub(super) fn write_patience(&self, nonblocking: bool) -> Patience {
        Patience::new(nonblocking, || self.options.lock().sndtimeo)
    }
}

/// How long a call waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until then.
    Until(u64),
    /// For ever.
    Endless,
}

impl Patience {
    fn new(nonblocking: bool, timeout: impl FnOnce() -> u64) -> Self {
        if nonblocking {
            return Self::None;
        }
        match timeout() {
            0 => Self::Endless,
            ns => Self::Until(now_ns().saturating_add(ns)),
        }
    }

    /// Waits in the queue until the condition gives a value. EAGAIN when time is up; a signal
    /// restarts the call only where it has no timeout (signal(7)).
    pub(super) fn wait<T>(
        self,
        queue: &WaitQueue,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T, Errno> {
        let deadline = match self {
            Self::None => return condition().ok_or(Errno::EAGAIN),
            Self::Until(deadline) => Some(deadline),
            Self::Endless => None,
        };
        let waited = queue.wait(Mode::Interruptible, deadline, condition);
        waited.map_err(|wake| match (wake, deadline) {
            (Wake::Timeout, _) => Errno::EAGAIN,
            (Wake::Signal, Some(_)) => Errno::EINTR,
            (Wake::Signal, None) => Errno::ERESTARTSYS,
        })
    }
}
