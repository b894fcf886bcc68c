//! Route sockets (rtnetlink(7)): the answers to the dumps by which C libraries find interfaces and
//! addresses, for a machine whose only interface is the loopback's. [`generic`] and [`connector`] are other
//! protocols of netlink(7).

pub mod connector;
pub mod generic;

use alloc::vec::Vec;

use super::{LOOPBACK_INDEX, LOOPBACK_MTU, family};
use crate::errno::Errno;

/// Bytes of `struct nlmsghdr`.
pub const HEADER: usize = 16;

/// The least kind that a protocol gives a meaning to (`NLMSG_MIN_TYPE`).
const MIN_KIND: u16 = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDR: u16 = 20;
const GET_ADDR: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
const GET_NEIGHBOUR: u16 = 30;
const NEW_RULE: u16 = 32;
const GET_RULE: u16 = 34;
/// Kinds of requests end here (`RTM_MAX`).
const END: u16 = 120;
/// In the answer to success: the request isn't echoed as a whole.
const CAPPED: u16 = 0x100;
/// One of many.
const MULTI: u16 = 2;
/// An answer is wanted even to success.
const ACK: u16 = 4;
/// All there is (`NLM_F_ROOT | NLM_F_MATCH`).
const DUMP: u16 = 0x300;
/// What isn't there is to be made (`NLM_F_CREATE`).
const CREATE: u16 = 0x400;
/// It is a request.
const REQUEST: u16 = 1;

/// Bytes before a link's attributes: `struct ifinfomsg` follows the header.
const LINK: usize = HEADER + 16;
/// `IFLA_IFNAME`.
const NAME: u16 = 3;
/// `IFF_UP`.
const UP: u32 = 1;

/// One request of a program's.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    raw: &'a [u8],
}

fn short(raw: &[u8], at: usize) -> u16 {
    let bytes = raw.get(at..at + 2).and_then(|raw| raw.try_into().ok());
    u16::from_le_bytes(bytes.unwrap_or([0; 2]))
}

fn word(raw: &[u8], at: usize) -> u32 {
    let bytes = raw.get(at..at + 4).and_then(|raw| raw.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or([0; 4]))
}

/// The requests in what was sent.
pub fn requests(mut raw: &[u8]) -> impl Iterator<Item = Request<'_>> {
    core::iter::from_fn(move || {
        if raw.len() < HEADER {
            return None;
        }
        let length = crate::num::usize_of32(word(raw, 0));
        if length < HEADER || length > raw.len() {
            return None;
        }
        let this = raw.get(..length)?;
        raw = raw.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Request {
            kind: short(this, 4),
            flags: short(this, 6),
            sequence: word(this, 8),
            raw: this,
        })
    })
}

/// Whether an attribute of a link is the loopback interface's name.
fn is_own_name((kind, value): (u16, &[u8])) -> bool {
    kind == NAME && matches!(value, [b'l', b'o'] | [b'l', b'o', 0, ..])
}

/// Puts one message together.
struct Message<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Message<'a> {
    fn begin(
        out: &'a mut Vec<u8>,
        kind: u16,
        flags: u16,
        request: &Request<'_>,
        port: u32,
    ) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&request.sequence.to_le_bytes());
        out.extend_from_slice(&port.to_le_bytes());
        Self { out, start }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn attribute(&mut self, kind: u16, data: &[u8]) {
        let length = crate::num::low16(crate::num::u64_of(4 + data.len()));
        self.put(&length.to_le_bytes());
        self.put(&kind.to_le_bytes());
        self.put(data);
        while !(self.out.len() - self.start).is_multiple_of(4) {
            self.out.push(0);
        }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let length = crate::num::low32(crate::num::u64_of(self.out.len() - self.start));
        let to = self.out.get_mut(self.start..self.start + 4);
        if let Some(to) = to {
            to.copy_from_slice(&length.to_le_bytes());
        }
    }
}

impl Request<'_> {
    /// The family asked for; 0 is every one.
    fn family(&self) -> u16 {
        u16::from(self.raw.get(HEADER).copied().unwrap_or(0))
    }

    /// A request that is answered with whatever there is, and the end of it.
    fn asks_for_all(&self) -> bool {
        self.is_dump() && self.flags & REQUEST != 0 && self.kind >= MIN_KIND
    }

    fn is_dump(&self) -> bool {
        self.flags & DUMP == DUMP
    }

    /// The kinds and values of its attributes, which begin at `at`. One that lies ends them.
    fn attributes(&self, at: usize) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = self.raw.get(at..).unwrap_or_default();
        core::iter::from_fn(move || {
            let length = usize::from(short(rest, 0));
            let attribute = (short(rest, 2), rest.get(4..length)?);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some(attribute)
        })
    }

    /// Whether it is about the loopback interface, by number or else by name.
    fn is_loopback(&self) -> bool {
        match word(self.raw, HEADER + 4) {
            0 => self.attributes(LINK).any(is_own_name),
            index => index == LOOPBACK_INDEX,
        }
    }

    /// Whether it wants the interface to be up, as it is, and nothing else.
    fn wants_it_up(&self) -> bool {
        let flags = word(self.raw, HEADER + 8);
        // No flag said to change is all of them (`rtnl_dev_get_flags` in Linux).
        let change = match word(self.raw, HEADER + 12) {
            0 => flags,
            change => change,
        };
        change & !(flags & UP) == 0 && self.attributes(LINK).all(is_own_name)
    }

    /// Answers it: datagrams, each to be received at once. `port` is the asking socket's, which `may` change
    /// something or not.
    #[must_use]
    pub fn answer(&self, port: u32, may: bool) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        let mut out = Vec::new();
        let done = self.carry_out(&mut out, port, may);
        let error = done.map_or_else(Errno::number, |()| 0);
        if !out.is_empty() {
            answers.push(out);
        } else if error != 0 || !self.asks_for_all() && self.flags & ACK != 0 {
            answers.push(self.error(error, port));
        }
        if error == 0 && self.asks_for_all() {
            let mut end = Vec::new();
            Message::begin(&mut end, DONE, MULTI, self, port).put(&[0; 4]);
            answers.push(end);
        }
        answers
    }

    fn carry_out(&self, out: &mut Vec<u8>, port: u32, may: bool) -> Result<(), Errno> {
        if self.flags & REQUEST == 0 || self.kind < MIN_KIND {
            return Ok(());
        }
        // Of four kinds in a row the third only asks.
        if self.kind < END && self.kind & 3 != 2 && !may {
            return Err(Errno::EPERM);
        }
        match (self.kind, self.is_dump()) {
            (GET_LINK, true) => self.link(out, MULTI, port),
            (GET_ADDR, true) => self.addresses(out, port),
            (GET_ROUTE, true) => self.routes(out, port),
            (GET_RULE, true) => self.rules(out, port),
            (GET_NEIGHBOUR, true) => {}
            (NEW_LINK, _) if self.flags & CREATE != 0 => return Err(Errno::EOPNOTSUPP),
            (GET_LINK | NEW_LINK | DEL_LINK, _) if !self.is_loopback() => {
                return Err(Errno::ENODEV);
            }
            (GET_LINK, _) => self.link(out, 0, port),
            (NEW_LINK, _) if self.wants_it_up() => {}
            (GET_ROUTE, _) => return self.route(out, port),
            _ => return Err(Errno::EOPNOTSUPP),
        }
        Ok(())
    }

    fn error(&self, number: u16, port: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let (flags, echoed) = match number {
            0 => (CAPPED, HEADER),
            _ => (0, self.raw.len()),
        };
        let mut message = Message::begin(&mut out, ERROR, flags, self, port);
        message.put(&(-i32::from(number)).to_le_bytes());
        message.put(self.raw.get(..echoed).unwrap_or_default());
        drop(message);
        out
    }

    fn link(&self, out: &mut Vec<u8>, flags: u16, port: u32) {
        let mut message = Message::begin(out, NEW_LINK, flags, self, port);
        // struct ifinfomsg: family, type (ARPHRD_LOOPBACK), index, flags (UP, LOOPBACK, RUNNING,
        // LOWER_UP), change.
        message.put(&[0, 0]);
        message.put(&772u16.to_le_bytes());
        message.put(&LOOPBACK_INDEX.to_le_bytes());
        message.put(&0x1_0049u32.to_le_bytes());
        message.put(&[0; 4]);
        message.attribute(3, b"lo\0");
        message.attribute(13, &1000u32.to_le_bytes());
        message.attribute(16, &[0]);
        message.attribute(17, &[0]);
        message.attribute(4, &LOOPBACK_MTU.to_le_bytes());
        message.attribute(50, &0u32.to_le_bytes());
        message.attribute(51, &0u32.to_le_bytes());
        message.attribute(27, &0u32.to_le_bytes());
        message.attribute(6, b"noqueue\0");
        message.attribute(1, &[0; 6]);
        message.attribute(2, &[0; 6]);
        // Counters: none are kept.
        message.attribute(7, &[0; 96]);
        message.attribute(23, &[0; 192]);
    }

    fn addresses(&self, out: &mut Vec<u8>, port: u32) {
        let wanted = self.family();
        for (own, bits) in [(family::INET, 8), (family::INET6, 128)] {
            if wanted != 0 && wanted != own {
                continue;
            }
            let mut message = Message::begin(out, NEW_ADDR, MULTI, self, port);
            // struct ifaddrmsg: family, prefix, flags (permanent), scope (host), index.
            message.put(&[crate::num::low8(u64::from(own)), bits, 0x80, 254]);
            message.put(&LOOPBACK_INDEX.to_le_bytes());
            if own == family::INET {
                message.attribute(1, &[127, 0, 0, 1]);
                message.attribute(2, &[127, 0, 0, 1]);
                message.attribute(3, b"lo\0");
            } else {
                message.attribute(1, &core::net::Ipv6Addr::LOCALHOST.octets());
            }
            message.attribute(8, &0x80u32.to_le_bytes());
            // struct ifa_cacheinfo: for ever.
            let mut cache = [0xFF; 16];
            if let Some(stamps) = cache.get_mut(8..) {
                stamps.fill(0);
            }
            message.attribute(6, &cache);
        }
    }

    /// The way to one address (`RTA_DST`), which is the first attribute.
    fn route(&self, out: &mut Vec<u8>, port: u32) -> Result<(), Errno> {
        let to = self.raw.get(HEADER + 16..).unwrap_or_default();
        if self.family() != family::INET || !matches!(to, [127, _, _, _]) {
            return Err(Errno::ENETUNREACH);
        }
        let mut message = Message::begin(out, NEW_ROUTE, 0, self, port);
        // As below, with RTM_F_CLONED and RTCF_LOCAL: made for this answer. The table is main, which the local one is
        // merged with as long as nobody changes the rules.
        message.put(&[2, 32, 0, 0, 254, 0, 0, 2, 0, 2, 0, 0x80]);
        message.attribute(15, &254u32.to_le_bytes());
        message.attribute(1, to);
        message.attribute(4, &LOOPBACK_INDEX.to_le_bytes());
        message.attribute(7, to);
        Ok(())
    }

    /// The rules that every network namespace begins with: which tables are looked at (`FRA_TABLE`), and when
    /// (`FRA_PRIORITY`).
    fn rules(&self, out: &mut Vec<u8>, port: u32) {
        for (own, table, priority) in [
            (2, 255, 0),
            (2, 254, 32766),
            (2, 253, 32767u32),
            (10, 255, 0),
            (10, 254, 32766),
        ] {
            if self.family() != 0 && self.family() != u16::from(own) {
                continue;
            }
            let mut message = Message::begin(out, NEW_RULE, MULTI, self, port);
            // struct fib_rule_hdr: family, lengths, tos, table, action (FR_ACT_TO_TBL), flags.
            message.put(&[own, 0, 0, 0, table, 0, 0, 1, 0, 0, 0, 0]);
            message.attribute(15, &u32::from(table).to_le_bytes());
            message.attribute(6, &priority.to_le_bytes());
        }
    }

    fn routes(&self, out: &mut Vec<u8>, port: u32) {
        let wanted = self.family();
        if wanted != 0 && wanted != family::INET {
            return;
        }
        for (address, bits, kind) in [([127, 0, 0, 0], 8, 2), ([127, 0, 0, 1], 32, 2)] {
            let mut message = Message::begin(out, NEW_ROUTE, MULTI, self, port);
            // struct rtmsg: family, lengths, tos, table (local), protocol (kernel), scope (host),
            // type (local), flags.
            message.put(&[2, bits, 0, 0, 255, 2, 254, kind]);
            message.put(&[0; 4]);
            message.attribute(15, &255u32.to_le_bytes());
            message.attribute(1, &address);
            message.attribute(7, &[127, 0, 0, 1]);
            message.attribute(4, &LOOPBACK_INDEX.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
