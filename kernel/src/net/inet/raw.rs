//! Raw sockets (raw(7)) and those that ping (icmp(7)): what goes by as bytes of IP.
//!
//! The loopback has no packets otherwise (decision 0040), so they are made for those who look: what is sent by hand goes
//! to the raw sockets of its protocol and then to whom it is for, UDP or the machine, which answers echoes; and as
//! long as there are raw sockets, UDP shows them what it sends. TCP's segments don't exist and aren't seen.

mod arrive;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::IpAddr;
use kiln_core::errno::Errno;
use kiln_core::net::addr::{Endpoint, Reach, family_of, reach};
use kiln_core::net::inet::ip as ip_option;
use kiln_core::net::ip::{self, HEAD, HEAD_V6, Head, SHORT_HEAD};
use kiln_core::net::options::int;
use kiln_core::net::{family, level, msg};

use arrive::{arrive, next_number};

pub(super) use arrive::{as_sent, seen};

use super::udp::DgramSock;
use crate::fs::memory::{try_copy, try_push, try_zeros};
use crate::fs::procfs::{Text, pair};
use crate::net::common::SHUT_WRITE;
use crate::net::packet::Route;
use crate::net::socket::{Caller, Outgoing};
use crate::sync::SpinLock;
use crate::vm::IoSrc;

/// `IPPROTO_UDPLITE`, as a head has it.
pub(super) const UDPLITE: u16 = 136;
/// `SOL_RAW` and `SOL_ICMPV6` (linux/socket.h).
const SOL_RAW: i32 = 255;
const SOL_ICMPV6: i32 = 58;
/// `IPV6_CHECKSUM` and `IPV6_HDRINCL` (linux/in6.h).
const CHECKSUM: u32 = 7;
const HDRINCL_V6: u32 = 36;
/// `ICMP_FILTER`, and `ICMPV6_FILTER` (linux/icmp.h, linux/icmpv6.h).
const FILTER: u32 = 1;

/// The raw sockets there are.
static RAW: SpinLock<Vec<Weak<DgramSock>>> = SpinLock::new(Vec::new());

/// First and last group whose members may ask for echoes (`net.ipv4.ping_group_range`); nobody's at first.
static PING_GROUPS: SpinLock<[u32; 2]> = SpinLock::new([1, 0]);

/// What only raw sockets have.
pub(super) struct ByHand {
    /// What is sent begins with a head.
    heads: bool,
    /// Types of ICMP that aren't wanted, one bit each.
    filter: [u32; 8],
    /// Where the kernel puts a sum into what is sent, and wants it right in what comes.
    sum_at: Option<u16>,
}

impl ByHand {
    pub(super) fn new(v6: bool, protocol: u16) -> Self {
        Self {
            heads: protocol == ip::RAW,
            filter: [0; 8],
            sum_at: (v6 && protocol == ip::ICMPV6).then_some(2),
        }
    }
}

/// ICMP's number in the family.
pub(super) const fn icmp(v6: bool) -> u16 {
    if v6 { ip::ICMPV6 } else { ip::ICMP }
}

/// Bytes of the family's head.
const fn head_of(v6: bool) -> usize {
    if v6 { HEAD_V6 } else { HEAD }
}

/// EACCES unless the caller is in one of the groups that may ask for echoes.
pub(super) fn may_ping(caller: &Caller<'_>) -> Result<(), Errno> {
    let [first, last] = *PING_GROUPS.lock();
    let who = &caller.lookup.who;
    let fits = |group: &u32| (first..=last).contains(group);
    match fits(&who.gid) || who.groups.iter().any(fits) {
        true => Ok(()),
        false => Err(Errno::EACCES),
    }
}

/// `ping_group_range` as it reads.
pub(in crate::net) fn show_groups(out: &mut Text) -> Result<(), Errno> {
    let [first, last] = *PING_GROUPS.lock();
    out.put(format_args!("{first}\t{last}\n"))
}

/// And what writing to it does; a range that ends before it begins is nobody's.
pub(in crate::net) fn set_groups(text: &[u8]) -> Result<(), Errno> {
    let old = *PING_GROUPS.lock();
    let range = pair(text, old)?;
    // The last of all is nobody's number.
    if range.contains(&u32::MAX) {
        return Err(Errno::EINVAL);
    }
    let [first, last] = range;
    *PING_GROUPS.lock() = if first <= last { range } else { [1, 0] };
    Ok(())
}

/// A new raw socket sees what goes by.
pub(super) fn enter(socket: &Arc<DgramSock>) -> Result<(), Errno> {
    try_push(&mut RAW.lock(), Arc::downgrade(socket))
}

/// It is closed.
pub(super) fn leave(socket: &DgramSock) {
    let mut all = RAW.lock();
    all.retain(|other| !core::ptr::eq(other.as_ptr(), socket));
}

/// The raw sockets.
pub(in crate::net) fn list() -> Result<Vec<Arc<DgramSock>>, Errno> {
    let mut all = Vec::new();
    for socket in RAW.lock().iter().filter_map(Weak::upgrade) {
        try_push(&mut all, socket)?;
    }
    Ok(all)
}

/// Takes an address; the port says nothing.
pub(super) fn bind(socket: &DgramSock, addr: &[u8]) -> Result<(), Errno> {
    let mut address = socket.address.lock();
    let wanted = if address.v6 { 24 } else { 16 };
    let odd = address.v6 && family_of(addr) != Some(family::INET6);
    if addr.len() < wanted || odd || address.peer.is_some() {
        return Err(Errno::EINVAL);
    }
    let to = Endpoint::read(addr, address.v6).ok_or(Errno::EINVAL)?;
    let far = reach(to.ip) == Reach::Nowhere && !to.is_any();
    if far || address.v6 && matches!(to.ip, IpAddr::V4(_)) {
        return Err(Errno::EADDRNOTAVAIL);
    }
    address.local = to.with_port(socket.protocol());
    address.address_bound = !to.is_any();
    Ok(())
}

/// Sets an option that only raw sockets have.
pub(super) fn set_option(
    socket: &DgramSock,
    number: i32,
    name: u32,
    value: &[u8],
) -> Option<Result<(), Errno>> {
    let found = option(socket, number, name)?;
    Some(found.and_then(|found| {
        let mut own = socket.by_hand.lock();
        match found {
            Own::Heads => own.heads = int(value)? != 0,
            Own::Filter => {
                let bytes = own.filter.iter_mut().zip(value.as_chunks::<4>().0);
                bytes.for_each(|(word, raw)| *word = u32::from_le_bytes(*raw));
            }
            Own::Sum => {
                let at = int(value)?;
                own.sum_at = match u16::try_from(at) {
                    Ok(at) if at.is_multiple_of(2) => Some(at),
                    _ if at < 0 => None,
                    _ => return Err(Errno::EINVAL),
                };
            }
        }
        Ok(())
    }))
}

/// Tells one.
pub(super) fn get_option(
    socket: &DgramSock,
    number: i32,
    name: u32,
    room: usize,
) -> Option<Result<Vec<u8>, Errno>> {
    let found = option(socket, number, name)?;
    let v6 = socket.ends().v6;
    Some(found.and_then(|found| {
        let (filter, value) = {
            let own = socket.by_hand.lock();
            let value = match found {
                Own::Heads => i32::from(own.heads),
                _ => own.sum_at.map_or(-1, i32::from),
            };
            (own.filter, value)
        };
        if !matches!(found, Own::Filter) {
            return try_copy(&value.to_le_bytes());
        }
        let mut raw = try_copy(filter.map(u32::to_le_bytes).as_flattened())?;
        raw.truncate(room.min(if v6 { 32 } else { 4 }));
        Ok(raw)
    }))
}

/// An option that only raw sockets have.
enum Own {
    Heads,
    Filter,
    Sum,
}

fn option(socket: &DgramSock, number: i32, name: u32) -> Option<Result<Own, Errno>> {
    let (v6, protocol) = (socket.ends().v6, socket.protocol());
    Some(match (number, name) {
        (level::IP, ip_option::HDRINCL) if !v6 => Ok(Own::Heads),
        (level::IPV6, HDRINCL_V6) if v6 => Ok(Own::Heads),
        (level::IPV6, CHECKSUM) if v6 && protocol == ip::ICMPV6 => Err(Errno::EINVAL),
        (level::IPV6 | SOL_RAW, CHECKSUM) if v6 => Ok(Own::Sum),
        (SOL_RAW, FILTER) if !v6 && protocol == ip::ICMP => Ok(Own::Filter),
        (SOL_RAW, FILTER) if !v6 => Err(Errno::EOPNOTSUPP),
        (SOL_RAW, _) => Err(Errno::ENOPROTOOPT),
        (SOL_ICMPV6, FILTER) if v6 && protocol == ip::ICMPV6 => Ok(Own::Filter),
        (SOL_ICMPV6, _) if v6 && protocol != ip::ICMPV6 => Err(Errno::EOPNOTSUPP),
        _ => return None,
    })
}

/// Sends by hand.
pub(super) fn send(
    socket: &DgramSock,
    src: &mut IoSrc<'_>,
    out: &Outgoing<'_>,
) -> Result<usize, Errno> {
    let len = src.remaining();
    let ping = socket.is_ping();
    if ping {
        socket.need_port()?;
    }
    if ping && len < SHORT_HEAD {
        return Err(Errno::EINVAL);
    }
    if out.flags & msg::OOB != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let mut to = socket.destination(out)?;
    let v6 = socket.ends().v6;
    if v6 && !ping {
        // Its port may name the protocol.
        let own = socket.protocol();
        if to.port != 0 && to.port != own && own != ip::RAW {
            return Err(Errno::EINVAL);
        }
    }
    to.port = 0;
    socket.check_reach(to)?;
    let heads = !ping && socket.by_hand.lock().heads;
    if heads && len < head_of(v6) {
        return Err(Errno::EINVAL);
    }
    let at = if heads { 0 } else { head_of(v6) };
    // IPv6 doesn't count its head.
    if len + if v6 { 0 } else { at } > 0xFFFF {
        return Err(Errno::EMSGSIZE);
    }
    if !v6 && !heads && socket.protocol() == ip::ICMP && len < 2 {
        return Err(Errno::EFAULT);
    }
    if (ping || heads) && socket.shared().is_shut(SHUT_WRITE) {
        return Err(Errno::EPIPE);
    }
    let mut datagram = try_zeros(at + len)?;
    let message = datagram.get_mut(at..).unwrap_or_default();
    if src.take(message)? != len {
        return Err(Errno::EFAULT);
    }
    let route = socket.route(to, out);
    if heads {
        return send_whole(&mut datagram, &route, v6).map(|()| len);
    }
    let head = Head {
        from: route.from.ip,
        to: route.to,
        protocol: socket.protocol(),
        tos: route.tos,
        ttl: route.ttl,
    };
    if ping {
        let asks = ip::echo(head.protocol, message) == Some(true);
        if !asks || message.get(1) != Some(&0) {
            return Err(Errno::EINVAL);
        }
        ip::put(message, 4, socket.ends().local.port);
        head.seal_icmp(message);
    } else if v6 && let Some(at) = socket.by_hand.lock().sum_at {
        let at = usize::from(at);
        if at + 2 > len {
            return Err(Errno::EINVAL);
        }
        ip::seal(
            message,
            at,
            ip::pseudo(head.from, head.to, head.protocol, len),
        );
    }
    head.write(&mut datagram, next_number(), ip::DONT_FRAGMENT);
    arrive(&datagram, &head, at);
    Ok(len)
}

/// A datagram that came with its head, in which the kernel fills what the sender left out.
fn send_whole(datagram: &mut [u8], route: &Route, v6: bool) -> Result<(), Errno> {
    let (_, at) = Head::read(datagram, v6).ok_or(Errno::EINVAL)?;
    if !v6 {
        let len = u16::try_from(datagram.len()).map_err(|_| Errno::EMSGSIZE)?;
        let own = datagram.get_mut(..at).ok_or(Errno::EINVAL)?;
        // Too short for a head: nobody takes it.
        let Some((own, options)) = own.split_first_chunk_mut::<HEAD>() else {
            return Ok(());
        };
        if let (IpAddr::V4(from), [0, 0, 0, 0]) =
            (route.from.ip, [own[12], own[13], own[14], own[15]])
        {
            own[12..16].copy_from_slice(&from.octets());
        }
        ip::put(own, 2, len);
        if own[4..6] == [0, 0] {
            ip::put(own, 4, next_number());
        }
        ip::seal(own, 10, ip::sum(0, options));
    }
    let (head, _) = Head::read(datagram, v6).ok_or(Errno::EINVAL)?;
    let version = datagram.first().map(|byte| byte >> 4);
    if version == Some(if v6 { 6 } else { 4 }) {
        arrive(datagram, &head, at);
    }
    Ok(())
}
