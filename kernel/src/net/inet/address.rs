//! [`Address`]: where an internet socket is bound and connected to, with its options; the tables of
//! ports.

use alloc::sync::Weak;
use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::{AtomicU64, Ordering};
use kiln_core::errno::Errno;
use kiln_core::net::addr::{Endpoint, Reach, family_of, loopback, reach};
use kiln_core::net::inet::{InetOptions, ip, ipv6};
use kiln_core::net::options::{Options, so};
use kiln_core::net::ports::{Claim, PortTable, TIME_WAIT_NS, UNPRIVILEGED, seed};
use kiln_core::net::{family, level};

use super::tcp::TcpSock;
use super::udp::DgramSock;
use crate::arch::time::now_ns;
use crate::drivers::random;
use crate::sync::SpinLock;

/// The ports of TCP.
pub(in crate::net) static TCP_PORTS: SpinLock<PortTable<Weak<TcpSock>>> =
    SpinLock::new(PortTable::new());
/// A table of UDP's.
pub(super) type UdpPorts = SpinLock<PortTable<Weak<DgramSock>>>;
/// The ports of UDP.
pub(in crate::net) static UDP_PORTS: UdpPorts = SpinLock::new(PortTable::new());
/// The ports of UDP-Lite.
pub(super) static UDP_LITE_PORTS: UdpPorts = SpinLock::new(PortTable::new());
/// Who asks for echoes under which number.
pub(super) static PING_PORTS: UdpPorts = SpinLock::new(PortTable::new());

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A number that no other internet socket has.
pub(super) fn new_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Which addresses of many a socket may be bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    None,
    /// IPv4's.
    V4,
    All,
}

/// Where a socket is bound and connected to.
#[derive(Clone, Copy, Debug)]
pub(in crate::net) struct Address {
    pub(in crate::net) v6: bool,
    pub(in crate::net) local: Endpoint,
    pub(in crate::net) peer: Option<Endpoint>,
    /// The port it had, which is shown until it has another (`inet_sport`).
    pub(super) old_port: u16,
    /// The address was chosen by the program, not by connecting.
    pub(super) address_bound: bool,
    /// The port was.
    pub(super) port_bound: bool,
    pub(super) options: InetOptions,
    /// The interface that groups are reached by.
    pub(super) multicast_if: bool,
    /// It came out of a listener's queue.
    pub(super) accepted: bool,
    /// Whose it is.
    pub(in crate::net) uid: u32,
}

impl Address {
    /// Bound to nothing.
    pub(super) fn new(v6: bool) -> Self {
        Self {
            v6,
            local: Endpoint::unspecified(v6),
            peer: None,
            old_port: 0,
            address_bound: false,
            port_bound: false,
            options: InetOptions::new(),
            multicast_if: false,
            accepted: false,
            uid: super::super::current_creds().uid,
        }
    }

    /// Whether IPv4 is none of its business.
    pub(super) fn v6_only(&self) -> bool {
        self.v6 && self.options.has(level::IPV6, ipv6::V6ONLY)
    }

    /// Its claim on its port.
    pub(super) fn claim(&self, options: &Options) -> Claim {
        Claim {
            local: self.local,
            v6: self.v6,
            v6_only: self.v6_only(),
            peer: None,
            reuse_addr: options.has(so::REUSEADDR),
            reuse_port: options.has(so::REUSEPORT),
            uid: self.uid,
            listening: false,
        }
    }

    /// The address to bind to that a program gives, which is of the socket's family.
    fn read_bind(&self, raw: &[u8]) -> Result<Endpoint, Errno> {
        let wanted = if self.v6 { 24 } else { 16 };
        if raw.len() < wanted {
            return Err(Errno::EINVAL);
        }
        let unspec = family_of(raw) == Some(family::UNSPEC) && !self.v6;
        let to = match unspec {
            true => {
                let to = Endpoint::read(raw, false).ok_or(Errno::EINVAL)?;
                if !to.is_any() {
                    return Err(Errno::EAFNOSUPPORT);
                }
                to
            }
            false => Endpoint::parse(raw, self.v6)?,
        };
        if self.v6_only() && matches!(to.ip, IpAddr::V4(_)) {
            return Err(Errno::EINVAL);
        }
        Ok(to)
    }

    /// The address to bind to that a program gives, checked as `inet_bind` does.
    /// `low_ports`: it may have one that not everybody may.
    pub(super) fn check_bind(
        &self,
        raw: &[u8],
        groups: Groups,
        low_ports: bool,
    ) -> Result<Endpoint, Errno> {
        let to = self.read_bind(raw)?;
        // An address of a link needs to be told which; so do the groups of an interface and of a link.
        let link = matches!(to.ip, IpAddr::V6(ip)
            if ip.is_unicast_link_local() || matches!(ip.octets(), [0xFF, 0x01 | 0x02, ..]));
        // An IPv6 socket tells what is nobody's address from what no address may be.
        let wrong = self.v6
            && match to.ip {
                IpAddr::V6(ip) => ip.is_multicast() && groups != Groups::All,
                IpAddr::V4(_) => groups == Groups::None,
            };
        if wrong {
            return Err(Errno::EINVAL);
        }
        if link && raw.get(24..28).is_none_or(|scope| scope == [0; 4]) {
            return Err(Errno::EINVAL);
        }
        let free = self.options.has(level::IP, ip::FREEBIND);
        let near = match reach(to.ip) {
            Reach::Local => true,
            Reach::Broadcast | Reach::Multicast => groups != Groups::None,
            Reach::Nowhere if to.ip == Ipv4Addr::BROADCAST => groups != Groups::None || free,
            Reach::Nowhere => to.is_any() || free,
        };
        if !near {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if (1..UNPRIVILEGED).contains(&to.port) && !low_ports {
            return Err(Errno::EACCES);
        }
        Ok(to)
    }

    /// The destination that a program gives; no address means this machine.
    pub(super) fn check_peer(&self, raw: &[u8], datagram: bool) -> Result<Endpoint, Errno> {
        // An IPv6 socket takes IPv4's addresses for datagrams.
        let v4 = datagram && self.v6 && family_of(raw) == Some(family::INET);
        if v4 && self.v6_only() {
            return Err(Errno::EAFNOSUPPORT);
        }
        let mut to = Endpoint::parse(raw, self.v6 && !v4)?;
        if to.is_any() {
            to.ip = loopback(matches!(to.ip, IpAddr::V6(_)));
        }
        let mapped = matches!(to.ip, IpAddr::V4(_));
        let bound_v6 = !self.local.is_any() && matches!(self.local.ip, IpAddr::V6(_));
        let bound_v4 = !self.local.is_any() && matches!(self.local.ip, IpAddr::V4(_));
        if mapped && (self.v6_only() || bound_v6) || self.v6 && bound_v4 && !mapped {
            return Err(Errno::ENETUNREACH);
        }
        Ok(to)
    }

    /// Its address as `getsockname` tells it.
    pub(super) fn shown(&self) -> Endpoint {
        match self.local.port {
            0 => self.local.with_port(self.old_port),
            _ => self.local,
        }
    }

    /// The address that what is sent to `to` comes from.
    pub(super) fn source(&self, to: Endpoint) -> Endpoint {
        match self.local.is_any() || !matches!(reach(self.local.ip), Reach::Local) {
            true => Endpoint {
                ip: loopback(matches!(to.ip, IpAddr::V6(_))),
                port: self.local.port,
            },
            false => self.local,
        }
    }
}

/// Claims a port for `owner` in a table: the one that the claim names, or a free one.
pub(super) fn take_port<T>(
    table: &SpinLock<PortTable<T>>,
    id: u64,
    mut claim: Claim,
    owner: T,
) -> Result<u16, Errno> {
    let now = now_ns();
    if claim.local.port == 0 {
        let mut bytes = [0; 4];
        random::fill(&mut bytes);
        let mut table = table.lock();
        let port = table.free_port(id, &claim, seed(bytes), now);
        claim.local.port = port.ok_or(Errno::EADDRINUSE)?;
        table.enter(id, claim, owner)?;
        return Ok(claim.local.port);
    }
    table.lock().claim(id, claim, owner, now)?;
    Ok(claim.local.port)
}

/// Gives a port back; with `wait` not for a minute yet.
pub(super) fn give_port<T>(table: &SpinLock<PortTable<T>>, id: u64, port: u16, wait: bool) {
    if port == 0 {
        return;
    }
    let now = now_ns();
    let until = wait.then(|| now.saturating_add(TIME_WAIT_NS));
    let owner = table.lock().release(id, port, now, until);
    drop(owner);
}
