//! Unix sockets (unix(7)): streams, datagrams, messages in order.
//!
//! | module | what |
//! | --- | --- |
//! | [`names`] | who is bound to which name; every unix socket, for `/proc/net/unix` |
//! | [`connect`] | connect, listen, accept, pairs |
//! | [`transfer`] | sending and receiving |
//!
//! What is sent lies in the receiver's inbox and counts against the sender's account. Locks: a
//! socket's state, then another's inbox; two sockets' states are never held together.

mod connect;
mod names;
mod transfer;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use kiln_core::abi;
use kiln_core::errno::Errno;
use kiln_core::net::addr::UnixAddr;
use kiln_core::net::options::so;
use kiln_core::net::{family, kind};

use super::common::{Common, SHUT_BOTH, SHUT_READ, SHUT_WRITE};
use super::inbox::Inbox;
use super::packet::{Account, Ucred};
use super::rights::{self, Rights};
use super::socket::{Caller, Outgoing, Protocol, Received};
use crate::fs::memory::{try_arc, try_copy, try_zeros};
use crate::fs::{Events, Path, Watch};
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};

pub(super) use connect::pair;
pub(super) use names::list;

/// A unix socket.
pub(crate) struct UnixSock {
    common: Common,
    account: Arc<Account>,
    inbox: Inbox,
    state: SpinLock<State>,
    id: u64,
}

/// What it is bound to.
#[derive(Clone)]
struct Name {
    /// As `getsockname` tells it.
    raw: Arc<Vec<u8>>,
    key: names::Key,
    /// Keeps the name in the file system from being another file's.
    _path: Option<Path>,
}

#[derive(Default)]
struct State {
    name: Option<Name>,
    peer: Option<Arc<UnixSock>>,
    /// It has (or had) a connection: a stream without one is closed.
    connected: bool,
    listening: Option<Listener>,
    /// Who is on the other side, or who listens.
    creds: Option<Maker>,
    /// Its file is closed.
    dead: bool,
}

/// What a socket's other side may learn of who made it.
#[derive(Clone)]
pub(super) struct Maker {
    creds: Ucred,
    /// Supplementary groups, as they are told; `None`: none.
    groups: Option<Arc<Vec<u8>>>,
}

impl Maker {
    pub(super) fn of(caller: &Caller<'_>) -> Result<Self, Errno> {
        let groups = caller.lookup.who.groups;
        let mut maker = Self {
            creds: caller.peer,
            groups: None,
        };
        if !groups.is_empty() {
            let mut raw = try_zeros(groups.len() * 4)?;
            let places = raw.as_chunks_mut::<4>().0;
            for (place, group) in places.iter_mut().zip(groups) {
                *place = group.to_le_bytes();
            }
            maker.groups = Some(try_arc(raw)?);
        }
        Ok(maker)
    }
}

/// Connections that wait to be accepted.
struct Listener {
    waiting: VecDeque<Arc<UnixSock>>,
    backlog: usize,
}

impl UnixSock {
    /// A new socket of this type.
    pub(super) fn new(kind: u32) -> Result<Arc<Self>, Errno> {
        let common = Common::new(family::UNIX, kind, 0)?;
        let limit = common.options().sndbuf;
        let account = Account::new(limit, true, &common.writers)?;
        let inbox = Inbox::new(&common)?;
        let socket = try_arc(Self {
            common,
            account,
            inbox,
            state: SpinLock::new(State::default()),
            id: names::new_id(),
        })?;
        names::enter(&socket)?;
        Ok(socket)
    }

    fn is_stream(&self) -> bool {
        self.common.kind == kind::STREAM
    }

    fn has_connections(&self) -> bool {
        self.common.kind != kind::DGRAM
    }

    fn peer_socket(&self) -> Option<Arc<Self>> {
        self.state.lock().peer.clone()
    }

    fn name_raw(&self) -> Option<Arc<Vec<u8>>> {
        let state = self.state.lock();
        state.name.as_ref().map(|name| Arc::clone(&name.raw))
    }

    fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// Whether who sends is wanted here.
    fn wants_creds(&self) -> bool {
        let options = self.common.options.lock();
        options.has(so::PASSCRED) || options.pass_pidfd()
    }

    /// Looks at the files on their way to here, and to connections that wait to be accepted.
    pub(super) fn each_rights(&self, look: &mut dyn FnMut(&Rights)) {
        self.inbox.each_rights(look);
        let state = self.state.lock();
        if let Some(listener) = &state.listening {
            for waiting in &listener.waiting {
                waiting.inbox.each_rights(look);
            }
        }
    }

    /// Throws away what nobody can receive any more.
    pub(super) fn drop_messages(&self) {
        self.inbox.clear();
        let waiting = {
            let mut state = self.state.lock();
            let listener = state.listening.as_mut();
            listener.map(|listener| core::mem::take(&mut listener.waiting))
        };
        for embryo in waiting.into_iter().flatten() {
            embryo.close(true);
        }
    }

    /// Ends it: the other side is told. A connection that nobody accepted is reset.
    fn close(&self, embryo: bool) {
        let (name, peer, listening) = {
            let mut state = self.state.lock();
            state.dead = true;
            (state.name.take(), state.peer.take(), state.listening.take())
        };
        names::leave(self.id, name.as_ref());
        drop(name);
        self.common.shut_down(SHUT_BOTH);
        let had_data = self.inbox.clear();
        if let Some(peer) = peer {
            if self.has_connections() {
                if had_data || embryo {
                    peer.common.fail(Errno::ECONNRESET);
                }
                peer.inbox.locked(|| peer.common.shut_down(SHUT_BOTH));
                peer.common.ended(abi::POLL_HUP);
            }
            // Who waits for room at the peer's is told that there is another socket less.
            drop(peer);
        }
        for embryo in listening.into_iter().flat_map(|listener| listener.waiting) {
            embryo.close(true);
        }
        self.common.changed();
        self.inbox.drained.wake_all();
    }

    /// As `/proc/net/unix` shows it: references, flags, type, state, number, name.
    pub(super) fn describe_line(&self) -> (u32, u32, u32, u64, Vec<u8>) {
        let state = self.state.lock();
        let listening = state.listening.is_some();
        // `SS_CONNECTED`, `SS_UNCONNECTED`; `__SO_ACCEPTCON`.
        let shown = if state.connected { 3 } else { 1 };
        let flags = if listening { 0x1_0000 } else { 0 };
        let ino = self.common.ino.load(core::sync::atomic::Ordering::Relaxed);
        let mut name = Vec::new();
        if let Some(own) = &state.name
            && let Some(raw) = own.raw.get(2..)
            && name.try_reserve(raw.len() + 1).is_ok()
        {
            match raw.split_first() {
                Some((0, rest)) => {
                    name.push(b'@');
                    name.extend(rest.iter().map(|b| if *b == 0 { b'@' } else { *b }));
                }
                _ => name.extend(raw.iter().filter(|byte| **byte != 0)),
            }
        }
        (flags, self.common.kind, shown, ino, name)
    }
}

/// An address as it is told: without a name, the family alone.
fn told(raw: Option<Arc<Vec<u8>>>) -> Vec<u8> {
    match raw {
        Some(raw) => raw.as_ref().clone(),
        None => UnixAddr::Unnamed.encode(),
    }
}

impl Protocol for UnixSock {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        self.take_name(caller, addr)
    }

    fn connect(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        self.connect_to(caller, addr)
    }

    fn listen(&self, caller: &Caller<'_>, backlog: u32) -> Result<(), Errno> {
        self.start_listening(caller, backlog)
    }

    fn accept(&self, nonblocking: bool) -> Result<Arc<dyn Protocol>, Errno> {
        Ok(self.next_connection(nonblocking)?)
    }

    fn send(&self, src: &mut IoSrc<'_>, out: Outgoing<'_>) -> Result<usize, Errno> {
        match self.common.kind {
            kind::STREAM => self.send_stream(src, out),
            _ => self.send_message(src, out),
        }
    }

    fn recv(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        nonblocking: bool,
        received: &mut Received,
    ) -> Result<usize, Errno> {
        match self.common.kind {
            kind::STREAM => self.recv_stream(dst, flags, nonblocking, received),
            _ => self.recv_message(dst, flags, nonblocking, received),
        }
    }

    fn shutdown(&self, how: u32) -> Result<(), Errno> {
        self.inbox.locked(|| self.common.shut_down(how));
        if self.has_connections()
            && let Some(peer) = self.peer_socket()
        {
            let mut other = 0;
            if how & SHUT_READ != 0 {
                other |= SHUT_WRITE;
            }
            if how & SHUT_WRITE != 0 {
                other |= SHUT_READ;
            }
            peer.inbox.locked(|| peer.common.shut_down(other));
            peer.common.ended(peer.common.end_reason());
        }
        self.common.changed();
        // Those who wait for room here learn that there will be none.
        self.inbox.drained.wake_all();
        Ok(())
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        Ok(told(self.name_raw()))
    }

    fn peer(&self) -> Result<Vec<u8>, Errno> {
        let peer = self.peer_socket().ok_or(Errno::ENOTCONN)?;
        Ok(told(peer.name_raw()))
    }

    fn get_option(&self, level: i32, name: u32, _: usize) -> Result<Vec<u8>, Errno> {
        if level != kiln_core::net::level::SOCKET {
            return Err(Errno::ENOPROTOOPT);
        }
        let known = self.state.lock().creds.clone();
        if name == so::PEERGROUPS {
            let groups = known.ok_or(Errno::ENODATA)?.groups;
            return try_copy(groups.as_deref().map_or(&[], Vec::as_slice));
        }
        let none = Ucred {
            pid: 0,
            uid: u32::MAX,
            gid: u32::MAX,
        };
        try_copy(&known.map_or(none, |known| known.creds).encode())
    }

    fn option_changed(&self) {
        self.account.set_limit(self.common.options().sndbuf);
    }

    fn queued(&self) -> Result<(usize, usize), Errno> {
        if self.is_listening() {
            return Err(Errno::EINVAL);
        }
        let waiting = match self.common.kind {
            kind::DGRAM => self.inbox.first_len(),
            _ => self.inbox.bytes(),
        };
        Ok((waiting, self.account.used()))
    }

    fn at_mark(&self) -> Result<bool, Errno> {
        match self.is_stream() {
            true => Ok(self.inbox.at_mark()),
            false => Err(Errno::ENOTTY),
        }
    }

    fn poll(&self, watch: Option<&mut dyn Watch>) -> Events {
        self.poll_state(watch)
    }

    fn is_listening(&self) -> bool {
        self.state.lock().listening.is_some()
    }

    fn release(&self) {
        self.close(false);
        rights::collect();
    }

    fn unix(self: Arc<Self>) -> Option<Arc<UnixSock>> {
        Some(self)
    }
}

impl Drop for UnixSock {
    fn drop(&mut self) {
        let name = self.state.lock().name.take();
        names::leave(self.id, name.as_ref());
    }
}

/// Nobody, for tables.
type Known = Weak<UnixSock>;
