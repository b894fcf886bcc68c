//! Sockets.
//!
//! | module | what |
//! | --- | --- |
//! | [`socket`] | [`Socket`], the open file; [`socket::Protocol`], what a family implements |
//! | [`common`] | options, pending error, shutdown, waiting: what every socket has |
//! | [`packet`], [`inbox`] | bytes on their way, and where they arrive |
//! | [`rights`] | open files on their way, and rings of them |
//! | [`unix`] | unix sockets |
//! | [`inet`] | TCP and UDP over the loopback interface |
//! | [`netlink`] | route sockets, and what tells of processes |
//! | [`options`], [`ioctl`], [`proc`] | what programs ask of any socket |
//!
//! The room stands beside `fs`, whose open files its sockets are, and above `sched`. Nothing of it
//! exists before the first socket. The logic without locks is `kiln_core::net`'s.

mod common;
mod filter;
mod inbox;
mod inet;
mod ioctl;
mod netlink;
mod options;
mod packet;
mod proc;
mod rights;
mod socket;
mod unix;

use alloc::sync::Arc;
use kiln_core::errno::Errno;
use kiln_core::fs::perm::Capability;
use kiln_core::net::{family, kind};

use crate::fs::File;
use crate::sync::Once;

pub(crate) use inet::control::read as read_control;
pub(crate) use netlink::events;
pub(crate) use packet::Ucred;
pub(crate) use proc::FILES;
pub(crate) use rights::in_flight;
pub(crate) use socket::{Caller, Outgoing, Protocol, Received, Socket};

/// Tells who is running, with the real ids: the process room's.
type WhoRuns = fn() -> Ucred;

static WHO_RUNS: Once<WhoRuns> = Once::new();

/// Says who tells who is running: senders are known by it where nobody is named.
pub(crate) fn set_who_runs(who: WhoRuns) {
    WHO_RUNS.call_once(|| who);
}

fn current_creds() -> Ucred {
    WHO_RUNS.get().map_or(Ucred::UNKNOWN, |who| who())
}

/// A new socket (socket(2)); `kind` is without flags.
pub(crate) fn create(
    caller: &Caller<'_>,
    family: u32,
    kind: u32,
    protocol: u32,
) -> Result<Arc<File>, Errno> {
    let made = make(caller, family, kind, protocol)?;
    socket::open(made, &caller.lookup.who, caller.nonblocking)
}

fn make(
    caller: &Caller<'_>,
    family: u32,
    kind: u32,
    protocol: u32,
) -> Result<Arc<dyn Protocol>, Errno> {
    let Some(family) = u16::try_from(family).ok().filter(|f| *f < family::MAX) else {
        return Err(Errno::EAFNOSUPPORT);
    };
    if kind >= kind::MAX {
        return Err(Errno::EINVAL);
    }
    match family {
        family::UNIX => Ok(unix::UnixSock::new(unix_kind(kind, protocol)?)?),
        family::INET | family::INET6 => inet::make(caller, family, kind, protocol),
        family::NETLINK => netlink::make(kind, protocol, caller.meter),
        family::PACKET if !caller.lookup.can(Capability::NetRaw) => Err(Errno::EPERM),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// The type that a unix socket has; raw ones are datagrams.
fn unix_kind(kind: u32, protocol: u32) -> Result<u32, Errno> {
    if protocol != 0 && protocol != u32::from(family::UNIX) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match kind {
        kind::STREAM | kind::DGRAM | kind::SEQPACKET => Ok(kind),
        kind::RAW => Ok(kind::DGRAM),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// Two sockets connected to each other (socketpair(2)).
pub(crate) fn create_pair(
    caller: &Caller<'_>,
    family: u32,
    kind: u32,
    protocol: u32,
) -> Result<(Arc<File>, Arc<File>), Errno> {
    if family != u32::from(family::UNIX) {
        // Two of them could be made, but not joined.
        make(caller, family, kind, protocol)?.release();
        return Err(Errno::EOPNOTSUPP);
    }
    let kind = unix_kind(kind, protocol)?;
    let (one, other) = unix::pair(kind, caller)?;
    let who = &caller.lookup.who;
    let first = socket::open(one, who, caller.nonblocking);
    let second = socket::open(other, who, caller.nonblocking);
    Ok((first?, second?))
}

/// The next connection of a listening socket (accept4(2)), and the other side's address.
pub(crate) fn accept(
    caller: &Caller<'_>,
    listener: &Socket,
    listener_nonblocking: bool,
) -> Result<(Arc<File>, alloc::vec::Vec<u8>), Errno> {
    let made = listener.protocol.accept(listener_nonblocking)?;
    // A connection that is gone already has no address any more, and is given all the same.
    let peer = made.peer().unwrap_or_default();
    let file = socket::open(made, &caller.lookup.who, caller.nonblocking)?;
    Ok((file, peer))
}
