//! TCP and UDP over the loopback interface, IPv4 and IPv6 (ip(7), tcp(7), udp(7)).
//!
//! Both ends of everything are here, so nothing is cut into segments, lost or sent again: what one
//! end sends lies in the other end's inbox, and what Linux's programs see of the protocol (who may
//! bind where, who refuses, what an end learns of the other's end) is done directly.
//!
//! | module | what |
//! | --- | --- |
//! | [`address`] | an end's own address and port, and who has which |
//! | [`tcp`], [`connect`] | connections: their ends, and how they begin |
//! | [`udp`] | datagrams |
//! | [`options`] | options at the levels of IP, TCP and UDP |
//! | [`control`] | control messages |
//!
//! Locks: a listener's state, then a connecting socket's; a port table's and a socket's own address
//! are leaves.

pub(super) mod address;
mod connect;
pub(super) mod control;
mod options;
pub(super) mod tcp;
pub(super) mod udp;

use alloc::sync::Arc;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::{family, kind, level};

use super::socket::{Caller, Protocol};

/// `IPPROTO_ICMP` and `IPPROTO_ICMPV6`.
const ICMP: [i32; 2] = [1, 58];

/// A new internet socket of this type.
pub(super) fn make(
    caller: &Caller<'_>,
    family: u16,
    kind: u32,
    protocol: u32,
) -> Result<Arc<dyn Protocol>, Errno> {
    let v6 = family == family::INET6;
    let number = i32::try_from(protocol).map_err(|_| Errno::EINVAL)?;
    if number >= 263 {
        return Err(Errno::EINVAL);
    }
    match (kind, number) {
        (kind::STREAM, 0 | level::TCP) => Ok(tcp::TcpSock::new(v6)?),
        (kind::DGRAM, 0 | level::UDP) => Ok(udp::UdpSock::new(v6, false)?),
        (kind::DGRAM, level::UDPLITE) => Ok(udp::UdpSock::new(v6, true)?),
        (kind::DGRAM, number) if ICMP.contains(&number) => Err(Errno::EACCES),
        (kind::RAW, _) if number != 0 && !caller.lookup.can(Capability::NetRaw) => {
            Err(Errno::EPERM)
        }
        (kind::STREAM | kind::DGRAM | kind::RAW, _) => Err(Errno::EPROTONOSUPPORT),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}
