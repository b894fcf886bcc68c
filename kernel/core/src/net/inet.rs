//! Options of internet sockets (ip(7), ipv6(7), tcp(7), udp(7)): their first values and bounds, in
//! one table.
//!
//! The loopback interface neither loses nor delays, so most of them are kept for whoever asks and
//! change nothing.

mod heads;

use super::level;
use crate::errno::Errno;
pub use heads::HeadOptions;

/// Names at `IPPROTO_IP` (linux/in.h).
#[allow(missing_docs, reason = "Linux's own names")]
pub mod ip {
    pub const TOS: u32 = 1;
    pub const TTL: u32 = 2;
    pub const HDRINCL: u32 = 3;
    pub const OPTIONS: u32 = 4;
    pub const PKTINFO: u32 = 8;
    pub const RECVERR: u32 = 11;
    pub const RECVTTL: u32 = 12;
    pub const RECVTOS: u32 = 13;
    pub const MTU: u32 = 14;
    pub const FREEBIND: u32 = 15;
    pub const TRANSPARENT: u32 = 19;
    pub const ORIGDSTADDR: u32 = 20;
    pub const NODEFRAG: u32 = 22;
    pub const MULTICAST_IF: u32 = 32;
    pub const MULTICAST_TTL: u32 = 33;
    pub const MULTICAST_LOOP: u32 = 34;
    pub const ADD_MEMBERSHIP: u32 = 35;
    pub const DROP_MEMBERSHIP: u32 = 36;
    pub const JOIN_GROUP: u32 = 42;
    pub const LEAVE_GROUP: u32 = 45;
    pub const MULTICAST_ALL: u32 = 49;
    pub const UNICAST_IF: u32 = 50;
}

/// Names at `IPPROTO_IPV6` (linux/in6.h).
#[allow(missing_docs, reason = "Linux's own names")]
pub mod ipv6 {
    pub const ADDRFORM: u32 = 1;
    /// Of RFC 2292, and told under the same number.
    pub const OLD_PKTINFO: u32 = 2;
    pub const OLD_HOPLIMIT: u32 = 8;
    pub const UNICAST_HOPS: u32 = 16;
    pub const MULTICAST_IF: u32 = 17;
    pub const MULTICAST_HOPS: u32 = 18;
    pub const MULTICAST_LOOP: u32 = 19;
    pub const JOIN_GROUP: u32 = 20;
    pub const LEAVE_GROUP: u32 = 21;
    pub const MTU: u32 = 24;
    pub const RECVERR: u32 = 25;
    pub const V6ONLY: u32 = 26;
    pub const RECVPKTINFO: u32 = 49;
    pub const PKTINFO: u32 = 50;
    pub const RECVHOPLIMIT: u32 = 51;
    pub const HOPLIMIT: u32 = 52;
    pub const RECVTCLASS: u32 = 66;
    pub const TCLASS: u32 = 67;
    pub const ORIGDSTADDR: u32 = 74;
    pub const UNICAST_IF: u32 = 76;
}

/// Names at `IPPROTO_TCP` (linux/tcp.h).
#[allow(missing_docs, reason = "Linux's own names")]
pub mod tcp {
    pub const NODELAY: u32 = 1;
    pub const MAXSEG: u32 = 2;
    pub const LINGER2: u32 = 8;
    pub const DEFER_ACCEPT: u32 = 9;
    pub const WINDOW_CLAMP: u32 = 10;
    pub const INFO: u32 = 11;
    pub const CONGESTION: u32 = 13;
    pub const MD5SIG: u32 = 14;
    pub const REPAIR: u32 = 19;
    pub const FASTOPEN: u32 = 23;
    pub const ULP: u32 = 31;
}

/// Names at `IPPROTO_UDP` (linux/udp.h).
#[allow(missing_docs, reason = "Linux's own names")]
pub mod udp {
    pub const CORK: u32 = 1;
    pub const SEGMENT: u32 = 103;
    pub const GRO: u32 = 104;
}

/// Options at IP's level for which no bytes mean 0: from those of received options to that of errors' lengths.
const EMPTY_IS_0: [u32; 14] = [
    ip::TOS,
    6,
    7,
    ip::PKTINFO,
    10,
    11,
    12,
    13,
    18,
    20,
    23,
    24,
    25,
    26,
];

/// A row of the table.
struct Row {
    level: u8,
    name: u8,
    first: i16,
    low: i32,
    high: i32,
}

const BOOL: (i32, i32) = (i32::MIN, i32::MAX);

/// Every number but the one that tells a switch, for what is rounded instead of refused.
const ANY: (i32, i32) = (-i32::MAX, i32::MAX);

/// No number: told, and never set.
const FIXED: (i32, i32) = (1, 0);

const fn row(level: i32, name: u32, first: i16, (low, high): (i32, i32)) -> Row {
    let ([level, ..], [name, ..]) = (level.to_le_bytes(), name.to_le_bytes());
    Row {
        level,
        name,
        first,
        low,
        high,
    }
}

const fn switch(level: i32, name: u32, first: i16) -> Row {
    row(level, name, first, BOOL)
}

/// How many are kept.
const ROWS: usize = 85;

/// What is kept. An on-or-off option takes every number and keeps 0 or 1.
static TABLE: [Row; ROWS] = [
    row(level::IP, ip::TOS, 0, (0, 255)),
    row(level::IP, ip::TTL, -1, (-1, 255)),
    switch(level::IP, 6, 0),
    switch(level::IP, 7, 0),
    switch(level::IP, ip::PKTINFO, 0),
    row(level::IP, 10, 1, (0, 5)),
    switch(level::IP, ip::RECVERR, 0),
    switch(level::IP, ip::RECVTTL, 0),
    switch(level::IP, ip::RECVTOS, 0),
    switch(level::IP, ip::FREEBIND, 0),
    switch(level::IP, 18, 0),
    switch(level::IP, ip::TRANSPARENT, 0),
    switch(level::IP, ip::ORIGDSTADDR, 0),
    row(level::IP, 21, 0, (0, 255)),
    // IP_HDRINCL and IP_NODEFRAG: of raw sockets alone, and told of all.
    row(level::IP, ip::HDRINCL, 0, FIXED),
    row(level::IP, ip::NODEFRAG, 0, FIXED),
    switch(level::IP, 23, 0),
    switch(level::IP, 24, 0),
    switch(level::IP, 25, 0),
    row(level::IP, 26, 0, (0, 1)),
    row(level::IP, ip::MULTICAST_TTL, 1, (-1, 255)),
    switch(level::IP, ip::MULTICAST_LOOP, 1),
    row(level::IP, ip::MULTICAST_ALL, 1, (0, 1)),
    row(level::IP, ip::UNICAST_IF, 0, ANY),
    switch(level::IPV6, ipv6::OLD_PKTINFO, 0),
    switch(level::IPV6, ipv6::OLD_HOPLIMIT, 0),
    row(level::IPV6, ipv6::UNICAST_HOPS, -1, (-1, 255)),
    row(level::IPV6, ipv6::MULTICAST_HOPS, 1, (-1, 255)),
    row(level::IPV6, ipv6::MULTICAST_LOOP, 1, (0, 1)),
    row(level::IPV6, 23, 1, (0, 5)),
    switch(level::IPV6, ipv6::RECVERR, 0),
    switch(level::IPV6, ipv6::V6ONLY, 0),
    switch(level::IPV6, 29, 1),
    switch(level::IPV6, 33, 0),
    switch(level::IPV6, ipv6::RECVPKTINFO, 0),
    switch(level::IPV6, ipv6::RECVHOPLIMIT, 0),
    switch(level::IPV6, 53, 0),
    switch(level::IPV6, 56, 0),
    switch(level::IPV6, 58, 0),
    switch(level::IPV6, 62, 0),
    switch(level::IPV6, ipv6::RECVTCLASS, 0),
    row(level::IPV6, ipv6::TCLASS, 0, (-1, 255)),
    switch(level::IPV6, 70, 1),
    switch(level::IPV6, ipv6::ORIGDSTADDR, 0),
    switch(level::IPV6, 75, 0),
    switch(level::IPV6, 78, 0),
    switch(level::TCP, tcp::NODELAY, 0),
    row(level::TCP, tcp::MAXSEG, 0, (0, 32767)),
    switch(level::TCP, 3, 0),
    row(level::TCP, 4, 7200, (1, 32767)),
    row(level::TCP, 5, 75, (1, 32767)),
    row(level::TCP, 6, 9, (1, 127)),
    row(level::TCP, 7, 6, (1, 127)),
    row(level::TCP, tcp::LINGER2, 60, ANY),
    row(level::TCP, tcp::DEFER_ACCEPT, 0, ANY),
    row(level::TCP, tcp::WINDOW_CLAMP, 0, ANY),
    switch(level::TCP, 12, 1),
    row(level::TCP, 16, 0, (0, 1)),
    row(level::TCP, 18, 0, (0, i32::MAX)),
    row(level::TCP, tcp::FASTOPEN, 0, (0, i32::MAX)),
    row(level::TCP, 25, 0, ANY),
    row(level::TCP, 27, 0, (0, 2)),
    // TCP_FASTOPEN_CONNECT: no server gives a cookie, so connecting is as without it.
    row(level::TCP, 30, 0, (0, 1)),
    row(level::TCP, 36, 0, (0, 1)),
    switch(level::UDP, udp::CORK, 0),
    // UDP_NO_CHECK6_TX and UDP_NO_CHECK6_RX: there is nothing to sum up between here and here.
    switch(level::UDP, 101, 0),
    switch(level::UDP, 102, 0),
    row(level::UDP, udp::SEGMENT, 0, (0, 65_535)),
    switch(level::UDP, udp::GRO, 0),
    row(level::UDPLITE, 10, 0, (0, 65_535)),
    row(level::UDPLITE, 11, 0, (0, 65_535)),
    // IP_ROUTER_ALERT and its like of IPv6, of raw sockets alone.
    row(level::IP, 5, 0, FIXED),
    row(level::IPV6, 22, 0, FIXED),
    // What RFC 2292 called otherwise, and what RFC 3542 added.
    switch(level::IPV6, 3, 0),
    switch(level::IPV6, 4, 0),
    switch(level::IPV6, 5, 0),
    switch(level::IPV6, 11, 0),
    switch(level::IPV6, 30, 0),
    row(level::IPV6, 31, 0, (0, 1)),
    switch(level::IPV6, 60, 0),
    row(level::IPV6, 73, 0, (0, 255)),
    row(level::IPV6, ipv6::UNICAST_IF, 0, ANY),
    switch(level::IPV6, 77, 0),
    // TCP_CONGESTION: a place in `CONGESTION`; TCP_FASTOPEN_NO_COOKIE.
    row(level::TCP, tcp::CONGESTION, 0, (0, 2)),
    row(level::TCP, 34, 0, (0, 1)),
];

/// The options of one socket.
#[derive(Clone, Copy, Debug)]
pub struct InetOptions {
    values: [i32; ROWS],
}

impl Default for InetOptions {
    fn default() -> Self {
        Self::new()
    }
}

fn find(level: i32, name: u32) -> Option<(usize, &'static Row)> {
    let mut rows = TABLE.iter().enumerate();
    rows.find(|(_, row)| i32::from(row.level) == level && u32::from(row.name) == name)
}

/// What TCP makes of a number: bounded times, and times in retransmissions.
fn rounded(name: u32, number: i32) -> i32 {
    match name {
        tcp::LINGER2 if number < 0 => -1,
        // `tcp_fin_timeout`, and at most twice that (`TCP_FIN_TIMEOUT_MAX`).
        tcp::LINGER2 if number == 0 => 60,
        tcp::LINGER2 => number.min(120),
        tcp::DEFER_ACCEPT => retransmissions(number),
        // Half of the smallest receive buffer.
        tcp::WINDOW_CLAMP if number > 0 => number.max(1152),
        tcp::WINDOW_CLAMP if number < 0 => 1152,
        // No longer queue than a listener's (`net.core.somaxconn`).
        tcp::FASTOPEN => number.min(4096),
        _ => number,
    }
}

/// Seconds up to the end of the retransmission in which `seconds` are over: the first comes after one, the next after
/// twice as long, until they come every two minutes.
fn retransmissions(seconds: i32) -> i32 {
    if seconds <= 0 {
        return 0;
    }
    let (mut period, mut pause) = (1, 1);
    let mut count = 1;
    while seconds > period && count < 255 {
        count += 1;
        pause = (pause * 2).min(120);
        period += pause;
    }
    period
}

impl InetOptions {
    /// What a new socket has.
    #[must_use]
    pub fn new() -> Self {
        let mut values = [0; ROWS];
        for (value, row) in values.iter_mut().zip(&TABLE) {
            *value = row.first.into();
        }
        Self { values }
    }

    /// The value; 0 for what isn't kept.
    #[must_use]
    pub fn value(&self, level: i32, name: u32) -> i32 {
        find(level, name)
            .and_then(|(at, _)| self.values.get(at).copied())
            .unwrap_or(0)
    }

    /// Whether it is on.
    #[must_use]
    pub fn has(&self, level: i32, name: u32) -> bool {
        self.value(level, name) != 0
    }

    /// Sets an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for what isn't kept, `EINVAL` for a value that is short or out of bounds.
    pub fn set(&mut self, level: i32, name: u32, value: &[u8]) -> Result<(), Errno> {
        let (at, row) = find(level, name).ok_or(Errno::ENOPROTOOPT)?;
        let (low, high) = (row.low, row.high);
        if matches!(
            (level, name),
            (level::IP, ip::HDRINCL | ip::NODEFRAG) | (level::IPV6, 22)
        ) {
            return Err(Errno::ENOPROTOOPT);
        }
        let mut number = match (value.len(), level) {
            (4.., _) => super::options::int(value)?,
            // At IP's level a byte will do.
            (1.., level::IP) => i32::from(value.first().copied().unwrap_or(0)),
            (0, level::IP) if EMPTY_IS_0.contains(&name) => 0,
            _ => return Err(Errno::EINVAL),
        };
        if (level, name) == (level::IP, ip::TOS) {
            number &= 0xFF;
        }
        if !(low..=high).contains(&number) {
            return Err(Errno::EINVAL);
        }
        let hops = matches!((level, name), (level::IP, ip::TTL | ip::MULTICAST_TTL));
        if hops && number == 0 && name != ip::MULTICAST_TTL {
            return Err(Errno::EINVAL);
        }
        if number == -1 && hops && name == ip::MULTICAST_TTL {
            number = 1;
        }
        if (level, name) == (level::TCP, tcp::MAXSEG) && (1..88).contains(&number) {
            return Err(Errno::EINVAL);
        }
        if (low, high) == BOOL {
            number = i32::from(number != 0);
        }
        if level == level::TCP {
            number = rounded(name, number);
        }
        if let Some(to) = self.values.get_mut(at) {
            *to = number;
        }
        Ok(())
    }

    /// Tells an option as `getsockopt` does.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for what isn't kept.
    pub fn get(&self, level: i32, name: u32) -> Result<i32, Errno> {
        find(level, name).ok_or(Errno::ENOPROTOOPT)?;
        let value = self.value(level, name);
        Ok(match (level, name, value) {
            (level::IP, ip::TTL, -1) | (level::IPV6, ipv6::UNICAST_HOPS, -1) => 64,
            (level::IPV6, ipv6::MULTICAST_HOPS, -1) => 1,
            (level::IPV6, ipv6::TCLASS, -1) => 0,
            (_, _, value) => value,
        })
    }

    /// Hops that a datagram may go.
    #[must_use]
    pub fn hops(&self, v6: bool) -> u8 {
        let value = match v6 {
            true => self.get(level::IPV6, ipv6::UNICAST_HOPS),
            false => self.get(level::IP, ip::TTL),
        };
        u8::try_from(value.unwrap_or(64)).unwrap_or(64)
    }

    /// Type of service, or traffic class.
    #[must_use]
    pub fn service(&self, v6: bool) -> u8 {
        let value = match v6 {
            true => self.get(level::IPV6, ipv6::TCLASS),
            false => self.get(level::IP, ip::TOS),
        };
        u8::try_from(value.unwrap_or(0)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
