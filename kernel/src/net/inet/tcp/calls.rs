//! What the calls on a TCP socket do: [`Protocol`] for [`TcpSock`].

use alloc::sync::Arc;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::net::addr::Endpoint;
use kiln_core::net::msg;
use kiln_core::net::options::{TCP_RCVBUF, so};
use kiln_core::num::usize_of32;

use super::super::address::TCP_PORTS;
use super::super::options;
use super::{PART, Phase, TcpSock};
use crate::fs::{Events, Watch};
use crate::net::common::{Common, SHUT_BOTH, SHUT_READ, SHUT_WRITE};
use crate::net::inbox::StreamRead;
use crate::net::socket::{Caller, Outgoing, Protocol, Received};
use crate::vm::{IoDst, IoSrc};

impl Protocol for TcpSock {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        self.bind_to(caller, addr)
    }

    fn connect(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        self.connect_to(caller, addr)
    }

    fn listen(&self, _: &Caller<'_>, backlog: u32) -> Result<(), Errno> {
        self.start_listening(usize_of32(backlog))
    }

    fn accept(&self, nonblocking: bool) -> Result<Arc<dyn Protocol>, Errno> {
        Ok(self.next_connection(nonblocking)?)
    }

    fn send(&self, src: &mut IoSrc<'_>, out: Outgoing<'_>) -> Result<usize, Errno> {
        if out.to.is_some() && self.phase() != Phase::Connected && out.flags & msg::FASTOPEN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let patience = self.common.write_patience(out.nonblocking);
        let urgent = out.flags & msg::OOB != 0;
        let total = src.remaining();
        if total == 0 {
            return self.wait_for_space(patience).map(|_| 0);
        }
        let mut done = 0;
        while done < total {
            match self.send_part(src, patience, urgent) {
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn recv(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        nonblocking: bool,
        received: &mut Received,
    ) -> Result<usize, Errno> {
        if flags & msg::ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        if self.phase() == Phase::Listening {
            return Err(Errno::ENOTCONN);
        }
        if flags & msg::OOB != 0 {
            received.flags |= msg::OOB;
            return self.recv_urgent(dst, flags & msg::PEEK != 0);
        }
        let options = self.common.options();
        let read = StreamRead {
            flags,
            patience: self.common.read_patience(nonblocking),
            low_water: usize_of32(options.rcvlowat),
            from: self.common.look_from(flags),
            inline: options.has(so::OOBINLINE),
            pass_creds: false,
            flow: &|| self.flow(),
            interrupted: &|| {
                self.common.has_error()
                    || self.common.is_shut(SHUT_READ)
                    || self.phase() == Phase::Closed
            },
        };
        if flags & msg::TRUNC != 0 {
            // Bytes are thrown away rather than copied (tcp(7)).
            let mut scratch = crate::fs::memory::try_zeros(dst.remaining().min(PART))?;
            return self
                .inbox
                .read(&mut IoDst::kernel(&mut scratch), &read, received);
        }
        let done = self.inbox.read(dst, &read, received)?;
        self.common.looked(flags, done);
        Ok(done)
    }

    fn shutdown(&self, how: u32) -> Result<(), Errno> {
        match self.phase() {
            Phase::Listening if how & SHUT_READ != 0 => {
                self.stop_listening();
                self.forget_peer();
                return Ok(());
            }
            Phase::Listening => return Ok(()),
            Phase::Closed => {
                self.common.shut_down(how);
                self.common.changed();
                return Err(Errno::ENOTCONN);
            }
            Phase::Connecting => {
                self.common.fail(Errno::ECONNRESET);
                self.give_up();
                return Ok(());
            }
            Phase::Connected => {}
        }
        if self.is_over() {
            return Err(Errno::ENOTCONN);
        }
        self.inbox.locked(|| self.common.shut_down(how));
        if how & SHUT_WRITE != 0 {
            self.send_end();
        }
        self.common.changed();
        Ok(())
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        let address = self.ends();
        Ok(address.shown().encode(address.v6))
    }

    fn peer(&self) -> Result<Vec<u8>, Errno> {
        if self.phase() != Phase::Connected || self.is_over() {
            return Err(Errno::ENOTCONN);
        }
        let address = self.ends();
        let peer: Endpoint = address.peer.ok_or(Errno::ENOTCONN)?;
        Ok(peer.encode(address.v6))
    }

    fn set_option(
        &self,
        caller: &Caller<'_>,
        level: i32,
        name: u32,
        value: &[u8],
    ) -> Result<(), Errno> {
        options::set_tcp(self, caller, level, name, value)
    }

    fn get_option(&self, level: i32, name: u32, room: usize) -> Result<Vec<u8>, Errno> {
        options::get_tcp(self, level, name, room)
    }

    fn option_changed(&self) {
        let options = self.common.options();
        if options.sndbuf_set {
            let limit = options.sndbuf.saturating_add(TCP_RCVBUF);
            self.account.set_limit(limit);
        }
        let claim = self.ends().claim(&options);
        if claim.local.port != 0 {
            TCP_PORTS.lock().change(self.id, claim.local.port, |own| {
                (own.reuse_addr, own.reuse_port) = (claim.reuse_addr, claim.reuse_port);
            });
        }
        // A lower mark may be reached already.
        self.common.readers.wake_all();
    }

    fn queued(&self) -> Result<(usize, usize), Errno> {
        match self.phase() {
            Phase::Listening => Err(Errno::EINVAL),
            _ => Ok((self.inbox.bytes(), self.unread().saturating_sub(PART))),
        }
    }

    fn at_mark(&self) -> Result<bool, Errno> {
        Ok(self.inbox.at_mark())
    }

    fn poll(&self, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            self.common.watch(watch);
        }
        let (phase, waiting) = {
            let state = self.state.lock();
            (state.phase, !state.waiting.is_empty())
        };
        if phase == Phase::Listening {
            return if waiting {
                Events::READABLE
            } else {
                Events::empty()
            };
        }
        let shut = self.common.shut();
        let options = self.common.options();
        let inline = options.has(so::OOBINLINE);
        let mut events = Events::empty();
        events.set(Events::ERR, self.common.has_error());
        events.set(Events::HUP, shut == SHUT_BOTH || phase == Phase::Closed);
        events.set(Events::RDHUP, shut & SHUT_READ != 0);
        let enough = self.inbox.bytes() >= usize_of32(options.rcvlowat);
        let readable = enough && self.inbox.has_plain(inline) || shut & SHUT_READ != 0;
        events.set(Events::READABLE, readable);
        events.set(Events::PRI, self.inbox.has_urgent());
        let open = phase != Phase::Connecting;
        let writable = shut & SHUT_WRITE != 0 || self.account.stream_is_writable();
        events.set(Events::WRITABLE, open && writable);
        events
    }

    fn is_listening(&self) -> bool {
        self.phase() == Phase::Listening
    }

    fn release(&self) {
        self.close();
    }
}
