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
//! | [`raw`] | raw sockets, those that ping, and what answers them |
//! | [`options`] | options at the levels of IP, TCP and UDP |
//! | [`control`] | control messages |
//! | [`counts`] | what is counted |
//!
//! Locks: a listener's state, then a connecting socket's; a port table's and a socket's own address
//! are leaves.

pub(super) mod address;
mod connect;
pub(super) mod control;
pub(super) mod counts;
mod options;
pub(super) mod raw;
pub(super) mod tcp;
pub(super) mod udp;

use alloc::sync::Arc;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::{family, ip, kind, level};

use self::udp::DgramSock;
use super::socket::{Caller, Protocol};

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
    let short = u16::try_from(number).map_err(|_| Errno::EINVAL)?;
    match (kind, number) {
        (kind::STREAM, 0 | level::TCP) => Ok(tcp::TcpSock::new(v6)?),
        (kind::DGRAM, 0) => Ok(DgramSock::new(v6, kind, ip::UDP)?),
        (kind::DGRAM, level::UDP | level::UDPLITE) => Ok(DgramSock::new(v6, kind, short)?),
        (kind::DGRAM, _) if short == raw::icmp(v6) => {
            raw::may_ping(caller)?;
            Ok(DgramSock::new(v6, kind, short)?)
        }
        (kind::RAW, 1..) if caller.lookup.can(Capability::NetRaw) => {
            Ok(DgramSock::new(v6, kind, short)?)
        }
        (kind::RAW, 1..) => Err(Errno::EPERM),
        (kind::STREAM | kind::DGRAM | kind::RAW, _) => Err(Errno::EPROTONOSUPPORT),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}
