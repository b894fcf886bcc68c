//! Sockets, as far as they are logic: no locks, no waiting, no memory of programs.
//!
//! | module | what |
//! | --- | --- |
//! | [`addr`] | `struct sockaddr` of the families, from bytes and to bytes |
//! | [`cmsg`] | control messages: taken apart and put together |
//! | [`options`] | `SOL_SOCKET`: values, bounds, what is refused |
//! | [`ports`] | who has which local address and port; conflicts; who gets a connection or a datagram |
//! | [`queue`] | bytes in pieces, with the urgent mark |
//! | [`inet`] | options of IP, TCP and UDP |
//! | [`ip`] | heads and sums, for raw sockets |
//! | [`netlink`] | the answers of a route socket about the one interface there is |
//!
//! The kernel's `net` room holds the objects around it. Numbers are of the Linux uapi headers
//! named beside them.

pub mod addr;
pub mod cmsg;
pub mod inet;
pub mod ip;
pub mod netlink;
pub mod options;
pub mod ports;
pub mod queue;

/// Families (linux/socket.h).
pub mod family {
    /// No family: disconnects.
    pub const UNSPEC: u16 = 0;
    /// On this machine, by name.
    pub const UNIX: u16 = 1;
    /// IPv4.
    pub const INET: u16 = 2;
    /// IPv6.
    pub const INET6: u16 = 10;
    /// Talking to the kernel.
    pub const NETLINK: u16 = 16;
    /// Frames of a link.
    pub const PACKET: u16 = 17;
    /// The first number that no family has (`AF_MAX`).
    pub const MAX: u16 = 46;
}

/// Types (linux/net.h).
pub mod kind {
    /// Bytes.
    pub const STREAM: u32 = 1;
    /// Messages.
    pub const DGRAM: u32 = 2;
    /// A protocol by hand.
    pub const RAW: u32 = 3;
    /// Reliable messages, unused.
    pub const RDM: u32 = 4;
    /// Messages in order on a connection.
    pub const SEQPACKET: u32 = 5;
    /// The first number that no type has (`SOCK_MAX`).
    pub const MAX: u32 = 11;
    /// Where flags begin.
    pub const MASK: u32 = 0xF;
    /// `SOCK_NONBLOCK`.
    pub const NONBLOCK: u32 = 0o4000;
    /// `SOCK_CLOEXEC`.
    pub const CLOEXEC: u32 = 0o2_000_000;
}

/// Flags of send and receive (linux/socket.h, `MSG_*`).
pub mod msg {
    /// Urgent data.
    pub const OOB: u32 = 1;
    /// Leave it in the queue.
    pub const PEEK: u32 = 2;
    /// No routing.
    pub const DONTROUTE: u32 = 4;
    /// Control data didn't fit.
    pub const CTRUNC: u32 = 8;
    /// A datagram didn't fit; or: tell its true length.
    pub const TRUNC: u32 = 0x20;
    /// Don't wait this once.
    pub const DONTWAIT: u32 = 0x40;
    /// The end of a record.
    pub const EOR: u32 = 0x80;
    /// Wait until the buffer is full.
    pub const WAITALL: u32 = 0x100;
    /// No SIGPIPE.
    pub const NOSIGNAL: u32 = 0x4000;
    /// More will follow.
    pub const MORE: u32 = 0x8000;
    /// Wait for the first message only.
    pub const WAITFORONE: u32 = 0x1_0000;
    /// From the queue of errors.
    pub const ERRQUEUE: u32 = 0x2000;
    /// Without copying.
    pub const ZEROCOPY: u32 = 0x400_0000;
    /// Connect and send (TCP).
    pub const FASTOPEN: u32 = 0x2000_0000;
    /// Descriptors that arrive are closed on exec.
    pub const CMSG_CLOEXEC: u32 = 0x4000_0000;
}

/// Levels of options and control messages.
pub mod level {
    /// `SOL_SOCKET` (asm-generic/socket.h).
    pub const SOCKET: i32 = 1;
    /// `IPPROTO_IP`.
    pub const IP: i32 = 0;
    /// `IPPROTO_TCP`.
    pub const TCP: i32 = 6;
    /// `IPPROTO_UDP`.
    pub const UDP: i32 = 17;
    /// `IPPROTO_IPV6`.
    pub const IPV6: i32 = 41;
    /// `IPPROTO_UDPLITE`.
    pub const UDPLITE: i32 = 136;
    /// `SOL_NETLINK`.
    pub const NETLINK: i32 = 270;
}

/// The number of the loopback interface, the only one.
pub const LOOPBACK_INDEX: u32 = 1;
/// Bytes of its largest packet.
pub const LOOPBACK_MTU: u32 = 65536;
