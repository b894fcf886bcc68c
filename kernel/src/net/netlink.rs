//! Route sockets (netlink(7), rtnetlink(7)): who sends a request finds the answers in its inbox.
//! Nothing can be changed, and nothing changes, so there is nothing to be notified of, but for message
//! queues' notices, which the C library has sent to such a socket of its own.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use kiln_core::errno::Errno;
use kiln_core::net::addr::family_of;
use kiln_core::net::options::{BUFFER, int};
use kiln_core::net::{family, kind, level, msg, netlink};

use super::common::Common;
use super::inbox::Inbox;
use super::packet::Packet;
use super::socket::{Caller, Outgoing, Protocol, Received};
use crate::fs::memory::{try_arc, try_zeros};
use crate::fs::{Events, Watch};
use crate::vm::{IoDst, IoSrc};

/// `NETLINK_ROUTE`: the only protocol there is.
const ROUTE: u32 = 0;
/// Most bytes of a request.
const MAX_REQUEST: usize = 64 * 1024;
/// Bytes of `struct sockaddr_nl`.
const ADDRESS: usize = 12;

/// A route socket.
struct Netlink {
    common: Common,
    inbox: Inbox,
    /// Its address; 0 while it has none.
    port: AtomicU32,
    groups: AtomicU32,
}

/// A new socket of this type and protocol.
pub(super) fn make(kind: u32, protocol: u32) -> Result<Arc<dyn Protocol>, Errno> {
    if kind != kind::DGRAM && kind != kind::RAW {
        return Err(Errno::ESOCKTNOSUPPORT);
    }
    if protocol != ROUTE {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let common = Common::new(family::NETLINK, kind, protocol)?;
    let inbox = Inbox::new(&common)?;
    Ok(try_arc(Netlink {
        common,
        inbox,
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

impl Netlink {
    /// Its address, chosen now if it has none: the first is the process's number.
    fn own_port(&self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0x8000_0000);
        static FIRST: AtomicU32 = AtomicU32::new(0);
        let pid = super::current_creds().pid;
        let fresh = match FIRST.swap(pid, Ordering::Relaxed) == pid {
            true => NEXT.fetch_add(1, Ordering::Relaxed),
            false => pid,
        };
        let chosen = self
            .port
            .compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire);
        chosen.map_or_else(|port| port, |_| fresh)
    }
}

impl Protocol for Netlink {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, _: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if addr.len() < ADDRESS || family_of(addr) != Some(family::NETLINK) {
            return Err(Errno::EINVAL);
        }
        let (port, groups) = (word(addr, 4), word(addr, 8));
        self.groups.store(groups, Ordering::Relaxed);
        match port {
            0 => {
                self.own_port();
                Ok(())
            }
            port => {
                let now = self
                    .port
                    .compare_exchange(0, port, Ordering::AcqRel, Ordering::Acquire);
                match now {
                    Ok(_) => Ok(()),
                    Err(own) if own == port => Ok(()),
                    Err(_) => Err(Errno::EINVAL),
                }
            }
        }
    }

    fn connect(&self, _: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        match family_of(addr).ok_or(Errno::EINVAL)? {
            family::UNSPEC => Ok(()),
            family::NETLINK if addr.len() >= ADDRESS => {
                self.own_port();
                Ok(())
            }
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
        let port = self.own_port();
        for request in netlink::requests(raw.get(..got).unwrap_or_default()) {
            for answer in request.answer(port) {
                if self.inbox.held() > kiln_core::num::usize_of32(BUFFER) {
                    self.common.fail(Errno::ENOBUFS);
                    break;
                }
                let packet = Packet::of(&answer)?;
                self.inbox.push(packet, false, || Ok(()))?;
            }
        }
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
        let patience = self.common.read_patience(nonblocking);
        let over = || self.common.take_error().map(Err);
        let Some(packet) = self.inbox.message(flags, patience, &over)? else {
            return Ok(0);
        };
        let answer = packet.give(dst, flags, &mut received.flags)?;
        received.name = Some(try_arc(encode(0, 0))?);
        Ok(answer)
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        let groups = self.groups.load(Ordering::Relaxed);
        Ok(encode(self.port.load(Ordering::Acquire), groups))
    }

    fn peer(&self) -> Result<Vec<u8>, Errno> {
        Ok(encode(0, 0))
    }

    fn set_option(&self, _: &Caller<'_>, number: i32, _: u32, value: &[u8]) -> Result<(), Errno> {
        if number != level::NETLINK {
            return Err(Errno::ENOPROTOOPT);
        }
        int(value).map(|_| ())
    }

    fn poll(&self, watch: Option<&mut dyn Watch>) -> Events {
        if let Some(watch) = watch {
            watch.add(&self.common.readers);
        }
        let mut events = Events::WRITABLE | Events::WRBAND;
        events.set(Events::ERR, self.common.has_error());
        events.set(Events::READABLE, !self.inbox.is_empty());
        events
    }

    fn takes_notices(&self) -> bool {
        true
    }

    fn deliver(&self, notice: &[u8]) -> Result<(), Errno> {
        if self.inbox.held() > kiln_core::num::usize_of32(BUFFER) {
            return Err(Errno::ENOBUFS);
        }
        self.inbox.push(Packet::of(notice)?, false, || Ok(()))
    }

    fn release(&self) {
        self.inbox.clear();
    }
}
