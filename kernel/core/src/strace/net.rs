//! What pointers point to: addresses, options and messages of sockets.

use alloc::string::String;
use core::fmt::Write;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::lists::io_vectors;
use super::names::{self, flags, one_of};
use super::structs::{halves, words};
use super::{Arg, Memory, View, options as o, pointer, text};
use crate::num::{int_arg, low32, usize_of};

/// The longest address that is kept.
const ADDRESS: usize = 128;

/// Shows `value` as `arg`'s structure, or a constant that depends on another argument. False:
/// show the bare pointer.
pub(super) fn show(line: &mut String, arg: Arg, value: u64, next: u64, view: &View<'_>) -> bool {
    let (before, after) = (view.before, view.after);
    let word = u64::from(low32(value));
    match arg {
        Arg::SockName => one_of(line, word, option_names(view.value(1))),
        Arg::Protocol => protocol(line, view.value(0), word),
        _ if value == 0 => return false,
        Arg::SockAddr => return address(line, value, u64::from(low32(next)), before),
        Arg::SockAddrOut => {
            let len = halves(next, after).filter(|_| view.done().is_some());
            return len.is_some_and(|[len]| address(line, value, u64::from(len), after));
        }
        Arg::LenPtr => return length(line, value, view),
        Arg::SockOpt => return option(line, value, u64::from(low32(next)), before),
        Arg::SockOptOut => {
            let len = halves(next, after).filter(|_| view.done().is_some());
            return len.is_some_and(|[len]| option(line, value, u64::from(len), after));
        }
        Arg::MsgHdr => return message(line, value, u64::MAX, before),
        Arg::MsgHdrOut => {
            return view
                .done()
                .is_some_and(|total| message(line, value, total, after));
        }
        _ => return false,
    }
    true
}

/// The names of a level's options.
fn option_names(level: u64) -> &'static names::Names {
    match low32(level) {
        1 => o::SOCKET_OPTIONS,
        0 => o::IP_OPTIONS,
        6 => o::TCP_OPTIONS,
        41 => o::IPV6_OPTIONS,
        _ => &[],
    }
}

/// The protocol of a `socket` call's domain.
fn protocol(line: &mut String, domain: u64, value: u64) {
    match domain {
        2 | 10 => one_of(line, value, o::PROTOCOLS),
        16 => one_of(line, value, o::NETLINK),
        _ => {
            let _ = write!(line, "{}", int_arg(value));
        }
    }
}

/// `struct sockaddr` of `len` bytes.
fn address(line: &mut String, at: u64, len: u64, memory: &dyn Memory) -> bool {
    let mut bytes = [0; ADDRESS];
    let len = usize_of(len).min(ADDRESS);
    let Some(bytes) = bytes.get_mut(..len) else {
        return false;
    };
    if !memory.read(at, bytes) {
        return false;
    }
    let Some((family, rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let family = u16::from_le_bytes(*family);
    line.push_str("{sa_family=");
    one_of(line, u64::from(family), o::DOMAINS);
    match (family, rest) {
        (1, []) => {}
        (1, [0, name @ ..]) => {
            line.push_str(", sun_path=@");
            text::quote(line, name);
        }
        (1, name) => {
            let end = name
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(name.len());
            line.push_str(", sun_path=");
            text::quote(line, name.get(..end).unwrap_or(name));
        }
        (2, [p, q, a, b, c, d, ..]) => {
            let (port, host) = (u16::from_be_bytes([*p, *q]), Ipv4Addr::new(*a, *b, *c, *d));
            let _ = write!(
                line,
                ", sin_port=htons({port}), sin_addr=inet_addr(\"{host}\")"
            );
        }
        (10, [p, q, flow @ ..]) => inet6(line, u16::from_be_bytes([*p, *q]), flow),
        (16, [_, _, rest @ ..]) => {
            let half = |at: usize| rest.get(at..).and_then(|rest| rest.first_chunk());
            let [pid, groups] =
                [0, 4].map(|at| half(at).map_or(0, |half| u32::from_le_bytes(*half)));
            let _ = write!(
                line,
                ", nl_pid={}, nl_groups={groups:08x}",
                pid.cast_signed()
            );
        }
        (_, rest) => {
            line.push_str(", sa_data=");
            text::quote(line, rest);
        }
    }
    line.push('}');
    true
}

/// `struct sockaddr_in6` behind its port (linux/in6.h).
fn inet6(line: &mut String, port: u16, rest: &[u8]) {
    let flow = rest
        .first_chunk()
        .map_or(0, |flow| u32::from_be_bytes(*flow));
    let host: [u8; 16] = rest
        .get(4..20)
        .and_then(|host| host.try_into().ok())
        .unwrap_or_default();
    let scope = rest.get(20..).and_then(|scope| scope.first_chunk());
    let scope = scope.map_or(0, |scope| u32::from_le_bytes(*scope));
    let host = Ipv6Addr::from(host);
    let _ = write!(
        line,
        ", sin6_port=htons({port}), sin6_flowinfo=htonl({flow}), \
         inet_pton(AF_INET6, \"{host}\", &sin6_addr), sin6_scope_id={scope}"
    );
}

/// A length that the call replaces: `[128 => 16]`.
fn length(line: &mut String, at: u64, view: &View<'_>) -> bool {
    let Some([from]) = halves(at, view.before) else {
        return false;
    };
    let _ = match halves(at, view.after) {
        Some([to]) if to != from && view.done().is_some() => write!(line, "[{from} => {to}]"),
        _ => write!(line, "[{from}]"),
    };
    true
}

/// An option's value: mostly a number.
fn option(line: &mut String, at: u64, len: u64, memory: &dyn Memory) -> bool {
    match (len, halves(at, memory)) {
        (4, Some([number])) => {
            let _ = write!(line, "[{}]", number.cast_signed());
            true
        }
        (0, _) => false,
        _ => text::buffer(line, at, len, memory),
    }
}

/// `struct msghdr` (linux/socket.h of the kernel).
fn message(line: &mut String, at: u64, total: u64, memory: &dyn Memory) -> bool {
    let Some([name, name_len, vectors, count, control, control_len, how]) = words(at, memory)
    else {
        return false;
    };
    let name_len = low32(name_len);
    line.push_str("{msg_name=");
    if name == 0 || !address(line, name, u64::from(name_len), memory) {
        pointer(line, name);
    }
    let _ = write!(line, ", msg_namelen={name_len}, msg_iov=");
    if vectors == 0 || !io_vectors(line, vectors, count, total, memory) {
        pointer(line, vectors);
    }
    let _ = write!(line, ", msg_iovlen={count}");
    if control != 0 && control_len != 0 {
        line.push_str(", msg_control=");
        if !control_messages(line, control, control_len, memory) {
            pointer(line, control);
        }
    }
    let _ = write!(line, ", msg_controllen={control_len}, msg_flags=");
    flags(line, u64::from(low32(how)), o::MSG, "0");
    line.push('}');
    true
}

/// `struct cmsghdr`, one behind the other.
fn control_messages(line: &mut String, at: u64, len: u64, memory: &dyn Memory) -> bool {
    /// Bytes of a head.
    const HEAD: u64 = 16;
    let mark = line.len();
    line.push('[');
    let mut place = 0;
    while place + HEAD <= len {
        let (Some([size]), Some([level, kind])) = (
            words(at.wrapping_add(place), memory),
            halves(at.wrapping_add(place).wrapping_add(8), memory),
        ) else {
            line.truncate(mark);
            return false;
        };
        let _ = write!(
            line,
            "{}{{cmsg_len={size}, cmsg_level=",
            if place > 0 { ", " } else { "" }
        );
        one_of(line, u64::from(level), o::LEVELS);
        line.push_str(", cmsg_type=");
        one_of(
            line,
            u64::from(kind),
            if level == 1 { o::CONTROL } else { &[] },
        );
        let data = at.wrapping_add(place).wrapping_add(HEAD);
        let size = size.min(len - place).min(1 << 16);
        match (level, kind) {
            (1, 1) => descriptors(line, data, size.saturating_sub(HEAD) / 4, memory),
            (1, 2) => credentials(line, data, memory),
            _ => {}
        }
        line.push('}');
        if size < HEAD {
            break;
        }
        place += size.next_multiple_of(8);
    }
    line.push(']');
    true
}

fn descriptors(line: &mut String, at: u64, count: u64, memory: &dyn Memory) {
    line.push_str(", cmsg_data=[");
    for index in 0..count {
        let Some([fd]) = halves(at.wrapping_add(4 * index), memory) else {
            break;
        };
        let _ = write!(
            line,
            "{}{}",
            if index > 0 { ", " } else { "" },
            fd.cast_signed()
        );
    }
    line.push(']');
}

fn credentials(line: &mut String, at: u64, memory: &dyn Memory) {
    if let Some([pid, uid, gid]) = halves(at, memory) {
        let _ = write!(line, ", cmsg_data={{pid={pid}, uid={uid}, gid={gid}}}");
    }
}
