//! Heads and sums of IP, ICMP and UDP, for those who see or write them: raw sockets
//! (RFC 791, 768, 792, 1071, 4443, 8200).

use core::net::IpAddr;

/// Protocols, as in a head.
pub const ICMP: u16 = 1;
/// UDP.
pub const UDP: u16 = 17;
/// ICMP of IPv6.
pub const ICMPV6: u16 = 58;
/// Whatever the head says (`IPPROTO_RAW`).
pub const RAW: u16 = 255;
/// Bytes of IPv4's shortest head, which is the one that is written here.
pub const HEAD: usize = 20;
/// Bytes of IPv6's head.
pub const HEAD_V6: usize = 40;
/// Bytes of UDP's head, and of an echo's.
pub const SHORT_HEAD: usize = 8;
/// Most bytes of a message that say what couldn't be delivered: the least that every host takes whole.
const QUOTE: usize = 576 - HEAD - SHORT_HEAD;
/// The same of IPv6, whose head isn't counted.
const QUOTE_V6: usize = 1280 - HEAD_V6 - SHORT_HEAD;
/// "Don't fragment".
pub const DONT_FRAGMENT: u16 = 0x4000;

/// The words of `bytes` added up in ones' complement, on top of `start`; what a sum covers and the sum itself
/// come to 0xFFFF.
#[must_use]
pub fn sum(start: u16, bytes: &[u8]) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut sum = u32::from(start);
    for pair in pairs {
        sum += u32::from(u16::from_be_bytes(*pair));
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    if let [last] = rest {
        sum += u32::from(*last) << 8;
    }
    sum = (sum & 0xFFFF) + (sum >> 16);
    low(sum)
}

const fn low(sum: u32) -> u16 {
    let [a, b, ..] = sum.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// The sum of what a protocol's own sum covers besides its bytes: addresses, protocol, length.
#[must_use]
pub fn pseudo(from: IpAddr, to: IpAddr, protocol: u16, len: usize) -> u16 {
    let mut start = sum(protocol, &len.to_be_bytes());
    for ip in [from, to] {
        start = match ip {
            IpAddr::V4(ip) => sum(start, &ip.octets()),
            IpAddr::V6(ip) => sum(start, &ip.octets()),
        };
    }
    start
}

/// Puts a word at a place, if there is one.
pub fn put(bytes: &mut [u8], at: usize, word: u16) {
    if let Some(to) = bytes.get_mut(at..at + 2) {
        to.copy_from_slice(&word.to_be_bytes());
    }
}

/// The word at a place.
#[must_use]
pub fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let raw = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(raw.try_into().ok()?))
}

/// Makes the sum at `at` of all `bytes` on top of `start`.
pub fn seal(bytes: &mut [u8], at: usize, start: u16) {
    put(bytes, at, 0);
    let sum = !sum(start, bytes);
    put(bytes, at, sum);
}

/// What a head says of its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Who sent it.
    pub from: IpAddr,
    /// Whom it is for.
    pub to: IpAddr,
    /// What is in it.
    pub protocol: u16,
    /// Type of service, or traffic class.
    pub tos: u8,
    /// Hops it may go.
    pub ttl: u8,
}

impl Head {
    /// Writes it in front of a datagram of IPv4's, whose bytes are all here; of IPv6's only if there is room for it.
    pub fn write(&self, datagram: &mut [u8], number: u16, fragment: u16) {
        let len = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
        let [_, protocol] = self.protocol.to_be_bytes();
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let Some(head) = datagram.first_chunk_mut::<HEAD>() else {
                    return;
                };
                head[..2].copy_from_slice(&[0x45, self.tos]);
                put(head, 2, len);
                put(head, 4, number);
                put(head, 6, fragment);
                head[8..10].copy_from_slice(&[self.ttl, protocol]);
                head[12..16].copy_from_slice(&from.octets());
                head[16..20].copy_from_slice(&to.octets());
                seal(head, 10, 0);
            }
            (from, to) => {
                let Some(head) = datagram.first_chunk_mut::<HEAD_V6>() else {
                    return;
                };
                put(head, 0, 0x6000 | u16::from(self.tos) << 4);
                put(head, 2, number);
                put(head, 4, len.saturating_sub(40));
                head[6..8].copy_from_slice(&[protocol, self.ttl]);
                let [_, _, _, _, _, _, _, _, ends @ ..] = head;
                let octets = [from, to].map(|ip| match ip {
                    IpAddr::V6(ip) => ip.octets(),
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                });
                ends.copy_from_slice(octets.as_flattened());
            }
        }
    }

    /// Reads the head of a datagram, and how long it is.
    #[must_use]
    pub fn read(datagram: &[u8], v6: bool) -> Option<(Self, usize)> {
        if v6 {
            let head: &[u8; HEAD_V6] = datagram.first_chunk()?;
            let address = |at: usize| -> Option<IpAddr> {
                Some(IpAddr::from(*head.get(at..)?.first_chunk::<16>()?))
            };
            let head = Self {
                from: address(8)?,
                to: address(24)?,
                protocol: head[6].into(),
                tos: head[0] << 4 | head[1] >> 4,
                ttl: head[7],
            };
            return Some((head, HEAD_V6));
        }
        let head: &[u8; HEAD] = datagram.first_chunk()?;
        let len = usize::from(head[0] & 0xF) * 4;
        let [.., a, b, c, d, e, f, g, h] = *head;
        let read = Self {
            from: IpAddr::from([a, b, c, d]),
            to: IpAddr::from([e, f, g, h]),
            protocol: head[9].into(),
            tos: head[1],
            ttl: head[8],
        };
        Some((read, len))
    }

    /// The head of what goes back to where this came from.
    #[must_use]
    pub const fn back(&self, protocol: u16, tos: u8) -> Self {
        Self {
            from: self.to,
            to: self.from,
            protocol,
            tos,
            ttl: 64,
        }
    }

    /// Whether the protocol's sum, where it has one in its bytes, is right.
    #[must_use]
    pub fn is_right(&self, bytes: &[u8]) -> bool {
        let start = match self.protocol {
            ICMP => 0,
            _ => pseudo(self.from, self.to, self.protocol, bytes.len()),
        };
        sum(start, bytes) == 0xFFFF
    }

    /// Makes ICMP's sum.
    pub fn seal_icmp(&self, message: &mut [u8]) {
        let start = match self.protocol {
            ICMP => 0,
            _ => pseudo(self.from, self.to, self.protocol, message.len()),
        };
        seal(message, 2, start);
    }
}

/// Whether a message of ICMP asks for an echo (`true`), or is one (`false`).
#[must_use]
pub fn echo(protocol: u16, message: &[u8]) -> Option<bool> {
    match (protocol, message.first()?, message.get(1)?) {
        (ICMP, 8, _) | (ICMPV6, 128, _) => Some(true),
        (ICMP, 0, _) | (ICMPV6, 129, _) => Some(false),
        _ => None,
    }
}

/// Type and code of the message that nobody has a port, and how much of the datagram it quotes.
#[must_use]
pub const fn no_port(v6: bool) -> ([u8; 2], usize) {
    match v6 {
        true => ([1, 4], QUOTE_V6),
        false => ([3, 3], QUOTE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use std::vec;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn head(from: IpAddr, to: IpAddr) -> Head {
        Head {
            from,
            to,
            protocol: ICMP,
            tos: 0x28,
            ttl: 9,
        }
    }

    #[test]
    fn sums_are_those_of_rfc_1071() {
        assert_eq!(
            sum(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            0xddf2
        );
        assert_eq!(sum(0xFFFF, &[0xFF; 5]), sum(0, &[0xFF, 0]));
        let mut bytes = [8, 0, 9, 9, 0x12, 0x34, 0, 7, 0x63];
        seal(&mut bytes, 2, 0);
        assert_eq!(sum(0, &bytes), 0xFFFF);
    }

    #[test]
    fn heads_come_back() {
        let v6 = "::1".parse().expect("an address");
        for (written, long, is_v6) in [
            (head(HERE, HERE), HEAD, false),
            (head(v6, v6), HEAD_V6, true),
        ] {
            let mut datagram = vec![0; long + 3];
            written.write(&mut datagram, 7, DONT_FRAGMENT);
            assert_eq!(Head::read(&datagram, is_v6), Some((written, long)));
            assert_eq!(Head::read(&datagram[..long - 1], is_v6), None);
        }
        let mut datagram = [0; HEAD];
        head(HERE, HERE).write(&mut datagram, 7, 0);
        assert_eq!(sum(0, &datagram), 0xFFFF);
    }

    #[test]
    fn echoes_are_known_by_their_protocol() {
        assert_eq!(echo(ICMP, &[8, 0]), Some(true));
        assert_eq!(echo(ICMPV6, &[8, 0]), None);
        assert_eq!(echo(ICMPV6, &[129, 0]), Some(false));
        assert_eq!(echo(ICMP, &[8]), None);
    }
}
