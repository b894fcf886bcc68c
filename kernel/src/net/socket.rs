//! [`Socket`]: a socket as an open file; [`Protocol`]: what its family does for it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use kiln_core::abi;
use kiln_core::bpf::Instruction;
use kiln_core::errno::Errno;
use kiln_core::fs::attr::{Attr, FileType};
use kiln_core::fs::flags::OpenFlags;
use kiln_core::fs::perm::Identity;
use kiln_core::net::cmsg::Builder;
use kiln_core::net::netlink::generic::Meter;
use kiln_core::net::{kind, msg};

use super::common::Common;
use super::packet::{Packet, Ucred};
use super::unix::UnixSock;
use super::{ioctl, options};
use crate::fs::anon::{Plain, SOCKETS};
use crate::fs::fasync::AsyncList;
use crate::fs::memory::try_arc;
use crate::fs::{Events, File, FileOps, Ioctl, Lookup, Watch, clock};
use crate::vm::{IoDst, IoSrc};

/// Who makes a call, and what it may.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Root, working directory and permissions, for names in the file system.
    pub(crate) lookup: &'a Lookup<'a>,
    /// As it is told to others: the effective ids.
    pub(crate) peer: Ucred,
    /// Connections may not wait.
    pub(crate) nonblocking: bool,
    /// What tells what a task has used.
    pub(crate) meter: Meter,
}

/// What goes out with the bytes.
#[derive(Default)]
pub(crate) struct Outgoing<'a> {
    /// `MSG_*`.
    pub(crate) flags: u32,
    /// Where to, as an address.
    pub(crate) to: Option<&'a [u8]>,
    /// For names in the file system.
    pub(crate) lookup: Option<&'a Lookup<'a>>,
    /// Files to hand over.
    pub(crate) files: Vec<Arc<File>>,
    /// Who sends, with the real ids.
    pub(crate) creds: Option<Ucred>,
    /// Said by the sender itself (`SCM_CREDENTIALS`), not by the kernel.
    pub(crate) creds_given: bool,
    /// Hops and service of this datagram alone.
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: Option<u8>,
    /// The local address of this datagram alone.
    pub(crate) from: Option<core::net::IpAddr>,
    /// Bytes of each datagram that this becomes (`UDP_SEGMENT`).
    pub(crate) segment: Option<u16>,
    pub(crate) nonblocking: bool,
}

/// What came in with the bytes.
#[derive(Default)]
pub(crate) struct Received {
    /// The sender's address.
    pub(crate) name: Option<Arc<Vec<u8>>>,
    /// Files that were handed over.
    pub(crate) files: Vec<Arc<File>>,
    /// Who sent it.
    pub(crate) creds: Option<Ucred>,
    /// `MSG_*` for the receiver.
    pub(crate) flags: u32,
    /// The message this is, for what its family tells of it.
    pub(crate) packet: Option<Arc<Packet>>,
    pub(super) stamp: u64,
}

impl Received {
    /// The sender's address; empty when it has none.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.as_ref().map_or(&[], |name| name.as_slice())
    }
}

/// What a family does for its sockets. The defaults are for what it doesn't have.
pub(crate) trait Protocol: Send + Sync {
    /// What every socket has.
    fn common(&self) -> &Common;

    /// Takes a name.
    fn bind(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let _ = (caller, addr);
        Err(Errno::EOPNOTSUPP)
    }

    /// Connects, or with no family disconnects.
    fn connect(&self, caller: &Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let _ = (caller, addr);
        Err(Errno::EOPNOTSUPP)
    }

    /// Takes connections from now on.
    fn listen(&self, caller: &Caller<'_>, backlog: u32) -> Result<(), Errno> {
        let _ = (caller, backlog);
        Err(Errno::EOPNOTSUPP)
    }

    /// The next connection.
    fn accept(&self, nonblocking: bool) -> Result<Arc<dyn Protocol>, Errno> {
        let _ = nonblocking;
        Err(Errno::EOPNOTSUPP)
    }

    /// Sends; how many bytes went.
    fn send(&self, src: &mut IoSrc<'_>, out: Outgoing<'_>) -> Result<usize, Errno>;

    /// Receives; how many bytes there were: with `MSG_TRUNC` a datagram's true length.
    fn recv(
        &self,
        dst: &mut IoDst<'_>,
        flags: u32,
        nonblocking: bool,
        received: &mut Received,
    ) -> Result<usize, Errno>;

    /// Ends one way or both (`SHUT_*` bits).
    fn shutdown(&self, how: u32) -> Result<(), Errno> {
        let _ = how;
        Err(Errno::EOPNOTSUPP)
    }

    /// Its own address.
    fn name(&self) -> Result<Vec<u8>, Errno>;

    /// The other side's address.
    fn peer(&self) -> Result<Vec<u8>, Errno>;

    /// Sets an option that isn't `SOL_SOCKET`'s.
    fn set_option(
        &self,
        caller: &Caller<'_>,
        level: i32,
        name: u32,
        value: &[u8],
    ) -> Result<(), Errno> {
        let _ = (caller, level, name, value);
        Err(Errno::ENOPROTOOPT)
    }

    /// Tells an option that isn't kept with all the others.
    fn get_option(&self, level: i32, name: u32, room: usize) -> Result<Vec<u8>, Errno> {
        let _ = (level, name, room);
        Err(Errno::ENOPROTOOPT)
    }

    /// An option of [`Common`] was changed.
    fn option_changed(&self) {}

    /// Puts what is told of a message into the receiver's control buffer.
    fn describe(&self, received: &Received, control: &mut Builder) {
        let _ = (received, control);
    }

    /// Bytes to be received, and bytes on their way (`SIOCINQ`, `SIOCOUTQ`).
    fn queued(&self) -> Result<(usize, usize), Errno> {
        Err(Errno::ENOTTY)
    }

    /// Whether the next byte is at the urgent mark.
    fn at_mark(&self) -> Result<bool, Errno> {
        Err(Errno::ENOTTY)
    }

    /// The state now; `watch` learns the queues.
    fn poll(&self, watch: Option<&mut dyn Watch>) -> Events;

    /// Whether it takes connections.
    fn is_listening(&self) -> bool {
        false
    }

    /// Whether it waits for the other side to take what was sent, when it is closed.
    fn release(&self);

    /// The unix socket it is.
    fn unix(self: Arc<Self>) -> Option<Arc<UnixSock>> {
        None
    }

    /// Whether the kernel sends it notices (mq_notify(3)): netlink sockets take them.
    fn takes_notices(&self) -> bool {
        false
    }

    /// Sends it a notice.
    fn deliver(&self, notice: &[u8]) -> Result<(), Errno> {
        let _ = notice;
        Err(Errno::EINVAL)
    }
}

/// A socket as an open file.
pub(crate) struct Socket {
    pub(crate) protocol: Arc<dyn Protocol>,
}

impl Socket {
    /// The socket behind an open file; ENOTSOCK.
    pub(crate) fn of(file: &File) -> Result<&Self, Errno> {
        file.ops_as().ok_or(Errno::ENOTSOCK)
    }

    /// The unix socket it is.
    pub(super) fn unix(&self) -> Option<Arc<UnixSock>> {
        Arc::clone(&self.protocol).unix()
    }

    /// What it has like every other.
    pub(crate) fn common(&self) -> &Common {
        self.protocol.common()
    }

    /// `setsockopt`.
    pub(crate) fn set_option(
        &self,
        caller: &Caller<'_>,
        level: i32,
        name: u32,
        value: &[u8],
    ) -> Result<(), Errno> {
        options::set(&*self.protocol, caller, level, name, value)
    }

    /// `getsockopt`; at most `room` bytes are wanted.
    pub(crate) fn get_option(&self, level: i32, name: u32, room: usize) -> Result<Vec<u8>, Errno> {
        options::get(&*self.protocol, level, name, room)
    }

    /// Gives it a filter of what arrives (`SO_ATTACH_FILTER`), which `read` reads if it may have one.
    pub(crate) fn set_filter(
        &self,
        read: impl FnOnce() -> Result<Vec<Instruction>, Errno>,
    ) -> Result<(), Errno> {
        let common = self.protocol.common();
        common.may_set_filter()?;
        common.set_filter(Some(read()?))
    }

    /// What the receiver's control buffer gets, besides files.
    pub(crate) fn describe(&self, received: &Received, control: &mut Builder) {
        options::describe(&*self.protocol, received, control);
        self.protocol.describe(received, control);
    }
}

/// A new open file of a socket.
pub(crate) fn open(
    protocol: Arc<dyn Protocol>,
    who: &Identity<'_>,
    nonblocking: bool,
) -> Result<Arc<File>, Errno> {
    let made = make_file(&protocol, who, nonblocking);
    if made.is_err() {
        protocol.release();
    }
    made
}

fn make_file(
    protocol: &Arc<dyn Protocol>,
    who: &Identity<'_>,
    nonblocking: bool,
) -> Result<Arc<File>, Errno> {
    let mut attr = Attr::new(FileType::Socket, 0o777, who.uid, who.gid, clock::now());
    attr.nlink = 1;
    let inode = SOCKETS.inode(attr, None, try_arc(Plain)?)?;
    protocol.common().ino.store(inode.ino(), Ordering::Relaxed);
    let path = SOCKETS.path(inode, b"")?;
    let raw = abi::O_RDWR | if nonblocking { abi::O_NONBLOCK } else { 0 };
    let ops = try_arc(Socket {
        protocol: Arc::clone(protocol),
    })?;
    File::new(path, ops, OpenFlags { raw, mode: 0 })
}

impl FileOps for Socket {
    fn read(&self, file: &File, dst: &mut IoDst<'_>, _: &mut u64) -> Result<usize, Errno> {
        if dst.remaining() == 0 {
            return Ok(0);
        }
        let room = dst.remaining();
        let mut received = Received::default();
        let done = self
            .protocol
            .recv(dst, 0, file.nonblocking(), &mut received)?;
        Ok(done.min(room))
    }

    fn write(&self, file: &File, src: &mut IoSrc<'_>, _: &mut u64) -> Result<usize, Errno> {
        let flags = match self.common().kind {
            kind::SEQPACKET => msg::EOR,
            _ => 0,
        };
        let out = Outgoing {
            flags,
            nonblocking: file.nonblocking(),
            ..Outgoing::default()
        };
        self.protocol.send(src, out)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn signals_broken_pipe(&self) -> bool {
        self.common().kind == kind::STREAM
    }

    fn ioctl(&self, _: &File, request: &Ioctl<'_>) -> Result<u64, Errno> {
        ioctl::ioctl(&*self.protocol, request)
    }

    fn poll(&self, _: &File, watch: Option<&mut dyn Watch>) -> Events {
        self.protocol.poll(watch)
    }

    fn async_lists(&self) -> [Option<&AsyncList>; 2] {
        [Some(&self.protocol.common().signals), None]
    }

    fn release(&self, _: &File) {
        self.protocol.release();
    }
}
