//! Connections of unix sockets: connect, listen, accept, and pairs that are born connected.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::net::addr::family_of;
use kiln_core::net::{family, kind};
use kiln_core::num::usize_of32;

use super::{Listener, Maker, UnixSock, names};
use crate::net::common::{Patience, SHUT_READ};
use crate::net::socket::Caller;

/// Two sockets connected to each other.
pub(in crate::net) fn pair(
    kind: u32,
    caller: &Caller<'_>,
) -> Result<(Arc<UnixSock>, Arc<UnixSock>), Errno> {
    let known = Maker::of(caller)?;
    let (one, other) = (UnixSock::new(kind)?, UnixSock::new(kind)?);
    for (this, that) in [(&one, &other), (&other, &one)] {
        let mut state = this.state.lock();
        state.peer = Some(Arc::clone(that));
        state.connected = true;
        state.creds = Some(known.clone());
    }
    Ok((one, other))
}

impl UnixSock {
    /// listen(2).
    pub(super) fn start_listening(&self, caller: &Caller<'_>, backlog: u32) -> Result<(), Errno> {
        if !self.has_connections() {
            return Err(Errno::EOPNOTSUPP);
        }
        let known = Maker::of(caller)?;
        let mut state = self.state.lock();
        if state.name.is_none() || state.connected {
            return Err(Errno::EINVAL);
        }
        let backlog = usize_of32(backlog);
        match &mut state.listening {
            Some(listener) => listener.backlog = backlog,
            None => {
                state.listening = Some(Listener {
                    waiting: VecDeque::new(),
                    backlog,
                });
            }
        }
        state.creds = Some(known);
        drop(state);
        self.common.writers.wake_all();
        Ok(())
    }

    /// accept(2).
    pub(super) fn next_connection(&self, nonblocking: bool) -> Result<Arc<Self>, Errno> {
        if !self.has_connections() {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.state.lock().listening.is_none() {
            return Err(Errno::EINVAL);
        }
        let patience = self.common.read_patience(nonblocking);
        let next = patience.wait(&self.common.readers, || {
            let mut state = self.state.lock();
            let Some(listener) = &mut state.listening else {
                return Some(Err(Errno::EINVAL));
            };
            match listener.waiting.pop_front() {
                Some(next) => Some(Ok(next)),
                None if self.common.is_shut(SHUT_READ) => Some(Err(Errno::EINVAL)),
                None => None,
            }
        })??;
        self.common.writers.wake_all();
        Ok(next)
    }

    /// connect(2).
    pub(super) fn connect_to(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if self.common.kind == kind::DGRAM {
            return self.set_default(caller, addr);
        }
        let patience = self.common.write_patience(caller.nonblocking);
        if self.wants_creds() {
            self.name_itself()?;
        }
        loop {
            let listener = names::find(Some(caller.lookup), addr, self.common.kind)?;
            if !may_connect(&listener)? {
                wait_for_room(&listener, patience)?;
                continue;
            }
            {
                let state = self.state.lock();
                if state.listening.is_some() {
                    return Err(Errno::EINVAL);
                }
                if state.connected {
                    return Err(Errno::EISCONN);
                }
            }
            if self.join(&listener, Maker::of(caller)?)? {
                return Ok(());
            }
        }
    }

    /// Puts a connection into the listener's queue; false when there was no room after all.
    fn join(&self, listener: &Arc<Self>, own: Maker) -> Result<bool, Errno> {
        let embryo = Self::new(self.common.kind)?;
        let me = names::own(self)?;
        let (name, creds) = {
            let state = listener.state.lock();
            (state.name.clone(), state.creds.clone())
        };
        {
            let mut state = embryo.state.lock();
            state.name = name;
            state.peer = Some(me);
            state.connected = true;
            state.creds = Some(own);
        }
        let refused = {
            let mut state = listener.state.lock();
            match &mut state.listening {
                None => Some(Err(Errno::ECONNREFUSED)),
                Some(queue) if queue.waiting.len() > queue.backlog => Some(Ok(false)),
                Some(queue) => match self.enqueue(queue, &embryo, creds) {
                    Ok(true) => None,
                    other => Some(other),
                },
            }
        };
        if let Some(refused) = refused {
            // The other side of the connection isn't one: nobody is told of its end.
            let peer = embryo.state.lock().peer.take();
            drop(peer);
            return refused;
        }
        listener.common.readers.wake_one();
        listener.common.signals.tell(abi::POLL_IN);
        self.common.writers.wake_all();
        Ok(true)
    }

    fn enqueue(
        &self,
        queue: &mut Listener,
        embryo: &Arc<Self>,
        creds: Option<Maker>,
    ) -> Result<bool, Errno> {
        queue.waiting.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let linked = self.link(embryo, creds)?;
        if linked {
            queue.waiting.push_back(Arc::clone(embryo));
        }
        Ok(linked)
    }

    /// Connects this side; the listener's state is locked. False when this one's is too: two that
    /// begin to listen while they connect to each other mustn't wait for each other.
    fn link(&self, embryo: &Arc<Self>, creds: Option<Maker>) -> Result<bool, Errno> {
        let Some(mut state) = self.state.try_lock() else {
            return Ok(false);
        };
        if state.listening.is_some() || state.dead {
            return Err(Errno::EINVAL);
        }
        if state.connected {
            return Err(Errno::EISCONN);
        }
        state.peer = Some(Arc::clone(embryo));
        state.connected = true;
        state.creds = creds;
        Ok(true)
    }

    /// Where a datagram socket sends to from now on, or with no family nowhere.
    fn set_default(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let family = family_of(addr).ok_or(Errno::EINVAL)?;
        let peer = match family {
            family::UNSPEC => None,
            _ => {
                if self.wants_creds() {
                    self.name_itself()?;
                }
                let peer = names::find(Some(caller.lookup), addr, kind::DGRAM)?;
                if !self.may_send_to(&peer) {
                    return Err(Errno::EPERM);
                }
                Some(peer)
            }
        };
        let connects = peer.is_some();
        let old = {
            let mut state = self.state.lock();
            state.connected = connects;
            core::mem::replace(&mut state.peer, peer)
        };
        let differs = {
            let new = self.peer_socket();
            match (&old, &new) {
                (Some(old), Some(new)) => !Arc::ptr_eq(old, new),
                (Some(_), None) => true,
                (None, _) => false,
            }
        };
        if differs {
            self.forsake(old.as_ref());
        }
        self.common.writers.wake_all();
        Ok(())
    }

    /// The former peer of a datagram socket: what it sent here is gone, and it is told.
    fn forsake(&self, old: Option<&Arc<Self>>) {
        self.inbox.clear();
        let Some(old) = old else { return };
        let back = old.peer_socket();
        if back.is_some_and(|back| core::ptr::eq(Arc::as_ptr(&back), self)) {
            old.common.fail(Errno::ECONNRESET);
            old.common.changed();
        }
    }

    /// Whether the other takes messages from this one: it isn't connected to a third.
    pub(super) fn may_send_to(&self, other: &Self) -> bool {
        let peer = other.peer_socket();
        peer.is_none_or(|peer| core::ptr::eq(Arc::as_ptr(&peer), self))
    }
}

/// Whether the listener has room; ECONNREFUSED when it doesn't listen.
fn may_connect(listener: &UnixSock) -> Result<bool, Errno> {
    let state = listener.state.lock();
    let Some(queue) = &state.listening else {
        return Err(Errno::ECONNREFUSED);
    };
    if listener.common.is_shut(SHUT_READ) {
        return Err(Errno::ECONNREFUSED);
    }
    Ok(queue.waiting.len() <= queue.backlog)
}

fn wait_for_room(listener: &UnixSock, patience: Patience) -> Result<(), Errno> {
    patience.wait(&listener.common.writers, || match may_connect(listener) {
        Ok(false) => None,
        _ => Some(()),
    })
}
