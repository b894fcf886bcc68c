//! `SOL_SOCKET`'s options of any socket, and the control messages that go with them.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use kiln_core::bpf::packet::EXTENSIONS;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::cmsg::{self, Builder};
use kiln_core::net::inet::ip;
use kiln_core::net::options::{Rights, Stamp, Value, int, is_socket_level, so};
use kiln_core::net::{family, kind, level};

use super::common::Common;
use super::socket::{Caller, Protocol, Received};
use crate::fs::clock;
use crate::fs::memory::try_copy;

const NS_PER_S: u64 = 1_000_000_000;

/// `setsockopt`.
pub(super) fn set(
    socket: &dyn Protocol,
    caller: &Caller<'_>,
    number: i32,
    name: u32,
    value: &[u8],
) -> Result<(), Errno> {
    if !is_socket_level(number) {
        if socket.common().family() == family::UNIX {
            return Err(Errno::EOPNOTSUPP);
        }
        return match has_heads(socket, number, name) {
            Some(common) => common.head_options.lock().set(value),
            None => socket.set_option(caller, number, name, value),
        };
    }
    let common = socket.common();
    if name == so::DETACH_FILTER {
        int(value)?;
        common.may_set_filter()?;
        return common.set_filter(None);
    }
    let inet = is_inet(common.family());
    let rights = Rights {
        admin: caller.lookup.can(Capability::NetAdmin),
        net_raw: caller.lookup.can(Capability::NetRaw),
        inet,
        raw: is_raw(common),
        unix: common.family() == family::UNIX,
    };
    if inet && matches!(name, so::ACCEPTCONN | so::TYPE | so::ERROR) {
        int(value)?;
        return Err(Errno::ENOPROTOOPT);
    }
    common.options.lock().set(name, value, rights)?;
    socket.option_changed();
    Ok(())
}

/// The socket whose `IP_OPTIONS` are meant.
fn has_heads(socket: &dyn Protocol, number: i32, name: u32) -> Option<&Common> {
    let common = socket.common();
    let has = match common.family() {
        family::INET => true,
        family::INET6 => common.kind != kind::RAW,
        _ => false,
    };
    (has && (number, name) == (level::IP, ip::OPTIONS)).then_some(common)
}

fn is_inet(family: u16) -> bool {
    matches!(family, family::INET | family::INET6)
}

/// Whether datagrams can't be looked at from an offset.
fn is_raw(common: &Common) -> bool {
    common.kind == kind::RAW || common.family() == family::NETLINK
}

/// `getsockopt`, cut to `room` by the caller.
pub(super) fn get(
    socket: &dyn Protocol,
    number: i32,
    name: u32,
    room: usize,
) -> Result<Vec<u8>, Errno> {
    if !is_socket_level(number) {
        if socket.common().family() == family::UNIX {
            return Err(Errno::EOPNOTSUPP);
        }
        return match has_heads(socket, number, name) {
            Some(common) => try_copy(common.head_options.lock().bytes()),
            None => socket.get_option(number, name, room),
        };
    }
    let common = socket.common();
    let int = |value: u32| try_copy(&value.to_le_bytes());
    match name {
        so::TYPE => int(common.kind),
        so::DOMAIN => int(u32::from(common.family())),
        so::PROTOCOL => int(common.protocol),
        so::ERROR => int(common.take_error().map_or(0, |error| error.number().into())),
        so::ACCEPTCONN => int(u32::from(socket.is_listening())),
        so::COOKIE => match room {
            8.. => try_copy(&common.ino.load(Ordering::Relaxed).to_le_bytes()),
            _ => Err(Errno::EINVAL),
        },
        so::PEERNAME => {
            let peer = socket.peer()?;
            match peer.len() >= room {
                true => Ok(peer),
                false => Err(Errno::EINVAL),
            }
        }
        so::BINDTODEVICE => match common.options().device {
            0 => Ok(Vec::new()),
            _ if room < 16 => Err(Errno::EINVAL),
            _ => try_copy(b"lo\0"),
        },
        so::PASSCRED | so::PASSSEC if is_inet(common.family()) => Err(Errno::EOPNOTSUPP),
        so::PASSPIDFD if common.family() != family::UNIX => Err(Errno::EOPNOTSUPP),
        so::PEEK_OFF if is_raw(common) => Err(Errno::EOPNOTSUPP),
        // What filters may ask for besides the packet (`SKF_AD_MAX`).
        so::BPF_EXTENSIONS => int(EXTENSIONS),
        so::PEERCRED => socket.get_option(level::SOCKET, name, room).or_else(|_| {
            let mut none = [0xFF; 12];
            none[..4].fill(0);
            try_copy(&none)
        }),
        so::MEMINFO => mem_info(socket, room),
        so::ATTACH_FILTER => shown_filter(common),
        so::PEERGROUPS if common.family() == family::UNIX => socket.get_option(number, name, room),
        so::PEERGROUPS => Err(Errno::ENODATA),
        _ => match common.options().get(name) {
            Ok(value) => encode(value),
            Err(error) => Err(error),
        },
    }
}

/// Its instructions; the caller counts them.
fn shown_filter(common: &Common) -> Result<Vec<u8>, Errno> {
    let Some(program) = common.filter() else {
        return Ok(Vec::new());
    };
    let mut raw = Vec::new();
    raw.try_reserve_exact(program.len() * 8)
        .map_err(|_| Errno::ENOMEM)?;
    raw.extend(program.instructions().iter().flat_map(|each| each.encode()));
    Ok(raw)
}

fn encode(value: Value) -> Result<Vec<u8>, Errno> {
    match value {
        Value::Int(value) => try_copy(&value.to_le_bytes()),
        Value::Pair(one, other) => {
            let both = [one.to_le_bytes(), other.to_le_bytes()];
            try_copy(both.as_flattened())
        }
        Value::Long(value) => try_copy(&value.to_le_bytes()),
        Value::Time(ns) => time(ns, 1000),
    }
}

/// Seconds, and the rest in units of so many nanoseconds.
fn time(ns: u64, unit: u64) -> Result<Vec<u8>, Errno> {
    let words = [ns / NS_PER_S, ns % NS_PER_S / unit];
    try_copy(words.map(u64::to_le_bytes).as_flattened())
}

/// `SO_MEMINFO` (linux/sock_diag.h, `SK_MEMINFO_*`).
fn mem_info(socket: &dyn Protocol, room: usize) -> Result<Vec<u8>, Errno> {
    let options = socket.common().options();
    let (waiting, sent) = socket.queued().unwrap_or((0, 0));
    let clip = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let words = [
        clip(waiting),
        options.rcvbuf,
        clip(sent),
        options.sndbuf,
        0,
        0,
        0,
        0,
        0,
    ];
    let mut raw = try_copy(words.map(u32::to_le_bytes).as_flattened())?;
    raw.truncate(room);
    Ok(raw)
}

/// The control messages that any socket's receiver may ask for: the time, and who sent it.
pub(super) fn describe(socket: &dyn Protocol, received: &Received, control: &mut Builder) {
    let options = socket.common().options();
    if received.stamp != 0 {
        let ns = clock::boot_time().saturating_add(received.stamp);
        let (name, unit) = match options.timestamp {
            Stamp::Off => (0, 1),
            Stamp::Micro => (so::TIMESTAMP, 1000),
            Stamp::Nano => (so::TIMESTAMPNS, 1),
        };
        if name != 0
            && let Ok(raw) = time(ns, unit)
        {
            control.put(level::SOCKET, name.cast_signed(), &raw);
        }
        // By software; by none of two kinds of hardware.
        if options.stamps
            && let Ok(mut raw) = time(ns, 1)
            && raw.try_reserve(32).is_ok()
        {
            raw.resize(48, 0);
            control.put(level::SOCKET, so::TIMESTAMPING.cast_signed(), &raw);
        }
    }
    let dropped = received.packet.as_ref();
    let dropped = dropped.map_or(0, |packet| packet.dropped.load(Ordering::Relaxed));
    if dropped != 0 && options.has(so::RXQ_OVFL) {
        let name = so::RXQ_OVFL.cast_signed();
        control.put(level::SOCKET, name, &dropped.to_le_bytes());
    }
    if let Some(creds) = received.creds
        && options.has(so::PASSCRED)
    {
        control.put(level::SOCKET, cmsg::CREDENTIALS, &creds.encode());
    }
}
