//! How connections begin: bind, listen, connect, accept.
//!
//! Who connects makes the other side's end and puts it into the listener's queue, where accept finds
//! it; when the queue is full it waits among the listener's pending ones until accept makes room.

use alloc::sync::{Arc, Weak};
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::addr::{Endpoint, Reach, family_of, reach};
use kiln_core::net::family;

use super::address::{Groups, TCP_PORTS, give_port, take_port};
use super::counts;
use super::tcp::{Phase, State, TcpSock};
use crate::arch::time::now_ns;
use crate::net::common::{Patience, SHUT_BOTH};
use crate::net::socket::Caller;

/// Most who wait for room in a listener's queue.
const MAX_PENDING: usize = 4096;
/// How long an attempt to connect goes on: Linux tries six times, each twice as long.
const CONNECT_NS: u64 = 127_000_000_000;

/// What became of an attempt to connect.
enum Attempt {
    Done,
    /// The listener's queue is full.
    Full,
}

impl TcpSock {
    /// bind(2).
    pub(super) fn bind_to(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let address = self.ends();
        let low = caller.lookup.can(Capability::NetBindService);
        let to = address.check_bind(addr, Groups::V4, low)?;
        if self.phase() != Phase::Closed || address.local.port != 0 {
            return Err(Errno::EINVAL);
        }
        let mut wanted = address;
        wanted.local = to;
        let claim = wanted.claim(&self.common.options());
        let port = take_port(&TCP_PORTS, self.id, claim, Weak::clone(&self.me))?;
        let mut address = self.address.lock();
        address.local = to.with_port(port);
        address.address_bound = !to.is_any();
        address.port_bound = to.port != 0;
        Ok(())
    }

    /// listen(2).
    pub(super) fn start_listening(&self, backlog: usize) -> Result<(), Errno> {
        {
            let mut state = self.state.lock();
            match state.phase {
                Phase::Listening => {
                    state.backlog = backlog;
                    return Ok(());
                }
                Phase::Closed if !state.untold => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        let address = self.ends();
        let mut claim = address.claim(&self.common.options());
        claim.listening = true;
        let port = take_port(&TCP_PORTS, self.id, claim, Weak::clone(&self.me))?;
        self.address.lock().local.port = port;
        self.common.reopen();
        let mut state = self.state.lock();
        state.phase = Phase::Listening;
        state.backlog = backlog;
        Ok(())
    }

    /// accept(2).
    pub(super) fn next_connection(&self, nonblocking: bool) -> Result<Arc<Self>, Errno> {
        let patience = self.common.read_patience(nonblocking);
        let next = patience.wait(&self.common.readers, || {
            let mut state = self.state.lock();
            if state.phase != Phase::Listening {
                return Some(Err(Errno::EINVAL));
            }
            state.waiting.pop_front().map(Ok)
        })??;
        self.let_pending_in();
        Ok(next)
    }

    /// Lets those in who wait for room in the queue, as many as there is room for.
    fn let_pending_in(&self) {
        let Some(me) = self.me.upgrade() else { return };
        loop {
            let client = {
                let mut state = self.state.lock();
                if state.waiting.len() > state.backlog {
                    return;
                }
                state.pending.pop_front()
            };
            let Some(client) = client else { return };
            let Some(client) = client.upgrade() else {
                continue;
            };
            match client.attempt(&me) {
                Ok(Attempt::Done) => {}
                Ok(Attempt::Full) => {
                    let mut state = self.state.lock();
                    if state.pending.try_reserve(1).is_ok() {
                        state.pending.push_front(Weak::clone(&client.me));
                        return;
                    }
                    drop(state);
                    client.refuse();
                }
                Err(_) => client.refuse(),
            }
        }
    }

    /// connect(2).
    pub(super) fn connect_to(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if family_of(addr).ok_or(Errno::EINVAL)? == family::UNSPEC {
            return self.disconnect();
        }
        let patience = self.common.write_patience(caller.nonblocking);
        let (phase, untold) = {
            let state = self.state.lock();
            (state.phase, state.untold)
        };
        match (phase, untold) {
            (Phase::Connecting, _) if patience == Patience::None => return Err(Errno::EALREADY),
            (Phase::Closed, false) => {}
            (_, true) | (Phase::Connecting, _) => return self.outcome(patience),
            (Phase::Listening | Phase::Connected, false) => return Err(Errno::EISCONN),
        }
        self.begin(addr)?;
        if patience == Patience::None {
            return Err(Errno::EINPROGRESS);
        }
        self.outcome(patience)
    }

    /// Begins to connect: chooses addresses and tries.
    fn begin(&self, addr: &[u8]) -> Result<(), Errno> {
        let address = self.ends();
        let to = address.check_peer(addr, false)?;
        if reach(to.ip) != Reach::Local {
            return Err(Errno::ENETUNREACH);
        }
        let source = address.source(to);
        let port = self.claim_for(source, to)?;
        {
            let mut address = self.address.lock();
            address.local = source.with_port(port);
            address.peer = Some(to);
        }
        {
            let mut state = self.state.lock();
            if state.phase != Phase::Closed {
                return Err(Errno::EALREADY);
            }
            (state.phase, state.untold) = (Phase::Connecting, true);
            (state.sent_end, state.got_end, state.first) = (false, false, false);
        }
        self.common.reopen();
        counts::ACTIVE_OPENS.up();
        let local = source.with_port(port);
        if local == to {
            self.meet_itself();
            return Ok(());
        }
        let found = {
            let mut table = TCP_PORTS.lock();
            table.find(to, Some(local), true, false).map(Weak::clone)
        };
        match found.and_then(|listener| listener.upgrade()) {
            Some(listener) => self.knock(&listener),
            None => self.refuse(),
        }
        Ok(())
    }

    /// What it sends reaches itself: it is both ends, unless the attempt was given up meanwhile.
    fn meet_itself(&self) {
        {
            let mut state = self.state.lock();
            if state.phase != Phase::Connecting {
                return;
            }
            (state.phase, state.peer) = (Phase::Connected, self.me.upgrade());
        }
        self.common.changed();
    }

    /// Claims the port that the connection has here.
    fn claim_for(&self, source: Endpoint, to: Endpoint) -> Result<u16, Errno> {
        let mut address = self.ends();
        address.local = source;
        let mut claim = address.claim(&self.common.options());
        claim.peer = Some(to);
        let mut table = TCP_PORTS.lock();
        if source.port != 0 {
            if table.connected(source, to, now_ns()) {
                return Err(Errno::EADDRNOTAVAIL);
            }
            table.enter(self.id, claim, Weak::clone(&self.me))?;
            return Ok(source.port);
        }
        drop(table);
        take_port(&TCP_PORTS, self.id, claim, Weak::clone(&self.me)).map_err(|error| match error {
            Errno::EADDRINUSE => Errno::EADDRNOTAVAIL,
            error => error,
        })
    }

    /// Asks a listener for a connection.
    fn knock(&self, listener: &Arc<Self>) {
        match self.attempt(listener) {
            Ok(Attempt::Done) => {}
            Err(_) => self.refuse(),
            Ok(Attempt::Full) => {
                let mut state = listener.state.lock();
                let room = state.pending.len() < MAX_PENDING;
                if state.phase == Phase::Listening && room && state.pending.try_reserve(1).is_ok() {
                    state.pending.push_back(Weak::clone(&self.me));
                    drop(state);
                    // The queue may have been emptied meanwhile.
                    listener.let_pending_in();
                } else {
                    drop(state);
                    self.refuse();
                }
            }
        }
    }

    /// Makes the other side's end and puts it into the listener's queue.
    fn attempt(&self, listener: &Arc<Self>) -> Result<Attempt, Errno> {
        let me = self.me.upgrade().ok_or(Errno::ECONNREFUSED)?;
        {
            let state = listener.state.lock();
            if state.phase != Phase::Listening {
                return Err(Errno::ECONNREFUSED);
            }
            if state.waiting.len() > state.backlog {
                return Ok(Attempt::Full);
            }
        }
        let end = self.other_end(listener, me)?;
        let joined = {
            let mut state = listener.state.lock();
            join(&mut state, self, &end)
        };
        if !matches!(joined, Ok(Attempt::Done)) {
            let peer = end.state.lock().peer.take();
            drop(peer);
            end.let_go();
            return joined;
        }
        counts::PASSIVE_OPENS.up();
        listener.common.readers.wake_one();
        listener.common.signals.tell(abi::POLL_IN);
        self.common.changed();
        Ok(Attempt::Done)
    }

    /// The end at the listener's side of a connection to this socket.
    fn other_end(&self, listener: &Self, me: Arc<Self>) -> Result<Arc<Self>, Errno> {
        let (own, theirs) = (self.ends(), listener.ends());
        let end = Self::new(theirs.v6)?;
        let options = listener.common.options();
        *end.common.options.lock() = options;
        let local = own.peer.ok_or(Errno::EINVAL)?;
        {
            let mut address = end.address.lock();
            *address = theirs;
            address.accepted = true;
            (address.local, address.peer) = (local, Some(own.local));
        }
        {
            let mut state = end.state.lock();
            state.phase = Phase::Connected;
            state.peer = Some(me);
        }
        if options.sndbuf_set {
            end.account.set_limit(options.sndbuf);
        }
        let mut claim = end.ends().claim(&options);
        claim.peer = Some(own.local);
        TCP_PORTS
            .lock()
            .enter(end.id, claim, Weak::clone(&end.me))?;
        Ok(end)
    }

    /// The attempt to connect has failed.
    pub(super) fn refuse(&self) {
        {
            let mut state = self.state.lock();
            if state.phase != Phase::Connecting {
                return;
            }
            state.phase = Phase::Closed;
        }
        counts::ATTEMPT_FAILS.up();
        counts::OUT_RSTS.up();
        self.common.fail(Errno::ECONNREFUSED);
        self.common.shut_down(SHUT_BOTH);
        self.common.changed();
    }

    /// The attempt to connect is given up from this side.
    pub(super) fn give_up(&self) {
        {
            let mut state = self.state.lock();
            (state.phase, state.untold) = (Phase::Closed, false);
        }
        counts::ATTEMPT_FAILS.up();
        self.forget_peer();
        self.common.changed();
    }

    /// Waits for the end of an attempt to connect, and tells it.
    fn outcome(&self, patience: Patience) -> Result<(), Errno> {
        let limit = now_ns().saturating_add(CONNECT_NS);
        let bounded = match patience {
            Patience::Endless => Patience::Until(limit),
            patience => patience,
        };
        let ended = bounded.wait(&self.common.writers, || {
            let mut state = self.state.lock();
            match state.phase {
                Phase::Connecting => None,
                phase => {
                    state.untold = false;
                    Some(phase)
                }
            }
        });
        match ended {
            Ok(Phase::Connected) => Ok(()),
            Ok(_) => {
                // As good as new: it may try again.
                let error = self.common.take_error();
                self.common.reopen();
                self.forget_peer();
                Err(error.unwrap_or(Errno::ECONNABORTED))
            }
            Err(Errno::EINTR) if patience == Patience::Endless => Err(Errno::ERESTARTSYS),
            Err(Errno::EAGAIN) if patience == Patience::Endless => {
                self.give_up();
                Err(Errno::ETIMEDOUT)
            }
            Err(Errno::EAGAIN) => Err(Errno::EINPROGRESS),
            Err(error) => Err(error),
        }
    }

    /// connect(2) with no family: back to a socket that was never connected.
    fn disconnect(&self) -> Result<(), Errno> {
        let phase = self.phase();
        match phase {
            Phase::Listening => self.stop_listening(),
            Phase::Connected => self.break_off(),
            Phase::Closed | Phase::Connecting => {}
        }
        self.inbox.clear();
        let peer = {
            let mut state = self.state.lock();
            (state.phase, state.untold) = (Phase::Closed, false);
            state.peer.take()
        };
        drop(peer);
        let _ = self.common.take_error();
        if matches!(phase, Phase::Connected | Phase::Connecting) {
            self.common.fail(Errno::ECONNRESET);
        }
        self.common.reopen();
        self.forget_peer();
        self.common.changed();
        Ok(())
    }

    /// Forgets where it was connected to, and what was chosen for that.
    pub(super) fn forget_peer(&self) {
        let address = {
            let mut address = self.address.lock();
            address.peer = None;
            if !address.address_bound {
                let port = address.local.port;
                address.local = Endpoint::unspecified(address.v6).with_port(port);
            }
            *address
        };
        if address.port_bound {
            let claim = address.claim(&self.common.options());
            let _ = TCP_PORTS
                .lock()
                .enter(self.id, claim, Weak::clone(&self.me));
        } else {
            give_port(&TCP_PORTS, self.id, address.local.port, false);
            let mut own = self.address.lock();
            (own.local.port, own.old_port) = (0, address.local.port);
        }
    }
}

/// Connects both ends, the listener's state being locked.
fn join(state: &mut State, client: &TcpSock, end: &Arc<TcpSock>) -> Result<Attempt, Errno> {
    if state.phase != Phase::Listening {
        return Err(Errno::ECONNREFUSED);
    }
    if state.waiting.len() > state.backlog {
        return Ok(Attempt::Full);
    }
    state
        .waiting
        .try_reserve(1)
        .map_err(|_| Errno::ECONNREFUSED)?;
    let mut own = client.state.lock();
    if own.phase != Phase::Connecting {
        return Err(Errno::ECONNREFUSED);
    }
    own.phase = Phase::Connected;
    own.peer = Some(Arc::clone(end));
    drop(own);
    state.waiting.push_back(Arc::clone(end));
    Ok(Attempt::Done)
}
