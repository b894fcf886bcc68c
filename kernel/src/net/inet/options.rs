//! Options of internet sockets at the levels of IP, IPv6, TCP and UDP.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::addr::{Reach, canonical, reach};
use kiln_core::net::inet::{ip, ipv6, tcp};
use kiln_core::net::options::int;
use kiln_core::net::{LOOPBACK_INDEX, LOOPBACK_MTU, family, level};

use super::address::Address;
use super::raw;
use super::tcp::{Phase, TcpSock};
use super::udp::DgramSock;
use crate::fs::memory::{try_copy, try_push, try_zeros};
use crate::net::socket::Caller;
use crate::sync::SpinLock;

/// Bytes of `struct tcp_info`.
const TCP_INFO: usize = 280;
/// The largest segment of a connection over the loopback: half a window of 64 KiB, less options.
const SEGMENT: u32 = 32_741;
/// The same at the side that accepted, before anything has come.
const LARGEST_SEGMENT: u32 = 32_768;
/// The same before there is a connection.
const DEFAULT_SEGMENT: u32 = 536;
/// The names of the algorithms that would avoid congestion (`TCP_CA_NAME_MAX`).
const CONGESTION: [&[u8; 16]; 3] = [
    b"cubic\0\0\0\0\0\0\0\0\0\0\0",
    b"reno\0\0\0\0\0\0\0\0\0\0\0\0",
    b"bbr\0\0\0\0\0\0\0\0\0\0\0\0\0",
];

/// Sets an option of TCP's, or of the levels below.
pub(super) fn set_tcp(
    socket: &TcpSock,
    caller: &Caller<'_>,
    number: i32,
    name: u32,
    value: &[u8],
) -> Result<(), Errno> {
    match (number, name) {
        (level::TCP, tcp::CONGESTION | tcp::ULP) if value.is_empty() => Err(Errno::EINVAL),
        (level::TCP, tcp::CONGESTION) => {
            let at = algorithm(value)?.to_le_bytes();
            set_plain(&socket.address, caller, number, name, &at)
        }
        (level::TCP, tcp::ULP) => Err(Errno::ENOENT),
        (level::TCP, tcp::REPAIR) if !caller.lookup.can(Capability::NetAdmin) => Err(Errno::EPERM),
        (level::TCP, tcp::MD5SIG) => Err(Errno::ENOPROTOOPT),
        (level::IP, ip::MULTICAST_TTL | ip::MULTICAST_IF | 25) => Err(Errno::EINVAL),
        (level::IP, ip::ADD_MEMBERSHIP | ip::DROP_MEMBERSHIP) => Err(Errno::EPROTO),
        (level::IPV6, _) if !socket.ends().v6 => Err(Errno::ENOPROTOOPT),
        (level::IPV6, ipv6::ADDRFORM) => become_v4(socket, int(value)?),
        (level::IPV6, ipv6::MULTICAST_IF | ipv6::MULTICAST_HOPS) | (level::UDP, _) => {
            Err(Errno::ENOPROTOOPT)
        }
        // The two lowest bits are TCP's own (`INET_ECN_MASK`).
        (level::IP, ip::TOS) => {
            let service = value.first().copied().unwrap_or(0) & 0xFC;
            let length = value.len().min(1);
            let value = [service];
            let value = value.get(..length).unwrap_or_default();
            set_plain(&socket.address, caller, number, name, value)
        }
        _ => set_plain(&socket.address, caller, number, name, value),
    }
}

/// Which of [`CONGESTION`] is named.
fn algorithm(value: &[u8]) -> Result<i32, Errno> {
    let end = value.iter().position(|byte| *byte == 0);
    let wanted = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
    let mut names = CONGESTION.iter();
    let at = names.position(|name| {
        let rest = name.strip_prefix(wanted).unwrap_or_default();
        rest.first() == Some(&0)
    });
    i32::try_from(at.ok_or(Errno::ENOENT)?).map_err(|_| Errno::ENOENT)
}

/// `IPV6_ADDRFORM`: a connection to an address of IPv4's is one of that family's.
fn become_v4(socket: &TcpSock, wanted: i32) -> Result<(), Errno> {
    if wanted != i32::from(family::INET) {
        return Err(Errno::EINVAL);
    }
    if socket.phase() != Phase::Connected {
        return Err(Errno::ENOTCONN);
    }
    let mut address = socket.address.lock();
    if address.v6_only() || !matches!(address.peer, Some(to) if to.ip.is_ipv4()) {
        return Err(Errno::EADDRNOTAVAIL);
    }
    address.v6 = false;
    socket.common.set_family(family::INET);
    Ok(())
}

/// Sets an option that is only kept.
fn set_plain(
    address: &SpinLock<Address>,
    caller: &Caller<'_>,
    number: i32,
    name: u32,
    value: &[u8],
) -> Result<(), Errno> {
    if matches!(number, level::TCP | level::UDP) {
        int(value)?;
    }
    let mut address = address.lock();
    match (number, name) {
        (level::IPV6, ipv6::V6ONLY) if address.local.port != 0 => return Err(Errno::EINVAL),
        (level::IP, ip::TRANSPARENT) | (level::IPV6, 75)
            if value.iter().any(|byte| *byte != 0) && !caller.lookup.can(Capability::NetAdmin) =>
        {
            return Err(Errno::EPERM);
        }
        (level::IP, ip::MULTICAST_IF) => {
            address.multicast_if = interface(value)?;
            return Ok(());
        }
        (level::IPV6, ipv6::MULTICAST_IF) => {
            address.multicast_if = index(int(value)?)?;
            return Ok(());
        }
        // The number as it goes over a network.
        (level::IP, ip::UNICAST_IF) | (level::IPV6, ipv6::UNICAST_IF) => {
            let raw = value.try_into().map_err(|_| Errno::EINVAL)?;
            index(i32::from_be_bytes(raw)).map_err(|_| Errno::EADDRNOTAVAIL)?;
        }
        // Whatever fits in a packet that every host takes whole, or any size.
        (level::IPV6, ipv6::MTU) => {
            let size = int(value)?;
            return if matches!(size, 0 | 1280..) {
                Ok(())
            } else {
                Err(Errno::EINVAL)
            };
        }
        _ => {}
    }
    address.options.set(number, name, value)
}

/// Whether an interface's number names the one there is; ENODEV for one that isn't.
fn index(number: i32) -> Result<bool, Errno> {
    match number.cast_unsigned() {
        0 => Ok(false),
        LOOPBACK_INDEX => Ok(true),
        _ => Err(Errno::ENODEV),
    }
}

/// The interface of a `struct in_addr`, `ip_mreq` or `ip_mreqn`.
fn interface(value: &[u8]) -> Result<bool, Errno> {
    let (address, number) = match value.len() {
        12.. => (value.get(4..8), int(value.get(8..).unwrap_or_default())?),
        8.. => (value.get(4..8), 0),
        4.. => (value.get(..4), 0),
        _ => return Err(Errno::EINVAL),
    };
    if index(number)? {
        return Ok(true);
    }
    let octets: [u8; 4] = address
        .and_then(|raw| raw.try_into().ok())
        .unwrap_or([0; 4]);
    let address = Ipv4Addr::from(octets);
    match (address.is_unspecified(), reach(IpAddr::V4(address))) {
        (true, _) => Ok(false),
        (_, Reach::Local) => Ok(true),
        _ => Err(Errno::EADDRNOTAVAIL),
    }
}

/// Tells an option of TCP's, or of the levels below.
pub(super) fn get_tcp(
    socket: &TcpSock,
    number: i32,
    name: u32,
    room: usize,
) -> Result<Vec<u8>, Errno> {
    let connected = socket.phase() == Phase::Connected;
    match (number, name) {
        (level::TCP, tcp::INFO) => tcp_info(socket),
        (level::TCP, tcp::CONGESTION) => {
            let at = socket.ends().options.get(number, name)?;
            let name = usize::try_from(at).ok().and_then(|at| CONGESTION.get(at));
            name.map_or(Err(Errno::EINVAL), |name| try_copy(&name[..]))
        }
        // TCP_SAVED_SYN: none was asked for; IP_PKTOPTIONS.
        (level::TCP, tcp::ULP | 28) | (level::IP, 9) => Ok(Vec::new()),
        (level::TCP, tcp::MAXSEG) => {
            let ends = socket.ends();
            let own = ends.options.get(number, name)?.cast_unsigned();
            let shown = match (connected, own) {
                (true, 0) if ends.accepted => LARGEST_SEGMENT,
                (true, 0) => SEGMENT,
                (true, own) => own.min(SEGMENT),
                (false, 0) => DEFAULT_SEGMENT,
                (false, own) => own,
            };
            try_copy(&shown.to_le_bytes())
        }
        (level::UDP, _) => Err(foreign(socket.ends().v6)),
        _ => get_plain(&socket.ends(), connected, number, name, room),
    }
}

/// What telling of another protocol's options comes to.
fn foreign(v6: bool) -> Errno {
    match v6 {
        true => Errno::ENOPROTOOPT,
        false => Errno::EOPNOTSUPP,
    }
}

/// Tells an option that is only kept.
fn get_plain(
    address: &Address,
    connected: bool,
    number: i32,
    name: u32,
    room: usize,
) -> Result<Vec<u8>, Errno> {
    if !address.v6 && !matches!(number, level::IP | level::TCP | level::UDP | level::UDPLITE) {
        return Err(Errno::EOPNOTSUPP);
    }
    match (number, name) {
        (level::IP, ip::MTU) | (level::IPV6, ipv6::MTU) if !connected => {
            return Err(Errno::ENOTCONN);
        }
        // No packet of IPv4's is longer than its head can say (`IP_MAX_MTU`).
        (level::IP, ip::MTU) => return try_copy(&(LOOPBACK_MTU - 1).to_le_bytes()),
        (level::IPV6, ipv6::MTU) => {
            return try_copy(&LOOPBACK_MTU.to_le_bytes());
        }
        (level::IP, ip::MULTICAST_IF) => return try_copy(&[0; 4]),
        (level::IPV6, ipv6::MULTICAST_IF) => {
            return try_copy(&u32::from(address.multicast_if).to_le_bytes());
        }
        (level::IPV6, 54 | 55 | 57 | 59) => return Ok(Vec::new()),
        _ => {}
    }
    let value = address.options.get(number, name)?;
    // At IP's level a small buffer gets a byte.
    if number == level::IP
        && (1..4).contains(&room)
        && let Ok(byte) = u8::try_from(value)
    {
        return try_copy(&[byte]);
    }
    try_copy(&value.to_le_bytes())
}

/// `struct tcp_info` (linux/tcp.h): the state, and what is the same for every connection here.
fn tcp_info(socket: &TcpSock) -> Result<Vec<u8>, Errno> {
    let mut raw = try_zeros(TCP_INFO)?;
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = raw.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    put(0, &[socket.state_number()]);
    // Timestamps, SACK and window scaling; both scales are 7.
    put(5, &[7, 0x77]);
    let (waiting, backlog) = socket.waiting();
    let clip = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let words = [
        (8, 200_000),
        (12, 40_000),
        (16, SEGMENT),
        (20, DEFAULT_SEGMENT),
        (24, clip(waiting)),
        (28, clip(backlog)),
        (60, 65_535),
        (68, 20),
        (72, 10),
        (76, i32::MAX.cast_unsigned()),
        (80, 10),
        (84, 65_483),
    ];
    for (at, word) in words {
        put(at, &u32::to_le_bytes(word));
    }
    Ok(raw)
}

/// Sets an option of UDP's, or of the levels below.
pub(super) fn set_udp(
    socket: &DgramSock,
    caller: &Caller<'_>,
    number: i32,
    name: u32,
    value: &[u8],
) -> Result<(), Errno> {
    if socket.is_raw()
        && let Some(done) = raw::set_option(socket, number, name, value)
    {
        return done;
    }
    match (number, name) {
        (level::IP, ip::ADD_MEMBERSHIP) => join(socket, group4(value)?, true),
        (level::IP, ip::DROP_MEMBERSHIP) => join(socket, group4(value)?, false),
        (level::IPV6, _) if !socket.ends().v6 => Err(Errno::ENOPROTOOPT),
        (level::IPV6, ipv6::JOIN_GROUP) => join(socket, group6(value)?, true),
        (level::IPV6, ipv6::LEAVE_GROUP) => join(socket, group6(value)?, false),
        (level::IP | level::IPV6, ip::JOIN_GROUP) => join(socket, group_any(value)?, true),
        (level::IP | level::IPV6, ip::LEAVE_GROUP) => join(socket, group_any(value)?, false),
        (level::TCP, _) => Err(Errno::ENOPROTOOPT),
        (level::UDP, _) if socket.is_raw() => Err(Errno::ENOPROTOOPT),
        (level::IP, _) if socket.is_raw() && socket.ends().v6 => Err(Errno::ENOPROTOOPT),
        _ => set_plain(&socket.address, caller, number, name, value),
    }
}

/// Tells an option of UDP's, or of the levels below.
pub(super) fn get_udp(
    socket: &DgramSock,
    number: i32,
    name: u32,
    room: usize,
) -> Result<Vec<u8>, Errno> {
    if socket.is_raw()
        && let Some(told) = raw::get_option(socket, number, name, room)
    {
        return told;
    }
    let address = socket.ends();
    match number {
        level::TCP => Err(foreign(address.v6)),
        level::UDP if socket.is_raw() => Err(foreign(address.v6)),
        level::IP if socket.is_raw() && address.v6 => Err(Errno::ENOPROTOOPT),
        _ => get_plain(&address, address.peer.is_some(), number, name, room),
    }
}

/// A group, and whether an interface was named.
type Group = (IpAddr, bool);

fn group4(value: &[u8]) -> Result<Group, Errno> {
    if value.len() < 8 {
        return Err(Errno::EINVAL);
    }
    let octets: [u8; 4] = value
        .get(..4)
        .and_then(|raw| raw.try_into().ok())
        .unwrap_or([0; 4]);
    let named = interface(value).map_err(|_| Errno::ENODEV)?;
    Ok((IpAddr::V4(Ipv4Addr::from(octets)), named))
}

fn group6(value: &[u8]) -> Result<Group, Errno> {
    let octets = value.get(..16).and_then(|raw| raw.try_into().ok());
    let octets: [u8; 16] = octets.ok_or(Errno::EINVAL)?;
    let named = index(int(value.get(16..).unwrap_or_default())?)?;
    Ok((canonical(Ipv6Addr::from(octets)), named))
}

/// `struct group_req`: an interface's number, and an address.
fn group_any(value: &[u8]) -> Result<Group, Errno> {
    let raw = value.get(8..36).ok_or(Errno::EINVAL)?;
    let named = index(int(value)?)?;
    let v6 = kiln_core::net::addr::family_of(raw) == Some(kiln_core::net::family::INET6);
    let group = kiln_core::net::addr::Endpoint::read(raw, v6).ok_or(Errno::EINVAL)?;
    Ok((group.ip, named))
}

/// Joins a group or leaves it. Without a route to it an interface must be named.
fn join(socket: &DgramSock, (group, named): Group, joins: bool) -> Result<(), Errno> {
    if reach(group) != Reach::Multicast {
        return Err(Errno::EINVAL);
    }
    if joins && !named && matches!(group, IpAddr::V4(_)) {
        return Err(Errno::ENODEV);
    }
    let mut groups = socket.groups.lock();
    let at = groups.iter().position(|own| *own == group);
    match (at, joins) {
        (Some(_), true) => Err(Errno::EADDRINUSE),
        (None, true) if groups.len() >= 20 => Err(Errno::ENOBUFS),
        (None, true) => try_push(&mut groups, group),
        (Some(at), false) => {
            groups.swap_remove(at);
            Ok(())
        }
        (None, false) => Err(Errno::EADDRNOTAVAIL),
    }
}
