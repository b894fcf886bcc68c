//! Sending and receiving on unix sockets, and what poll says of them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::net::options::so;
use kiln_core::net::{kind, msg};
use kiln_core::num::usize_of32;

use super::{UnixSock, names};
use crate::fs::{Events, File, Watch};
use crate::net::common::{Common, Patience, SHUT_BOTH, SHUT_READ, SHUT_WRITE};
use crate::net::current_creds;
use crate::net::filter::Seen;
use crate::net::inbox::{Flow, StreamRead};
use crate::net::packet::{Extra, Packet, Ucred};
use crate::net::rights::Rights;
use crate::net::socket::{Outgoing, Received};
use crate::vm::{IoDst, IoSrc};

/// Bytes of a stream's packet at most.
const STREAM_PART: usize = 64 * 1024;
/// Messages that a socket lets wait (`net.unix.max_dgram_qlen`).
const MAX_WAITING: usize = 10;

impl UnixSock {
    /// Who sends, where that is said or somebody wants to know.
    fn sender(&self, out: &Outgoing<'_>, peer: &Self) -> Option<Ucred> {
        if out.creds_given || self.wants_creds() || peer.wants_creds() || !peer.has_file() {
            return Some(out.creds.unwrap_or_else(current_creds));
        }
        None
    }

    /// What goes with a message besides its bytes.
    fn extra(&self, files: Vec<Arc<File>>, creds: Option<Ucred>) -> Result<Extra, Errno> {
        Ok(Extra {
            rights: (!files.is_empty())
                .then(|| Rights::new(files))
                .transpose()?,
            creds,
            name: self.name_raw(),
            route: None,
        })
    }

    /// Whether somebody has accepted it.
    fn has_file(&self) -> bool {
        self.common.ino.load(core::sync::atomic::Ordering::Relaxed) != 0
    }

    /// Waits until something may be sent.
    fn wait_for_space(&self, patience: Patience) -> Result<(), Errno> {
        let state = || {
            if let Some(error) = self.common.take_error() {
                return Some(Err(error));
            }
            if self.common.is_shut(SHUT_WRITE) {
                return Some(Err(Errno::EPIPE));
            }
            self.account.has_room().then_some(Ok(()))
        };
        patience.wait(&self.common.writers, state)?
    }

    /// Sends bytes.
    pub(super) fn send_stream(
        &self,
        src: &mut IoSrc<'_>,
        mut out: Outgoing<'_>,
    ) -> Result<usize, Errno> {
        let urgent = out.flags & msg::OOB != 0;
        if urgent && src.remaining() == 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let peer = self.peer_socket();
        if out.to.is_some() {
            return Err(match peer {
                Some(_) => Errno::EISCONN,
                None => Errno::EOPNOTSUPP,
            });
        }
        let peer = peer.ok_or(Errno::ENOTCONN)?;
        if self.common.is_shut(SHUT_WRITE) {
            return Err(Errno::EPIPE);
        }
        let patience = self.common.write_patience(out.nonblocking);
        let creds = self.sender(&out, &peer);
        let (total, mut done) = (src.remaining(), 0);
        while done < total {
            let files = core::mem::take(&mut out.files);
            let step = self.send_part(src, &peer, patience, creds, files, urgent);
            match step {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn send_part(
        &self,
        src: &mut IoSrc<'_>,
        peer: &Arc<Self>,
        patience: Patience,
        creds: Option<Ucred>,
        files: alloc::vec::Vec<Arc<crate::fs::File>>,
        urgent: bool,
    ) -> Result<usize, Errno> {
        self.wait_for_space(patience)?;
        let half = usize_of32(self.common.options.lock().sndbuf / 2).saturating_sub(64);
        let left = src.remaining();
        let mut len = left.min(STREAM_PART).min(half.max(64));
        // The urgent byte is the last one, in a packet of its own.
        if urgent && len == left && len > 1 {
            len -= 1;
        }
        let last = urgent && left == len;
        let extra = self.extra(files, creds)?;
        let packet = Packet::take(src, len, Some(&self.account), extra)?;
        let (common, theirs) = (&self.common, &peer.common);
        peer.inbox.push(packet, last, || {
            let ended = common.is_shut(SHUT_WRITE) || theirs.is_shut(SHUT_READ);
            if ended { Err(Errno::EPIPE) } else { Ok(()) }
        })?;
        Ok(len)
    }

    /// Sends one message.
    pub(super) fn send_message(
        &self,
        src: &mut IoSrc<'_>,
        mut out: Outgoing<'_>,
    ) -> Result<usize, Errno> {
        if out.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.common.kind == kind::SEQPACKET {
            self.common.check_error()?;
            if !self.state.lock().connected {
                return Err(Errno::ENOTCONN);
            }
            out.to = None;
        }
        let to = out.to;
        let default = self.peer_socket();
        if let Some(to) = to {
            // What is wrong with an address is told first.
            kiln_core::net::addr::UnixAddr::parse(to).and_then(|addr| match addr {
                kiln_core::net::addr::UnixAddr::Unnamed => Err(Errno::EINVAL),
                _ => Ok(()),
            })?;
        } else if default.is_none() {
            return Err(Errno::ENOTCONN);
        }
        if self.wants_creds() {
            self.name_itself()?;
        }
        let len = src.remaining();
        if len > usize_of32(self.common.options.lock().sndbuf).saturating_sub(32) {
            return Err(Errno::EMSGSIZE);
        }
        let patience = self.common.write_patience(out.nonblocking);
        self.wait_for_space(patience)?;
        let named = to.is_some();
        let peer = match to {
            Some(to) => names::find(out.lookup, to, self.common.kind)?,
            None => default.ok_or(Errno::ENOTCONN)?,
        };
        let creds = self.sender(&out, &peer);
        let files = core::mem::take(&mut out.files);
        let extra = self.extra(files, creds)?;
        let packet = Packet::take(src, len, Some(&self.account), extra)?;
        self.deliver(&peer, packet, patience, named)?;
        Ok(len)
    }

    /// Puts a message into the other's inbox, waiting for room there.
    fn deliver(
        &self,
        peer: &Arc<Self>,
        packet: Arc<Packet>,
        patience: Patience,
        named: bool,
    ) -> Result<(), Errno> {
        // Who is filtered out learns nothing of it.
        let Some(packet) = peer.common.sieve(packet, Seen::plain)? else {
            return Ok(());
        };
        if !self.may_send_to(peer) {
            return Err(Errno::EPERM);
        }
        let mutual = || {
            let back = peer.peer_socket();
            back.is_some_and(|back| core::ptr::eq(Arc::as_ptr(&back), self))
        };
        let check = || {
            if peer.common.is_shut(SHUT_READ) && !peer.is_dead() {
                return Some(Err(Errno::EPIPE));
            }
            if peer.is_dead() {
                return Some(Err(self.lost(peer, named)));
            }
            let full = peer.inbox.messages() > MAX_WAITING && !mutual();
            (!full).then_some(Ok(()))
        };
        loop {
            patience.wait(&peer.inbox.drained, check)??;
            let theirs = &peer.common;
            let pushed = peer.inbox.push(Arc::clone(&packet), false, || {
                if theirs.is_shut(SHUT_READ) {
                    Err(Errno::EAGAIN)
                } else {
                    Ok(())
                }
            });
            match pushed {
                Err(Errno::EAGAIN) => continue,
                done => return done,
            }
        }
    }

    /// What sending to a closed socket answers; a default is one no more.
    fn lost(&self, peer: &Arc<Self>, named: bool) -> Errno {
        if self.common.kind == kind::SEQPACKET {
            return Errno::EPIPE;
        }
        if !named {
            let old = {
                let mut state = self.state.lock();
                let same = state
                    .peer
                    .as_ref()
                    .is_some_and(|own| Arc::ptr_eq(own, peer));
                state.connected &= !same;
                if same { state.peer.take() } else { None }
            };
            drop(old);
        }
        Errno::ECONNREFUSED
    }

    /// Receives bytes.
    pub(super) fn recv_stream(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        nonblocking: bool,
        received: &mut Received,
    ) -> Result<usize, Errno> {
        if !self.state.lock().connected {
            return Err(Errno::EINVAL);
        }
        let inline = self.common.options.lock().has(so::OOBINLINE);
        if flags & msg::OOB != 0 {
            if inline {
                return Err(Errno::EINVAL);
            }
            let byte = self.inbox.urgent(flags & msg::PEEK != 0)?;
            received.flags |= msg::OOB;
            return dst.put(&[byte]);
        }
        let low_water = usize_of32(self.common.options.lock().rcvlowat);
        let flow = || match self.common.take_error() {
            Some(error) => Flow::Failed(error),
            None if self.common.is_shut(SHUT_READ) => Flow::End,
            None => Flow::Open,
        };
        let read = StreamRead {
            flags,
            patience: self.common.read_patience(nonblocking),
            low_water,
            from: self.common.look_from(flags),
            inline,
            pass_creds: self.wants_creds(),
            flow: &flow,
            interrupted: &|| self.common.has_error() || self.common.is_shut(SHUT_READ),
        };
        let done = self.inbox.read(dst, &read, received)?;
        self.common.looked(flags, done);
        self.fill_in(received);
        Ok(done)
    }

    /// Receives one message.
    pub(super) fn recv_message(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        nonblocking: bool,
        received: &mut Received,
    ) -> Result<usize, Errno> {
        if flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.common.kind == kind::SEQPACKET && !self.state.lock().connected {
            return Err(Errno::ENOTCONN);
        }
        let patience = self.common.read_patience(nonblocking);
        let over = || self.common.reading_is_over();
        let mut from = self.common.look_from(flags);
        let found = self.inbox.message(flags, &mut from, patience, &over)?;
        let Some(packet) = found else {
            return Ok(0);
        };
        let told = &mut received.flags;
        let answer = self.common.give(&packet, dst, flags, from, told)?;
        received.creds = packet.creds;
        received.stamp = packet.stamp;
        received.name.clone_from(&packet.name);
        received.take_rights(&packet, flags & msg::PEEK != 0)?;
        self.fill_in(received);
        Ok(answer)
    }

    /// Who sent it is told where somebody wants to know, and only there.
    fn fill_in(&self, received: &mut Received) {
        received.creds = match self.wants_creds() {
            true => Some(received.creds.unwrap_or(Ucred::UNKNOWN)),
            false => None,
        };
    }

    /// What poll says.
    pub(super) fn poll_state(&self, watch: Option<&mut dyn Watch>) -> Events {
        let (peer, connected, waiting) = {
            let state = self.state.lock();
            let waiting = state.listening.as_ref();
            let waiting = waiting.map(|listener| !listener.waiting.is_empty());
            (state.peer.clone(), state.connected, waiting)
        };
        let messages = !self.has_connections();
        if let Some(watch) = watch {
            self.common.watch(watch);
            if let Some(peer) = peer.as_ref().filter(|_| messages) {
                watch.add_for(&peer.inbox.drained, Common::WRITING);
            }
        }
        let mut events = Events::empty();
        let shut = self.common.shut();
        events.set(Events::ERR, self.common.has_error());
        events.set(Events::HUP, shut == SHUT_BOTH);
        events.set(Events::RDHUP, shut & SHUT_READ != 0);
        let readable = waiting.unwrap_or_else(|| !self.inbox.is_empty());
        events.set(Events::READABLE, readable || shut & SHUT_READ != 0);
        if self.is_stream() {
            events.set(Events::PRI, self.inbox.has_urgent());
        }
        if self.has_connections() && !connected && waiting.is_none() {
            events |= Events::HUP;
        }
        let full = messages
            && peer.is_some_and(|peer| {
                let back = peer.peer_socket();
                let mutual = back.is_some_and(|back| core::ptr::eq(Arc::as_ptr(&back), self));
                !mutual && peer.inbox.messages() > MAX_WAITING
            });
        let writable = waiting.is_none() && self.account.is_writable() && !full;
        events.set(Events::WRITABLE | Events::WRBAND, writable);
        events
    }
}
