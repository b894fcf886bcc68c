//! What the calls on a UDP socket do: [`Protocol`] for [`DgramSock`].

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::Ordering;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::addr::{Reach, family_of};
use kiln_core::net::{cmsg, family, msg};

use super::{DgramSock, MAX_V4, MAX_V6};
use crate::fs::memory::{try_arc, try_push};
use crate::fs::{Events, Watch};
use crate::net::common::{Common, SHUT_BOTH, SHUT_READ, SHUT_WRITE};
use crate::net::inet::address::{Groups, give_port, take_port};
use crate::net::inet::counts;
use crate::net::inet::{control, options, raw};
use crate::net::packet::{Extra, Packet, Route};
use crate::net::socket::{Caller, Outgoing, Protocol, Received};
use crate::vm::{IoDst, IoSrc};

/// A datagram of so many bytes.
fn take(src: &mut IoSrc<'_>, len: usize, route: Route) -> Result<Arc<Packet>, Errno> {
    let extra = Extra {
        route: Some(route),
        ..Extra::default()
    };
    Packet::take(src, len, None, extra)
}

impl DgramSock {
    /// Sends what there is as one datagram, or as several of `segment` bytes each.
    fn send_parts(
        &self,
        src: &mut IoSrc<'_>,
        mut route: Route,
        reach: Reach,
        mut segment: u16,
    ) -> Result<(), Errno> {
        let found = (reach == Reach::Local)
            .then(|| self.receiver(&route))
            .flatten();
        // Taken as one, or by nobody.
        if segment != 0 && reach == Reach::Local && found.as_ref().is_none_or(|it| it.gathers()) {
            route.segment = core::mem::take(&mut segment);
        }
        if segment == 0 {
            let packet = take(src, src.remaining(), route)?;
            return self.deliver(&packet, &route, reach, found.as_deref());
        }
        // All are taken before the first goes.
        let mut packets = Vec::new();
        while src.remaining() > 0 {
            let part = src.remaining().min(segment.into());
            try_push(&mut packets, take(src, part, route)?)?;
        }
        for packet in &packets {
            self.deliver(packet, &route, reach, found.as_deref())?;
        }
        Ok(())
    }
}

impl Protocol for DgramSock {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if self.is_raw() {
            return raw::bind(self, addr);
        }
        let address = self.ends();
        let ping = self.is_ping();
        let low = ping || caller.lookup.can(Capability::NetBindService);
        let groups = if ping { Groups::None } else { Groups::All };
        let to = address.check_bind(addr, groups, low)?;
        if address.local.port != 0 {
            return Err(Errno::EINVAL);
        }
        let mut wanted = address;
        wanted.local = to;
        let claim = wanted.claim(&self.common.options());
        let port = take_port(self.ports, self.id, claim, Weak::clone(&self.me))?;
        let mut address = self.address.lock();
        address.local = to.with_port(port);
        address.address_bound = !to.is_any();
        address.port_bound = to.port != 0;
        Ok(())
    }

    fn connect(&self, _: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if family_of(addr).ok_or(Errno::EINVAL)? == family::UNSPEC {
            return self.disconnect();
        }
        let to = self.ends().check_peer(addr, true)?;
        self.check_reach(to)?;
        self.need_port()?;
        {
            let mut address = self.address.lock();
            let source = address.source(to);
            if address.local.is_any() {
                address.local = source;
            }
            address.peer = Some(to);
        }
        self.enter();
        Ok(())
    }

    fn send(&self, src: &mut IoSrc<'_>, out: Outgoing<'_>) -> Result<usize, Errno> {
        let len = src.remaining();
        if len > 0xFFFF {
            return Err(Errno::EMSGSIZE);
        }
        if self.is_raw() || self.is_ping() {
            return raw::send(self, src, &out);
        }
        // Who tries to send has a port from then on.
        self.need_port()?;
        // IPv6 minds nothing that it doesn't know.
        if out.flags & msg::OOB != 0 && !self.address.lock().v6 {
            return Err(Errno::EOPNOTSUPP);
        }
        let to = self.destination(&out)?;
        if to.port == 0 {
            return Err(Errno::EINVAL);
        }
        let reach = self.check_reach(to)?;
        let most = match to.ip {
            IpAddr::V4(_) => MAX_V4,
            IpAddr::V6(_) => MAX_V6,
        };
        if len > most {
            return Err(Errno::EMSGSIZE);
        }
        self.common.check_error()?;
        if self.common.is_shut(SHUT_WRITE) {
            return Err(Errno::EPIPE);
        }
        let segment = self.segment(&out, len)?;
        self.send_parts(src, self.route(to, &out), reach, segment)?;
        Ok(len)
    }

    fn recv(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        nonblocking: bool,
        received: &mut Received,
    ) -> Result<usize, Errno> {
        if flags & msg::ERRQUEUE != 0 {
            return self.recv_error(dst, received);
        }
        let patience = self.common.read_patience(nonblocking);
        let over = || self.common.reading_is_over();
        let mut from = self.common.look_from(flags);
        let found = self.inbox.message(flags, &mut from, patience, &over)?;
        let Some(packet) = found else {
            return Ok(0);
        };
        if flags & msg::PEEK == 0 {
            self.count(&packet, &counts::IN_DATAGRAMS);
        }
        let told = &mut received.flags;
        let answer = self.common.give(&packet, dst, flags, from, told)?;
        received.stamp = packet.stamp;
        if let Some(route) = packet.route {
            let v6 = self.ends().v6;
            received.name = Some(try_arc(route.from.encode(v6))?);
        }
        received.packet = Some(packet);
        Ok(answer)
    }

    fn shutdown(&self, how: u32) -> Result<(), Errno> {
        self.common.shut_down(how);
        self.common.changed();
        match self.address.lock().peer {
            Some(_) => Ok(()),
            None => Err(Errno::ENOTCONN),
        }
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        let address = self.ends();
        Ok(address.local.encode(address.v6))
    }

    fn peer(&self) -> Result<Vec<u8>, Errno> {
        let address = self.ends();
        let peer = address.peer.filter(|peer| peer.port != 0);
        Ok(peer.ok_or(Errno::ENOTCONN)?.encode(address.v6))
    }

    fn set_option(
        &self,
        caller: &Caller<'_>,
        level: i32,
        name: u32,
        value: &[u8],
    ) -> Result<(), Errno> {
        options::set_udp(self, caller, level, name, value)
    }

    fn get_option(&self, level: i32, name: u32, room: usize) -> Result<Vec<u8>, Errno> {
        options::get_udp(self, level, name, room)
    }

    fn option_changed(&self) {
        let options = self.common.options();
        let claim = self.ends().claim(&options);
        self.ports.lock().change(self.id, claim.local.port, |own| {
            (own.reuse_addr, own.reuse_port) = (claim.reuse_addr, claim.reuse_port);
        });
    }

    fn describe(&self, received: &Received, control: &mut cmsg::Builder) {
        control::describe(&self.ends(), received, control);
    }

    fn queued(&self) -> Result<(usize, usize), Errno> {
        Ok((self.inbox.first_len(), 0))
    }

    fn poll(&self, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            self.common.watch(watch);
        }
        let shut = self.common.shut();
        let mut events = Events::WRITABLE | Events::WRBAND;
        events.set(
            Events::ERR,
            self.common.has_error() || !self.errors.is_empty(),
        );
        events.set(Events::HUP, shut == SHUT_BOTH);
        events.set(Events::RDHUP, shut & SHUT_READ != 0);
        let readable = !self.inbox.is_empty() || shut & SHUT_READ != 0;
        events.set(Events::READABLE, readable);
        events
    }

    fn release(&self) {
        self.gone.store(true, Ordering::Release);
        match self.is_raw() {
            true => raw::leave(self),
            false => {
                let port = self.address.lock().local.port;
                give_port(self.ports, self.id, port, false);
            }
        }
        self.inbox.clear();
        self.errors.clear();
        self.common.changed();
    }
}
