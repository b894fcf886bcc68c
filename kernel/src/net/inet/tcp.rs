//! [`TcpSock`]: an end of a TCP connection, or who takes them.
//!
//! The end that closes first keeps its port for a minute (`TIME_WAIT`); an end that is closed with
//! unread data, or with `SO_LINGER` at zero, resets the connection. What the calls on it do: [`calls`].

mod calls;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::net::options::{TCP_RCVBUF, so};
use kiln_core::net::{family, kind, level};

use super::address::{Address, TCP_PORTS, give_port, new_id};
use super::counts;
use crate::mm::kmem;
use crate::net::common::{Common, Patience, SHUT_BOTH, SHUT_READ, SHUT_WRITE};
use crate::net::inbox::{Flow, Inbox};
use crate::net::packet::{Account, Extra, Packet};
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};

/// What a new socket's send buffer is said to hold (`net.ipv4.tcp_wmem`).
const SNDBUF: u32 = 16_384;
/// What a connection may have on its way when nobody set a buffer.
const WINDOW: u32 = 1 << 20;
/// Bytes of a packet at most.
const PART: usize = 64 * 1024;

/// An end of a connection, or who takes them.
pub(in crate::net) struct TcpSock {
    pub(super) me: Weak<Self>,
    pub(super) common: Common,
    pub(super) account: Arc<Account>,
    pub(super) inbox: Inbox,
    pub(super) address: SpinLock<Address>,
    pub(super) state: SpinLock<State>,
    pub(super) id: u64,
    /// Its file is closed.
    pub(super) gone: AtomicBool,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Neither connected nor listening.
    Closed,
    /// It takes connections.
    Listening,
    /// It waits for the other side.
    Connecting,
    /// Connected; each way may have ended.
    Connected,
}

pub(super) struct State {
    pub(super) phase: Phase,
    /// A connect that didn't wait hasn't been told how it ended.
    pub(super) untold: bool,
    pub(super) peer: Option<Arc<TcpSock>>,
    /// This side, or the other, will send no more.
    pub(super) sent_end: bool,
    pub(super) got_end: bool,
    /// This side said so first.
    pub(super) first: bool,
    /// Connections that wait to be accepted.
    pub(super) waiting: VecDeque<Arc<TcpSock>>,
    /// Who waits until they fit.
    pub(super) pending: VecDeque<Weak<TcpSock>>,
    pub(super) backlog: usize,
}

impl State {
    /// Counts the reset of a connection that still sends.
    fn count_reset(&self) {
        if self.phase == Phase::Connected && !self.sent_end {
            counts::ESTAB_RESETS.up();
        }
    }
}

impl TcpSock {
    /// A new socket.
    pub(in crate::net) fn new(v6: bool) -> Result<Arc<Self>, Errno> {
        let family = if v6 { family::INET6 } else { family::INET };
        let common = Common::new(family, kind::STREAM, level::TCP.cast_unsigned())?;
        {
            let mut options = common.options.lock();
            (options.sndbuf, options.rcvbuf) = (SNDBUF, TCP_RCVBUF);
        }
        let account = Account::new(WINDOW, false, &common.writers)?;
        let inbox = Inbox::new(&common)?;
        let size = size_of::<Self>() + 2 * size_of::<usize>();
        let _charge = kmem::charge(size).map_err(|_| Errno::ENOBUFS)?;
        Ok(Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            common,
            account,
            inbox,
            address: SpinLock::new(Address::new(v6)),
            state: SpinLock::new(State {
                phase: Phase::Closed,
                untold: false,
                peer: None,
                sent_end: false,
                got_end: false,
                first: false,
                waiting: VecDeque::new(),
                pending: VecDeque::new(),
                backlog: 0,
            }),
            id: new_id(),
            gone: AtomicBool::new(false),
        }))
    }

    pub(super) fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    fn peer_socket(&self) -> Option<Arc<Self>> {
        self.state.lock().peer.clone()
    }

    /// Whether both ways of its connection have ended.
    fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.phase == Phase::Closed || state.sent_end && state.got_end
    }

    /// The state's number (net/tcp_states.h), for `/proc/net/tcp` and `TCP_INFO`.
    pub(in crate::net) fn state_number(&self) -> u8 {
        let state = self.state.lock();
        match (state.phase, state.sent_end, state.got_end) {
            (Phase::Listening, ..) => 10,
            (Phase::Connecting, ..) => 2,
            (Phase::Closed, ..) | (_, true, true) => 7,
            (Phase::Connected, false, false) => 1,
            (Phase::Connected, true, false) => 5,
            (Phase::Connected, false, true) => 8,
        }
    }

    /// Connections that wait, and how many may.
    pub(in crate::net) fn waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.waiting.len(), state.backlog)
    }

    /// The addresses of both ends.
    pub(in crate::net) fn ends(&self) -> Address {
        *self.address.lock()
    }

    /// Bytes on their way from here, and to be read here.
    pub(in crate::net) fn queue_lengths(&self) -> (usize, usize) {
        (0, self.inbox.bytes())
    }

    /// What it has like every socket.
    pub(in crate::net) fn shared(&self) -> &Common {
        &self.common
    }

    /// Bytes on their way from here.
    fn unread(&self) -> usize {
        self.peer_socket().map_or(0, |peer| peer.inbox.bytes())
    }

    /// The connection is broken off from the other side.
    pub(super) fn reset(&self, error: Errno) {
        let peer = {
            let mut state = self.state.lock();
            state.count_reset();
            state.phase = Phase::Closed;
            (state.sent_end, state.got_end) = (true, true);
            state.peer.take()
        };
        drop(peer);
        self.common.fail(error);
        self.inbox.locked(|| self.common.shut_down(SHUT_BOTH));
        self.common.ended(abi::POLL_ERR);
    }

    /// The other side will send no more.
    fn take_end(&self) {
        self.state.lock().got_end = true;
        self.inbox.locked(|| self.common.shut_down(SHUT_READ));
        self.common.ended(self.common.end_reason());
    }

    /// This side will send no more.
    fn send_end(&self) {
        let peer = {
            let mut state = self.state.lock();
            if state.sent_end || state.phase != Phase::Connected {
                return;
            }
            state.sent_end = true;
            state.first = !state.got_end;
            state.peer.clone()
        };
        if let Some(peer) = peer {
            peer.take_end();
        }
    }

    /// Breaks the connection off from this side: the other learns of it.
    pub(super) fn break_off(&self) {
        let peer = {
            let mut state = self.state.lock();
            state.count_reset();
            state.first = false;
            (state.sent_end, state.got_end) = (true, true);
            state.peer.take()
        };
        if let Some(peer) = peer {
            counts::OUT_RSTS.up();
            // Whoever has been told of the end learns it when it writes.
            let told = peer.state.lock().got_end;
            peer.reset(if told {
                Errno::EPIPE
            } else {
                Errno::ECONNRESET
            });
        }
    }

    /// Ends listening: those who wait to be accepted are reset, those who wait for that refused.
    pub(super) fn stop_listening(&self) {
        let (waiting, pending) = {
            let mut state = self.state.lock();
            if state.phase != Phase::Listening {
                return;
            }
            state.phase = Phase::Closed;
            (
                core::mem::take(&mut state.waiting),
                core::mem::take(&mut state.pending),
            )
        };
        for connection in waiting {
            connection.break_off();
            connection.let_go();
        }
        for client in pending.iter().filter_map(Weak::upgrade) {
            client.refuse();
        }
        self.common.changed();
    }

    /// Gives the port back.
    pub(super) fn let_go(&self) {
        let wait = {
            let state = self.state.lock();
            state.first && state.sent_end
        };
        let port = self.address.lock().local.port;
        give_port(&TCP_PORTS, self.id, port, wait);
    }

    fn close(&self) {
        self.stop_listening();
        let unread = self.inbox.clear();
        let reset = unread || self.common.options().linger == Some(0);
        if reset {
            self.break_off();
        } else {
            self.send_end();
        }
        self.gone.store(true, Ordering::Release);
        self.common.shut_down(SHUT_BOTH);
        self.let_go();
        let peer = self.state.lock().peer.take();
        drop(peer);
        self.common.changed();
    }

    /// Waits until something may be sent.
    fn wait_for_space(&self, patience: Patience) -> Result<Arc<Self>, Errno> {
        let state = || {
            let (phase, peer) = {
                let state = self.state.lock();
                (state.phase, state.peer.clone())
            };
            if let Some(error) = self.common.take_error() {
                return Some(Err(error));
            }
            if self.common.is_shut(SHUT_WRITE) {
                return Some(Err(Errno::EPIPE));
            }
            match (phase, peer) {
                (Phase::Connecting, _) => None,
                (Phase::Connected, Some(peer)) => self.account.has_room().then_some(Ok(peer)),
                _ => Some(Err(Errno::EPIPE)),
            }
        };
        patience.wait(&self.common.writers, state)?
    }

    fn send_part(
        &self,
        src: &mut IoSrc<'_>,
        patience: Patience,
        urgent: bool,
    ) -> Result<usize, Errno> {
        let peer = self.wait_for_space(patience)?;
        let len = src.remaining().min(PART);
        let last = urgent && src.remaining() == len;
        let packet = Packet::take(src, len, Some(&self.account), Extra::default())?;
        let pushed = peer.inbox.push(packet, last, || {
            if peer.gone.load(Ordering::Acquire) {
                Err(Errno::ECONNRESET)
            } else {
                Ok(())
            }
        });
        match pushed {
            // Nobody is there any more. It went off all the same; the answer comes afterwards.
            Err(Errno::ECONNRESET) => {
                let port = peer.address.lock().local.port;
                give_port(&TCP_PORTS, peer.id, port, false);
                self.reset(Errno::EPIPE);
                Ok(len)
            }
            pushed => pushed.map(|()| len),
        }
    }

    fn flow(&self) -> Flow {
        if let Some(error) = self.common.take_error() {
            return Flow::Failed(error);
        }
        if self.common.is_shut(SHUT_READ) {
            return Flow::End;
        }
        match self.phase() {
            Phase::Closed | Phase::Listening => Flow::Failed(Errno::ENOTCONN),
            Phase::Connecting | Phase::Connected => Flow::Open,
        }
    }

    fn recv_urgent(&self, dst: &mut IoDst<'_>, peek: bool) -> Result<usize, Errno> {
        if self.common.options.lock().has(so::OOBINLINE) {
            return Err(Errno::EINVAL);
        }
        let byte = match self.inbox.urgent(peek) {
            Ok(byte) => byte,
            Err(_) if self.is_over() || self.common.is_shut(SHUT_READ) => return Ok(0),
            Err(error) => return Err(error),
        };
        dst.put(&[byte])
    }
}

impl Drop for TcpSock {
    fn drop(&mut self) {
        if !self.gone.load(Ordering::Acquire) {
            self.let_go();
        }
    }
}
