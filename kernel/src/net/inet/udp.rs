//! [`DgramSock`]: UDP over the loopback interface. A datagram is in the receiver's inbox when send
//! returns, or nowhere: when the inbox is full it is lost, and when nobody has the port a connected
//! sender learns it by ECONNREFUSED. The calls are in [`calls`].
//!
//! Raw sockets and those that ping are sockets of datagrams as well: what they send otherwise is in [`super::raw`].

mod calls;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kiln_core::errno::Errno;
use kiln_core::net::addr::{Endpoint, Reach, family_of, reach};
use kiln_core::net::inet::{ip as ip_option, ipv6, udp};
use kiln_core::net::ip;
use kiln_core::net::options::so;
use kiln_core::net::{family, kind, level, msg};
use kiln_core::num::usize_of32;

use super::address::{
    Address, PING_PORTS, UDP_LITE_PORTS, UDP_PORTS, UdpPorts, give_port, new_id, take_port,
};
use super::counts::{self, Count};
use super::raw::{self, ByHand};
use crate::fs::memory::{try_arc, try_push};
use crate::mm::kmem;
use crate::net::common::Common;
use crate::net::filter::Seen;
use crate::net::inbox::Inbox;
use crate::net::packet::{Packet, Route};
use crate::net::socket::{Outgoing, Received};
use crate::sync::SpinLock;
use crate::vm::IoDst;

/// Most bytes of a datagram (ip(7): 65535 with the headers).
const MAX_V4: usize = 65_507;
const MAX_V6: usize = 65_527;
/// Most datagrams that one send may become (linux/udp.h, `UDP_MAX_SEGMENTS`).
const MAX_SEGMENTS: usize = 128;
/// Most failed datagrams that are kept for `MSG_ERRQUEUE`.
const MAX_ERRORS: usize = 64;

/// Who gets what comes for `to`.
pub(super) fn find(
    ports: &'static UdpPorts,
    to: Endpoint,
    from: Option<Endpoint>,
) -> Option<Arc<DgramSock>> {
    let mut table = ports.lock();
    let found = table.find(to, from, false, true).map(Weak::clone);
    drop(table);
    found?.upgrade()
}

/// A socket of datagrams.
pub(in crate::net) struct DgramSock {
    me: Weak<Self>,
    common: Common,
    inbox: Inbox,
    /// Datagrams that came back (`IP_RECVERR`).
    errors: Inbox,
    pub(super) address: SpinLock<Address>,
    pub(super) groups: SpinLock<Vec<IpAddr>>,
    /// What only raw sockets have.
    pub(super) by_hand: SpinLock<ByHand>,
    gone: AtomicBool,
    /// Datagrams that found no room.
    dropped: AtomicU32,
    id: u64,
    ports: &'static UdpPorts,
}

impl DgramSock {
    /// A new socket of a protocol: UDP, UDP-Lite, whose partial checksums nothing here needs, ICMP, or
    /// with the type `SOCK_RAW` any.
    pub(in crate::net) fn new(v6: bool, kind: u32, protocol: u16) -> Result<Arc<Self>, Errno> {
        let family = if v6 { family::INET6 } else { family::INET };
        let common = Common::new(family, kind, protocol.into())?;
        let inbox = Inbox::new(&common)?;
        let errors = Inbox::new(&common)?;
        let size = size_of::<Self>() + 2 * size_of::<usize>();
        let _charge = kmem::charge(size).map_err(|_| Errno::ENOBUFS)?;
        let mut address = Address::new(v6);
        if kind == kind::RAW {
            // It is told where others tell their port.
            address.local.port = protocol;
            address.port_bound = true;
        }
        // What isn't UDP's has it from the beginning (`INET_PROTOSW_REUSE`).
        let reuse = kind == kind::RAW || protocol == raw::icmp(v6);
        common.options.lock().switch(so::REUSEADDR, reuse);
        let made = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            common,
            inbox,
            errors,
            address: SpinLock::new(address),
            groups: SpinLock::new(Vec::new()),
            by_hand: SpinLock::new(ByHand::new(v6, protocol)),
            gone: AtomicBool::new(false),
            dropped: AtomicU32::new(0),
            id: new_id(),
            ports: match protocol {
                raw::UDPLITE => &UDP_LITE_PORTS,
                ip::UDP => &UDP_PORTS,
                _ => &PING_PORTS,
            },
        });
        if kind == kind::RAW {
            raw::enter(&made)?;
        }
        Ok(made)
    }

    /// Whether it is a raw one.
    pub(super) fn is_raw(&self) -> bool {
        self.common.kind == kind::RAW
    }

    /// Whether it asks for echoes.
    pub(super) fn is_ping(&self) -> bool {
        !self.is_raw() && matches!(self.protocol(), ip::ICMP | ip::ICMPV6)
    }

    /// Its protocol.
    pub(super) fn protocol(&self) -> u16 {
        u16::try_from(self.common.protocol).unwrap_or(0)
    }

    /// The addresses of both ends.
    pub(in crate::net) fn ends(&self) -> Address {
        *self.address.lock()
    }

    /// What it has like every socket.
    pub(in crate::net) fn shared(&self) -> &Common {
        &self.common
    }

    /// Bytes that wait.
    pub(in crate::net) fn held(&self) -> usize {
        self.inbox.held()
    }

    /// Datagrams that found no room.
    pub(in crate::net) fn drops(&self) -> u32 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes a port that is free, unless it has one.
    pub(super) fn need_port(&self) -> Result<(), Errno> {
        let address = self.ends();
        if address.local.port != 0 {
            return Ok(());
        }
        let claim = address.claim(&self.common.options());
        let port = take_port(self.ports, self.id, claim, Weak::clone(&self.me));
        let port = port.map_err(|error| match error {
            Errno::EADDRINUSE => Errno::EAGAIN,
            error => error,
        })?;
        self.address.lock().local.port = port;
        Ok(())
    }

    /// Enters what it is bound and connected to now.
    fn enter(&self) {
        // An echo comes from whoever was asked, whomever it is connected to.
        if self.is_ping() {
            return;
        }
        let address = self.ends();
        self.ports
            .lock()
            .change(self.id, address.local.port, |own| {
                (own.local, own.peer) = (address.local, address.peer);
            });
    }

    /// EACCES, ENETUNREACH: what is wrong with a destination.
    pub(super) fn check_reach(&self, to: Endpoint) -> Result<Reach, Errno> {
        let reach = reach(to.ip);
        match reach {
            Reach::Local => {}
            Reach::Broadcast if self.common.options.lock().has(so::BROADCAST) => {}
            Reach::Broadcast => return Err(Errno::EACCES),
            Reach::Multicast => {
                let device = self.common.options.lock().device != 0;
                if !device && !self.address.lock().multicast_if {
                    return Err(Errno::ENETUNREACH);
                }
            }
            Reach::Nowhere => return Err(Errno::ENETUNREACH),
        }
        Ok(reach)
    }

    /// Where a datagram goes: to the address given, or where it is connected to.
    pub(super) fn destination(&self, out: &Outgoing<'_>) -> Result<Endpoint, Errno> {
        let address = self.ends();
        match out.to {
            Some(raw) if family_of(raw) == Some(family::UNSPEC) && !address.v6 => {
                let to = Endpoint::read(raw, false).ok_or(Errno::EINVAL)?;
                Ok(to)
            }
            Some(raw) if family_of(raw) == Some(family::UNSPEC) => {
                address.peer.ok_or(Errno::EDESTADDRREQ)
            }
            Some(raw) => address.check_peer(raw, !self.is_raw() && !self.is_ping()),
            None => address.peer.ok_or(Errno::EDESTADDRREQ),
        }
    }

    pub(super) fn route(&self, to: Endpoint, out: &Outgoing<'_>) -> Route {
        let address = self.ends();
        let v6 = matches!(to.ip, IpAddr::V6(_));
        let mut from = address.source(to);
        if let Some(ip) = out.from {
            from.ip = ip;
        }
        Route {
            from,
            to: to.ip,
            port: to.port,
            tos: out.tos.unwrap_or_else(|| address.options.service(v6)),
            ttl: match (out.ttl, reach(to.ip)) {
                (Some(ttl), _) => ttl,
                (None, Reach::Multicast) => 1,
                (None, _) => address.options.hops(v6),
            },
            segment: 0,
        }
    }

    /// The socket that has the port a datagram goes to, which lies here.
    fn receiver(&self, route: &Route) -> Option<Arc<Self>> {
        let to = Endpoint {
            ip: route.to,
            port: route.port,
        };
        find(self.ports, to, Some(route.from))
    }

    /// Bytes of each datagram that `len` bytes become (`UDP_SEGMENT`); 0: they are one.
    fn segment(&self, out: &Outgoing<'_>, len: usize) -> Result<u16, Errno> {
        let options = self.ends().options;
        let size = out.segment.unwrap_or_else(|| {
            let kept = options.value(level::UDP, udp::SEGMENT);
            u16::try_from(kept).unwrap_or(0)
        });
        if usize::from(size) * MAX_SEGMENTS < len && size != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(if usize::from(size) < len { size } else { 0 })
    }

    /// Takes several datagrams as one (`UDP_GRO`).
    fn gathers(&self) -> bool {
        self.ends().options.has(level::UDP, udp::GRO)
    }

    /// Puts a datagram where it is for: to `found`, where that is one socket.
    fn deliver(
        &self,
        packet: &Arc<Packet>,
        route: &Route,
        reach: Reach,
        found: Option<&Self>,
    ) -> Result<(), Errno> {
        self.count(packet, &counts::OUT_DATAGRAMS);
        if reach != Reach::Local {
            return self.deliver_to_all(packet, route, reach);
        }
        // Seen by raw sockets as it passes; who doesn't see it must not lose it.
        let _ = raw::seen(self.protocol(), packet, route, found.is_some());
        match found {
            Some(socket) => socket.take(packet),
            None => self.came_back(packet, route),
        }
        Ok(())
    }

    fn deliver_to_all(
        &self,
        packet: &Arc<Packet>,
        route: &Route,
        reach: Reach,
    ) -> Result<(), Errno> {
        let to = Endpoint {
            ip: route.to,
            port: route.port,
        };
        let mut all: Vec<Weak<Self>> = Vec::new();
        {
            let table = self.ports.lock();
            for socket in table.all(to, Some(route.from)) {
                try_push(&mut all, Weak::clone(socket))?;
            }
        }
        for socket in all.iter().filter_map(Weak::upgrade) {
            if reach != Reach::Multicast || socket.groups.lock().contains(&to.ip) {
                socket.take(packet);
            }
        }
        Ok(())
    }

    /// Counts a datagram that is UDP's and IPv4's: others have counts of their own, which aren't kept.
    fn count(&self, packet: &Packet, count: &Count) {
        let v4 = packet.route.is_some_and(|route| route.to.is_ipv4());
        if v4 && !self.is_raw() && self.protocol() == ip::UDP {
            count.up();
        }
    }

    /// Takes a datagram that is for it, if its filter lets it pass and there is room.
    pub(super) fn take(&self, packet: &Arc<Packet>) {
        let seen = |packet: &Packet| match packet.route {
            Some(route) if !self.is_raw() && !self.is_ping() => {
                raw::as_sent(self.protocol(), packet, &route)
            }
            _ => Seen::plain(packet),
        };
        let Ok(Some(packet)) = self.common.sieve(Arc::clone(packet), seen) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.keep(packet);
    }

    fn keep(&self, packet: Arc<Packet>) {
        let room = usize_of32(self.common.options.lock().rcvbuf);
        let full = self.inbox.held() + packet.size() > room && !self.inbox.is_empty();
        if full || self.gone.load(Ordering::Acquire) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.count(&packet, &counts::NO_ROOM);
            return;
        }
        if self.common.options.lock().has(so::RXQ_OVFL) {
            packet.dropped.store(self.drops(), Ordering::Relaxed);
        }
        // Out of memory: lost, as datagrams may be.
        let _ = self.inbox.push(packet, false, || Ok(()));
    }

    /// Nobody has the port that a datagram was sent to.
    fn came_back(&self, packet: &Arc<Packet>, route: &Route) {
        self.count(packet, &counts::NO_PORTS);
        let address = self.ends();
        let queue = match route.to {
            IpAddr::V6(_) => address.options.has(level::IPV6, ipv6::RECVERR),
            IpAddr::V4(_) => address.options.has(level::IP, ip_option::RECVERR),
        };
        // Who is connected hears of that peer alone.
        let peer = address
            .peer
            .map_or(queue, |peer| (peer.ip, peer.port) == (route.to, route.port));
        if !peer {
            return;
        }
        if queue && self.errors.messages() < MAX_ERRORS {
            let _ = self.errors.push(Arc::clone(packet), false, || Ok(()));
        }
        self.common.fail(Errno::ECONNREFUSED);
        self.common.changed();
    }

    /// Receives what came back.
    fn recv_error(&self, dst: &mut IoDst<'_>, received: &mut Received) -> Result<usize, Errno> {
        let none = || Some(Ok(()));
        let patience = self.common.read_patience(true);
        let packet = self.errors.message(0, &mut 0, patience, &none)?;
        let packet = packet.ok_or(Errno::EAGAIN)?;
        let answer = packet.give(dst, 0, 0, &mut received.flags)?;
        let v6 = self.ends().v6;
        if let Some(route) = packet.route {
            let to = Endpoint {
                ip: route.to,
                port: route.port,
            };
            received.name = Some(try_arc(to.encode(v6))?);
        }
        received.flags |= msg::ERRQUEUE;
        received.packet = Some(packet);
        Ok(answer)
    }

    fn disconnect(&self) -> Result<(), Errno> {
        let mut address = self.ends();
        address.peer = None;
        if !address.address_bound {
            let port = address.local.port;
            address.local = Endpoint::unspecified(address.v6).with_port(port);
        }
        if !address.port_bound {
            give_port(self.ports, self.id, address.local.port, false);
            address.local.port = 0;
        }
        {
            let mut own = self.address.lock();
            (own.local, own.peer) = (address.local, address.peer);
        }
        self.enter();
        Ok(())
    }
}
