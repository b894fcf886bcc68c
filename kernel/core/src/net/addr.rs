//! Addresses: `struct sockaddr_un`, `sockaddr_in`, `sockaddr_in6` (unix(7), ip(7), ipv6(7)) from a
//! program's bytes and back, to the byte.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::family;
use crate::errno::Errno;

/// Most bytes of any address (`struct sockaddr_storage`).
pub const STORAGE: usize = 128;
/// `sizeof(struct sockaddr_in)`.
pub const SIZE_IN: usize = 16;
/// `sizeof(struct sockaddr_in6)`.
pub const SIZE_IN6: usize = 28;
/// The same without the scope (RFC 2133), which is enough.
const SIZE_IN6_OLD: usize = 24;
/// `sizeof(struct sockaddr_un)`.
const SIZE_UN: usize = 110;

/// The family in front of an address; `None` when it is too short for one.
#[must_use]
pub fn family_of(raw: &[u8]) -> Option<u16> {
    let bytes = raw.get(..2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes))
}

/// The address of a unix socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnixAddr {
    /// None given: bind chooses one.
    Unnamed,
    /// A path in the file system.
    Path(Vec<u8>),
    /// A name of its own space, the leading zero left out.
    Abstract(Vec<u8>),
}

impl UnixAddr {
    /// Reads an address; EINVAL for what isn't one.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM`.
    pub fn parse(raw: &[u8]) -> Result<Self, Errno> {
        if family_of(raw) != Some(family::UNIX) || raw.len() > SIZE_UN {
            return Err(Errno::EINVAL);
        }
        let name = raw.get(2..).unwrap_or_default();
        match name.split_first() {
            None => Ok(Self::Unnamed),
            Some((0, rest)) => copy(rest).map(Self::Abstract),
            Some(_) => {
                let end = name.iter().position(|byte| *byte == 0);
                copy(name.get(..end.unwrap_or(name.len())).unwrap_or_default()).map(Self::Path)
            }
        }
    }

    /// The address as `getsockname` tells it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(SIZE_UN + 1);
        raw.extend_from_slice(&family::UNIX.to_le_bytes());
        match self {
            Self::Unnamed => {}
            Self::Path(path) => {
                raw.extend_from_slice(path);
                raw.push(0);
            }
            Self::Abstract(name) => {
                raw.push(0);
                raw.extend_from_slice(name);
            }
        }
        raw
    }
}

fn copy(bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| Errno::ENOMEM)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// An internet address with a port. An IPv4 address mapped into IPv6 is the IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Endpoint {
    /// The address.
    pub ip: IpAddr,
    /// The port; 0 is none.
    pub port: u16,
}

impl Endpoint {
    /// No address, no port, of the family.
    #[must_use]
    pub const fn unspecified(v6: bool) -> Self {
        let ip = match v6 {
            true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        Self { ip, port: 0 }
    }

    /// Reads a `sockaddr_in`, or a `sockaddr_in6`.
    ///
    /// # Errors
    /// `EINVAL` when too short, `EAFNOSUPPORT` for another family.
    pub fn parse(raw: &[u8], v6: bool) -> Result<Self, Errno> {
        let wanted = if v6 { SIZE_IN6_OLD } else { SIZE_IN };
        if raw.len() < wanted {
            return Err(Errno::EINVAL);
        }
        let own = if v6 { family::INET6 } else { family::INET };
        if family_of(raw) != Some(own) {
            return Err(Errno::EAFNOSUPPORT);
        }
        Self::read(raw, v6).ok_or(Errno::EINVAL)
    }

    /// Reads an address whose family has been looked at.
    #[must_use]
    pub fn read(raw: &[u8], v6: bool) -> Option<Self> {
        let port = u16::from_be_bytes(raw.get(2..4)?.try_into().ok()?);
        let ip = if v6 {
            let octets: [u8; 16] = raw.get(8..24)?.try_into().ok()?;
            canonical(Ipv6Addr::from(octets))
        } else {
            let octets: [u8; 4] = raw.get(4..8)?.try_into().ok()?;
            IpAddr::V4(Ipv4Addr::from(octets))
        };
        Some(Self { ip, port })
    }

    /// The address as a socket of the family shows it: IPv4 mapped where it must be.
    #[must_use]
    pub fn encode(&self, v6: bool) -> Vec<u8> {
        let mut raw = Vec::with_capacity(SIZE_IN6);
        let own = if v6 { family::INET6 } else { family::INET };
        raw.extend_from_slice(&own.to_le_bytes());
        raw.extend_from_slice(&self.port.to_be_bytes());
        if v6 {
            raw.extend_from_slice(&[0; 4]);
            raw.extend_from_slice(&self.as_v6().octets());
            raw.extend_from_slice(&[0; 4]);
        } else {
            let ip = match self.ip {
                IpAddr::V4(ip) => ip,
                IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
            };
            raw.extend_from_slice(&ip.octets());
            raw.extend_from_slice(&[0; 8]);
        }
        raw
    }

    /// The address in IPv6's space.
    #[must_use]
    pub fn as_v6(&self) -> Ipv6Addr {
        match self.ip {
            IpAddr::V6(ip) => ip,
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        }
    }

    /// Whether the address is none.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.ip.is_unspecified()
    }

    /// The same with another port.
    #[must_use]
    pub const fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }
}

/// An IPv6 address, or the IPv4 one that is mapped into it.
#[must_use]
pub fn canonical(ip: Ipv6Addr) -> IpAddr {
    match ip.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None => IpAddr::V6(ip),
    }
}

/// What an address is to a machine whose only interface is the loopback's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// This machine.
    Local,
    /// Everybody on the loopback network (127.255.255.255).
    Broadcast,
    /// A group.
    Multicast,
    /// Nobody that can be reached.
    Nowhere,
}

/// Where an address leads.
#[must_use]
pub fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) if ip.octets() == [127, 255, 255, 255] => Reach::Broadcast,
        IpAddr::V4(ip) if ip.is_loopback() => Reach::Local,
        IpAddr::V6(ip) if ip.is_loopback() => Reach::Local,
        ip if ip.is_multicast() => Reach::Multicast,
        _ => Reach::Nowhere,
    }
}

/// The loopback address of the family.
#[must_use]
pub const fn loopback(v6: bool) -> IpAddr {
    match v6 {
        true => IpAddr::V6(Ipv6Addr::LOCALHOST),
        false => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn unix_names_keep_their_bytes() {
        let path = [b"\x01\0".as_slice(), b"/tmp/s\0rubbish"].concat();
        let parsed = UnixAddr::parse(&path).expect("a path");
        assert_eq!(parsed, UnixAddr::Path(b"/tmp/s".to_vec()));
        assert_eq!(parsed.encode(), b"\x01\0/tmp/s\0");
        let name = b"\x01\0\0a\0b";
        let parsed = UnixAddr::parse(name).expect("a name");
        assert_eq!(parsed, UnixAddr::Abstract(b"a\0b".to_vec()));
        assert_eq!(parsed.encode(), name);
        assert_eq!(UnixAddr::parse(b"\x01\0"), Ok(UnixAddr::Unnamed));
    }

    #[test]
    fn wrong_unix_addresses_are_refused() {
        for raw in [vec![], vec![1], b"\x02\0x".to_vec(), vec![1; 111]] {
            assert_eq!(UnixAddr::parse(&raw), Err(Errno::EINVAL), "{raw:?}");
        }
    }

    #[test]
    fn internet_addresses_come_back() {
        let raw = b"\x02\0\x1f\x90\x7f\0\0\x01\0\0\0\0\0\0\0\0";
        let parsed = Endpoint::parse(raw, false).expect("an address");
        assert_eq!((parsed.ip, parsed.port), (loopback(false), 8080));
        assert_eq!(parsed.encode(false), raw);
        let mapped = parsed.encode(true);
        assert_eq!(mapped.len(), SIZE_IN6);
        assert_eq!(Endpoint::parse(&mapped, true), Ok(parsed));
        assert_eq!(Endpoint::parse(raw, true), Err(Errno::EINVAL));
        assert_eq!(Endpoint::parse(&mapped, false), Err(Errno::EAFNOSUPPORT));
    }

    #[test]
    fn only_the_loopback_is_near() {
        let reach_of = |text: &str| reach(text.parse().expect("an address"));
        assert_eq!(reach_of("127.3.2.1"), Reach::Local);
        assert_eq!(reach_of("::1"), Reach::Local);
        assert_eq!(reach_of("127.255.255.255"), Reach::Broadcast);
        assert_eq!(reach_of("224.0.0.1"), Reach::Multicast);
        assert_eq!(reach_of("ff02::1"), Reach::Multicast);
        assert_eq!(reach_of("10.0.0.1"), Reach::Nowhere);
        assert_eq!(reach_of("2001:db8::1"), Reach::Nowhere);
    }
}
