//! Netlink sockets (netlink(7)): who sends a request finds the answers in its inbox. There are route
//! sockets (rtnetlink(7)), generic ones, those that would be told of devices, and the connector's, which [`events`] come to.
//! Nothing of the network can be changed, and nothing changes, so there is nothing to be notified of, but for
//! message queues' notices, which the C library has sent to such a socket of its own.

pub(crate) mod events;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::addr::family_of;
use kiln_core::net::netlink::connector::PROCESSES;
use kiln_core::net::netlink::generic::Meter;
use kiln_core::net::options::{BUFFER, int};
use kiln_core::net::{family, kind, level, msg, netlink};

use super::common::Common;
use super::inbox::Inbox;
use super::packet::Packet;
use super::socket::{Caller, Outgoing, Protocol, Received};
use crate::fs::memory::{try_arc, try_push, try_zeros};
use crate::fs::{Events, Watch};
use crate::net::filter::Seen;
use crate::sync::SpinLock;
use crate::vm::{IoDst, IoSrc};

/// `NETLINK_ROUTE`, `NETLINK_CONNECTOR`, `NETLINK_KOBJECT_UEVENT`, `NETLINK_GENERIC`.
const ROUTE: u32 = 0;
const CONNECTOR: u32 = 11;
const DEVICES: u32 = 15;
const GENERIC: u32 = 16;
/// Options of a socket (`NETLINK_ADD_MEMBERSHIP`, `NETLINK_DROP_MEMBERSHIP`).
const JOIN: u32 = 1;
const LEAVE: u32 = 2;
/// Most bytes of a request.
const MAX_REQUEST: usize = 64 * 1024;
/// Bytes of `struct sockaddr_nl`.
const ADDRESS: usize = 12;

/// Where what is sent to a socket arrives.
struct Ends {
    common: Common,
    inbox: Inbox,
}

impl Ends {
    /// Puts a message in, while there is room (`ENOBUFS`).
    fn put(&self, message: &[u8]) -> Result<(), Errno> {
        if self.inbox.held() > kiln_core::num::usize_of32(BUFFER) {
            return Err(Errno::ENOBUFS);
        }
        match self.common.sieve(Packet::of(message)?, Seen::plain)? {
            Some(packet) => self.inbox.push(packet, false, || Ok(())),
            None => Ok(()),
        }
    }
}

/// A netlink socket.
struct Netlink {
    ends: Arc<Ends>,
    /// What tells of tasks.
    meter: Meter,
    /// Its address; 0 while it has none.
    port: AtomicU32,
    groups: AtomicU32,
}

/// A new socket of this type and protocol.
pub(super) fn make(kind: u32, protocol: u32, meter: Meter) -> Result<Arc<dyn Protocol>, Errno> {
    if kind != kind::DGRAM && kind != kind::RAW {
        return Err(Errno::ESOCKTNOSUPPORT);
    }
    if !matches!(protocol, ROUTE | CONNECTOR | DEVICES | GENERIC) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let common = Common::new(family::NETLINK, kind, protocol)?;
    let inbox = Inbox::new(&common)?;
    Ok(try_arc(Netlink {
        ends: try_arc(Ends { common, inbox })?,
        meter,
        port: AtomicU32::new(0),
        groups: AtomicU32::new(0),
    })?)
}

fn encode(port: u32, groups: u32) -> Vec<u8> {
    let mut raw = Vec::with_capacity(ADDRESS);
    raw.extend_from_slice(&family::NETLINK.to_le_bytes());
    raw.extend_from_slice(&[0; 2]);
    raw.extend_from_slice(&port.to_le_bytes());
    raw.extend_from_slice(&groups.to_le_bytes());
    raw
}

fn word(raw: &[u8], at: usize) -> u32 {
    int(raw.get(at..).unwrap_or_default())
        .unwrap_or(0)
        .cast_unsigned()
}

/// The addresses in use, each with its protocol.
static PORTS: SpinLock<Vec<(u32, u32)>> = SpinLock::new(Vec::new());

impl Netlink {
    /// Takes an address, unless it has one: EADDRINUSE when somebody else of the protocol has that.
    fn take_port(&self, port: u32) -> Result<(), Errno> {
        let wanted = (self.ends.common.protocol, port);
        let mut ports = PORTS.lock();
        match self.port.load(Ordering::Acquire) {
            0 if ports.contains(&wanted) => Err(Errno::EADDRINUSE),
            0 => {
                try_push(&mut ports, wanted)?;
                self.port.store(port, Ordering::Release);
                Ok(())
            }
            own if own == port => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Its address, chosen now if it has none: the process's number while that is free.
    fn own_port(&self) -> Result<u32, Errno> {
        static NEXT: AtomicU32 = AtomicU32::new(0x8000_0000);
        let mut fresh = super::current_creds().pid;
        while self.take_port(fresh) == Err(Errno::EADDRINUSE) {
            fresh = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        match self.port.load(Ordering::Acquire) {
            0 => Err(Errno::ENOMEM),
            port => Ok(port),
        }
    }
}

impl Netlink {
    /// Joins these groups, as bits; the connector's is for those who may.
    fn join(&self, who: &Caller<'_>, groups: u32) -> Result<(), Errno> {
        if self.ends.common.protocol == CONNECTOR && groups != 0 {
            if !who.lookup.can(Capability::NetAdmin) {
                return Err(Errno::EPERM);
            }
            if groups & PROCESSES != 0 {
                events::join(&self.ends)?;
            }
        }
        self.groups.fetch_or(groups, Ordering::Relaxed);
        Ok(())
    }

    /// Serves what was sent.
    fn serve(&self, raw: &[u8], may: bool) -> Result<(), Errno> {
        let protocol = self.ends.common.protocol;
        let port = self.own_port()?;
        match protocol {
            CONNECTOR => {
                events::asked(raw, may);
                return Ok(());
            }
            // No device comes or goes.
            DEVICES => return Ok(()),
            _ => {}
        }
        for request in netlink::requests(raw) {
            let answers = match protocol {
                GENERIC => request.answer_generic(port, may, self.meter),
                _ => request.answer(port, may),
            };
            for answer in answers {
                match self.ends.put(&answer) {
                    Err(Errno::ENOBUFS) => {
                        self.ends.common.fail(Errno::ENOBUFS);
                        break;
                    }
                    put => put?,
                }
            }
        }
        Ok(())
    }
}

impl Protocol for Netlink {
    fn common(&self) -> &Common {
        &self.ends.common
    }

    fn bind(&self, who: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if addr.len() < ADDRESS || family_of(addr) != Some(family::NETLINK) {
            return Err(Errno::EINVAL);
        }
        let (port, groups) = (word(addr, 4), word(addr, 8));
        self.join(who, groups)?;
        match port {
            0 => self.own_port().map(drop),
            port => self.take_port(port),
        }
    }

    fn connect(&self, _: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        match family_of(addr).ok_or(Errno::EINVAL)? {
            family::UNSPEC => Ok(()),
            family::NETLINK if addr.len() >= ADDRESS => self.own_port().map(drop),
            _ => Err(Errno::EINVAL),
        }
    }

    fn send(&self, src: &mut IoSrc<'_>, out: Outgoing<'_>) -> Result<usize, Errno> {
        if out.flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if let Some(to) = out.to {
            if to.len() < ADDRESS || family_of(to) != Some(family::NETLINK) {
                return Err(Errno::EINVAL);
            }
            // Only the kernel is there.
            if word(to, 4) != 0 {
                return Err(Errno::ECONNREFUSED);
            }
        }
        let len = src.remaining();
        if len > MAX_REQUEST {
            return Err(Errno::EMSGSIZE);
        }
        let mut raw = try_zeros(len)?;
        let got = src.take(&mut raw)?;
        let may = out
            .lookup
            .is_some_and(|lookup| lookup.can(Capability::NetAdmin));
        self.serve(raw.get(..got).unwrap_or_default(), may)?;
        Ok(len)
    }

    fn recv(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        nonblocking: bool,
        received: &mut Received,
    ) -> Result<usize, Errno> {
        if flags & msg::OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let patience = self.ends.common.read_patience(nonblocking);
        let over = || self.ends.common.take_error().map(Err);
        let Some(packet) = self.ends.inbox.message(flags, &mut 0, patience, &over)? else {
            return Ok(0);
        };
        let answer = packet.give(dst, flags, 0, &mut received.flags)?;
        // The connector's messages are all to its group.
        let groups = if self.ends.common.protocol == CONNECTOR {
            PROCESSES
        } else {
            0
        };
        received.name = Some(try_arc(encode(0, groups))?);
        Ok(answer)
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        let groups = self.groups.load(Ordering::Relaxed);
        Ok(encode(self.port.load(Ordering::Acquire), groups))
    }

    fn peer(&self) -> Result<Vec<u8>, Errno> {
        Ok(encode(0, 0))
    }

    fn set_option(
        &self,
        who: &Caller<'_>,
        number: i32,
        option: u32,
        value: &[u8],
    ) -> Result<(), Errno> {
        if number != level::NETLINK {
            return Err(Errno::ENOPROTOOPT);
        }
        let group = int(value)?;
        if self.ends.common.protocol != CONNECTOR || !matches!(option, JOIN | LEAVE) {
            return Ok(());
        }
        let bit = 1u32
            .checked_shl(group.cast_unsigned().wrapping_sub(1))
            .ok_or(Errno::EINVAL)?;
        self.join(who, bit)?;
        if option == LEAVE {
            self.groups.fetch_and(!bit, Ordering::Relaxed);
            if bit & PROCESSES != 0 {
                events::leave(&self.ends);
            }
        }
        Ok(())
    }

    fn poll(&self, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.ends.common.readers);
        }
        let mut events = Events::WRITABLE | Events::WRBAND;
        events.set(Events::ERR, self.ends.common.has_error());
        events.set(Events::READABLE, !self.ends.inbox.is_empty());
        events
    }

    fn takes_notices(&self) -> bool {
        true
    }

    fn deliver(&self, notice: &[u8]) -> Result<(), Errno> {
        self.ends.put(notice)
    }

    fn release(&self) {
        events::leave(&self.ends);
        self.ends.inbox.clear();
        let own = (self.ends.common.protocol, self.port.load(Ordering::Acquire));
        PORTS.lock().retain(|port| *port != own);
    }
}
