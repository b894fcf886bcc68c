//! Control messages of datagrams: `IP_PKTINFO`, `IP_TTL`, `IP_TOS`, `IP_RECVERR` and IPv6's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use kiln_core::errno::Errno;
use kiln_core::net::addr::{Endpoint, canonical};
use kiln_core::net::cmsg::{Builder, Cmsg};
use kiln_core::net::inet::{ip, ipv6, udp};
use kiln_core::net::options::int;
use kiln_core::net::{LOOPBACK_INDEX, level, msg};

use super::address::Address;
use crate::net::packet::Route;
use crate::net::socket::{Outgoing, Received};

/// Takes a control message of a sender.
pub(crate) fn read(message: &Cmsg<'_>, out: &mut Outgoing<'_>) -> Result<(), Errno> {
    let data = message.data;
    let byte = |low: i32| {
        let number = int(data)?;
        match u8::try_from(number) {
            Ok(byte) if number >= low => Ok(byte),
            _ => Err(Errno::EINVAL),
        }
    };
    match (message.level, message.kind.cast_unsigned()) {
        (level::IP, ip::TTL) => out.ttl = Some(byte(1)?),
        (level::IP, ip::TOS) if data.len() == 1 => out.tos = data.first().copied(),
        (level::IP, ip::TOS) => out.tos = Some(byte(0)?),
        (level::IP, ip::PKTINFO) => {
            let octets = data.get(4..8).and_then(|raw| raw.try_into().ok());
            let octets: [u8; 4] = octets.ok_or(Errno::EINVAL)?;
            out.from = chosen(int(data)?, IpAddr::V4(Ipv4Addr::from(octets)))?;
        }
        // -1 is what the socket's own option says.
        (level::IPV6, ipv6::HOPLIMIT) if int(data)? == -1 => {}
        (level::IPV6, ipv6::TCLASS) if int(data)? == -1 => {}
        (level::IPV6, ipv6::HOPLIMIT) if data.len() == 4 => out.ttl = Some(byte(0)?),
        (level::IPV6, ipv6::TCLASS) if data.len() == 4 => out.tos = Some(byte(0)?),
        (level::IPV6, ipv6::PKTINFO) => {
            let octets = data.get(..16).and_then(|raw| raw.try_into().ok());
            let octets: [u8; 16] = octets.ok_or(Errno::EINVAL)?;
            let index = int(data.get(16..).unwrap_or_default())?;
            out.from = chosen(index, canonical(Ipv6Addr::from(octets)))?;
        }
        (level::UDP, udp::SEGMENT) => {
            let size: [u8; 2] = data.try_into().map_err(|_| Errno::EINVAL)?;
            out.segment = Some(u16::from_le_bytes(size));
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

/// The address to send from that a program chose, on an interface that must be there.
fn chosen(index: i32, address: IpAddr) -> Result<Option<IpAddr>, Errno> {
    if index != 0 && index.cast_unsigned() != LOOPBACK_INDEX {
        return Err(Errno::ENODEV);
    }
    Ok((!address.is_unspecified()).then_some(address))
}

/// Tells of a datagram what its receiver asked for.
pub(super) fn describe(own: &Address, received: &Received, control: &mut Builder) {
    let Some(route) = received.packet.as_ref().and_then(|packet| packet.route) else {
        return;
    };
    if received.flags & msg::ERRQUEUE != 0 {
        failure(&route, control);
        return;
    }
    if route.segment != 0 {
        let size = u32::from(route.segment).to_le_bytes();
        control.put(level::UDP, udp::GRO.cast_signed(), &size);
    }
    match own.v6 {
        true => describe_v6(own, &route, control),
        false => describe_v4(own, &route, control),
    }
    if own.v6 && matches!(route.to, IpAddr::V4(_)) {
        describe_v4(own, &route, control);
    }
}

fn describe_v4(own: &Address, route: &Route, control: &mut Builder) {
    let on = |name| own.options.has(level::IP, name);
    let IpAddr::V4(to) = route.to else { return };
    if on(ip::PKTINFO) {
        let [a, b, c, d] = to.octets();
        let [i, j, k, l] = LOOPBACK_INDEX.to_le_bytes();
        // Interface, local address, the address in the header.
        control.put(
            level::IP,
            ip::PKTINFO.cast_signed(),
            &[i, j, k, l, a, b, c, d, a, b, c, d],
        );
    }
    if on(ip::RECVTTL) {
        let ttl = u32::from(route.ttl).to_le_bytes();
        control.put(level::IP, ip::TTL.cast_signed(), &ttl);
    }
    if on(ip::RECVTOS) {
        control.put(level::IP, ip::TOS.cast_signed(), &[route.tos]);
    }
    if on(ip::ORIGDSTADDR) {
        let name = ip::ORIGDSTADDR.cast_signed();
        control.put(level::IP, name, &destination(own, route).encode(false));
    }
}

fn describe_v6(own: &Address, route: &Route, control: &mut Builder) {
    let on = |name| own.options.has(level::IPV6, name);
    let to = Endpoint {
        ip: route.to,
        port: 0,
    };
    let mut info = [0; 20];
    let parts = info.split_at_mut(16);
    parts.0.copy_from_slice(&to.as_v6().octets());
    parts.1.copy_from_slice(&LOOPBACK_INDEX.to_le_bytes());
    let ttl = u32::from(route.ttl).to_le_bytes();
    let class = u32::from(route.tos).to_le_bytes();
    let told: [(u32, u32, &[u8]); 5] = [
        (ipv6::RECVPKTINFO, ipv6::PKTINFO, &info),
        (ipv6::RECVHOPLIMIT, ipv6::HOPLIMIT, &ttl),
        (ipv6::RECVTCLASS, ipv6::TCLASS, &class),
        (ipv6::OLD_PKTINFO, ipv6::OLD_PKTINFO, &info),
        (ipv6::OLD_HOPLIMIT, ipv6::OLD_HOPLIMIT, &ttl),
    ];
    for (wanted, name, bytes) in told {
        if on(wanted) {
            control.put(level::IPV6, name.cast_signed(), bytes);
        }
    }
    if on(ipv6::ORIGDSTADDR) {
        let name = ipv6::ORIGDSTADDR.cast_signed();
        control.put(level::IPV6, name, &destination(own, route).encode(true));
    }
}

/// Where a datagram was sent to: nothing translates addresses on the way.
fn destination(own: &Address, route: &Route) -> Endpoint {
    Endpoint {
        ip: route.to,
        port: own.local.port,
    }
}

/// `struct sock_extended_err` (linux/errqueue.h) and the address of who refused.
fn failure(route: &Route, control: &mut Builder) {
    let number = u32::from(Errno::ECONNREFUSED.number()).to_le_bytes();
    let v6 = matches!(route.to, IpAddr::V6(_));
    // Origin: ICMP or ICMPv6. Type and code: the port is unreachable.
    let kind: [u8; 4] = if v6 { [3, 1, 4, 0] } else { [2, 3, 3, 0] };
    let from = Endpoint {
        ip: route.to,
        port: 0,
    };
    let address = from.encode(v6);
    let mut raw = [0; 44];
    let parts = [&number[..], &kind, &[0; 8], &address];
    let mut at = 0;
    for part in parts {
        if let Some(to) = raw.get_mut(at..at + part.len()) {
            to.copy_from_slice(part);
        }
        at += part.len();
    }
    let shown = raw.get(..at).unwrap_or(&raw);
    match v6 {
        true => control.put(level::IPV6, ipv6::RECVERR.cast_signed(), shown),
        false => control.put(level::IP, ip::RECVERR.cast_signed(), shown),
    }
}
