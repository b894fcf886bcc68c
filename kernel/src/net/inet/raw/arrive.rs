//! What becomes of a datagram that raw sockets may see: they are shown it, and it is given to whom it is for.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU16, Ordering};
use kiln_core::errno::Errno;
use kiln_core::net::LOOPBACK_INDEX;
use kiln_core::net::addr::Endpoint;
use kiln_core::net::ip::{self, Head, SHORT_HEAD};
use kiln_core::net::queue::Piece;

use super::{RAW, head_of, icmp, list};
use crate::fs::memory::try_zeros;
use crate::net::filter::{ETH_P_IP, ETH_P_IPV6, Seen};
use crate::net::inet::address::{PING_PORTS, UDP_PORTS};
use crate::net::inet::udp::{self, DgramSock};
use crate::net::packet::{Extra, Packet, Route};
use crate::vm::{IoDst, IoSrc};

/// Service of the kernel's own messages about failures (`RT_TOS` with `IPTOS_PREC_INTERNETCONTROL`).
const CONTROL: u8 = 0xC0;

/// Numbers of datagrams, which are none twice in a row, and never 0.
pub(super) fn next_number() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).max(1)
}

/// A datagram is here; its message begins at `at`.
pub(super) fn arrive(datagram: &[u8], head: &Head, at: usize) {
    // Out of memory: lost, as datagrams may be.
    let _ = show(datagram, head, at);
    let message = datagram.get(at..).unwrap_or_default();
    let v6 = head.to.is_ipv6();
    let _ = match head.protocol {
        ip::UDP => hand_over(datagram, head, message),
        protocol if protocol == icmp(v6) => answer(head, message),
        _ => Ok(()),
    };
}

/// Raw sockets see what is theirs.
fn show(datagram: &[u8], head: &Head, at: usize) -> Result<(), Errno> {
    let message = datagram.get(at..).unwrap_or_default();
    let mut sockets = list()?;
    sockets.retain(|socket| sees(socket, head, message));
    if sockets.is_empty() {
        return Ok(());
    }
    // Of IPv6 the head isn't told.
    let seen = if head.to.is_ipv6() { message } else { datagram };
    let packet = packet(seen, head, [0, 0])?;
    sockets.iter().for_each(|socket| socket.take(&packet));
    Ok(())
}

fn sees(socket: &DgramSock, head: &Head, message: &[u8]) -> bool {
    let ends = socket.ends();
    let own = ends.local.is_any() || ends.local.ip == head.to;
    let from = ends.peer.is_none_or(|peer| peer.ip == head.from);
    if socket.protocol() != head.protocol || ends.v6 != head.to.is_ipv6() || !own || !from {
        return false;
    }
    let by_hand = socket.by_hand.lock();
    if ends.v6 && by_hand.sum_at.is_some() && !head.is_right(message) {
        return false;
    }
    if head.protocol != icmp(ends.v6) {
        return true;
    }
    let kind = message.first().copied().unwrap_or(0);
    let least = if ends.v6 { 4 } else { SHORT_HEAD };
    let word = by_hand.filter.get(usize::from(kind / 32));
    message.len() >= least && word.is_none_or(|word| word >> (kind % 32) & 1 == 0)
}

/// Bytes for an inbox, with the ports they are from and for.
fn packet(bytes: &[u8], head: &Head, [from, port]: [u16; 2]) -> Result<Arc<Packet>, Errno> {
    let route = Route {
        from: Endpoint {
            ip: head.from,
            port: from,
        },
        to: head.to,
        port,
        tos: head.tos,
        ttl: head.ttl,
        segment: 0,
    };
    let extra = Extra {
        route: Some(route),
        ..Extra::default()
    };
    Packet::take(&mut IoSrc::kernel(bytes), bytes.len(), None, extra)
}

/// A message of ICMP: echoes are made for who asks, and given to who asked.
fn answer(head: &Head, message: &[u8]) -> Result<(), Errno> {
    if message.len() < SHORT_HEAD || !head.is_right(message) {
        return Ok(());
    }
    match ip::echo(head.protocol, message) {
        Some(true) => {
            // An echo's type is 0, or one more.
            let kind = if head.protocol == ip::ICMP { 0 } else { 129 };
            reply(&head.back(head.protocol, head.tos), kind, message)
        }
        Some(false) => {
            let to = Endpoint {
                ip: head.to,
                port: ip::word(message, 4).unwrap_or(0),
            };
            if let Some(socket) = udp::find(&PING_PORTS, to, None) {
                socket.take(&packet(message, head, [0, 0])?);
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// Sends a message of ICMP with another type.
fn reply(head: &Head, kind: u8, message: &[u8]) -> Result<(), Errno> {
    let at = head_of(head.to.is_ipv6());
    let mut datagram = try_zeros(at + message.len())?;
    let made = datagram.get_mut(at..).unwrap_or_default();
    made.copy_from_slice(message);
    if let Some(first) = made.first_mut() {
        *first = kind;
    }
    head.seal_icmp(made);
    head.write(&mut datagram, next_number(), 0);
    arrive(&datagram, head, at);
    Ok(())
}

/// UDP that was sent by hand: to whom it is for.
fn hand_over(datagram: &[u8], head: &Head, message: &[u8]) -> Result<(), Errno> {
    let words = (
        ip::word(message, 0),
        ip::word(message, 2),
        ip::word(message, 4),
        ip::word(message, 6),
    );
    let (Some(from), Some(port), Some(len), Some(sum)) = words else {
        return Ok(());
    };
    let Some(bytes) = message.get(SHORT_HEAD..len.into()) else {
        return Ok(());
    };
    if sum != 0 && !head.is_right(message) {
        return Ok(());
    }
    let ends = [head.from, head.to].map(|ip| Endpoint { ip, port: 0 });
    let found = udp::find(
        &UDP_PORTS,
        ends[1].with_port(port),
        Some(ends[0].with_port(from)),
    );
    match found {
        Some(socket) => {
            socket.take(&packet(bytes, head, [from, port])?);
            Ok(())
        }
        None => refuse(datagram, head),
    }
}

/// What UDP sends, for those who look; and that nobody took it.
pub(in crate::net::inet) fn seen(
    protocol: u16,
    packet: &Packet,
    route: &Route,
    taken: bool,
) -> Result<(), Errno> {
    if RAW.lock().is_empty() {
        return Ok(());
    }
    let head = head_for(protocol, route);
    let Seen { bytes, start, .. } = as_sent(protocol, packet, route)?;
    show(&bytes, &head, start)?;
    if taken { Ok(()) } else { refuse(&bytes, &head) }
}

fn head_for(protocol: u16, route: &Route) -> Head {
    Head {
        from: route.from.ip,
        to: route.to,
        protocol,
        tos: route.tos,
        ttl: route.ttl,
    }
}

/// The datagram that a socket's message goes in.
pub(in crate::net::inet) fn as_sent(
    protocol: u16,
    packet: &Packet,
    route: &Route,
) -> Result<Seen, Errno> {
    let v6 = route.to.is_ipv6();
    let at = head_of(v6);
    let len = SHORT_HEAD + packet.len();
    let mut datagram = try_zeros(at + len)?;
    let head = head_for(protocol, route);
    let message = datagram.get_mut(at..).unwrap_or_default();
    ip::put(message, 0, route.from.port);
    ip::put(message, 2, route.port);
    ip::put(message, 4, u16::try_from(len).unwrap_or(u16::MAX));
    // The sum is left to the card, which there isn't: it stays half made.
    ip::put(message, 6, ip::pseudo(head.from, head.to, protocol, len));
    let bytes = message.get_mut(SHORT_HEAD..).unwrap_or_default();
    packet.put(&mut IoDst::kernel(bytes), 0, packet.len())?;
    head.write(&mut datagram, next_number(), ip::DONT_FRAGMENT);
    Ok(Seen {
        bytes: datagram,
        start: at,
        head: SHORT_HEAD,
        protocol: if v6 { ETH_P_IPV6 } else { ETH_P_IP },
        interface: LOOPBACK_INDEX,
    })
}

/// Nobody has the port that a datagram is for: tells whoever sent it.
fn refuse(datagram: &[u8], head: &Head) -> Result<(), Errno> {
    let v6 = head.to.is_ipv6();
    let ([kind, code], most) = ip::no_port(v6);
    let quoted = datagram.get(..most).unwrap_or(datagram);
    let mut message = try_zeros(SHORT_HEAD + quoted.len())?;
    if let Some(byte) = message.get_mut(1) {
        *byte = code;
    }
    message
        .get_mut(SHORT_HEAD..)
        .unwrap_or_default()
        .copy_from_slice(quoted);
    let back = head.back(icmp(v6), if v6 { 0 } else { CONTROL });
    reply(&back, kind, &message)
}
