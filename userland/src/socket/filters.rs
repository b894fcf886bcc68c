//! Filters of sockets (`SO_ATTACH_FILTER`): which messages a socket takes, and how much of each.
use crate::out::{say, show};
use crate::sys::{Res, net};
use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, MSG_DONTWAIT, SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER,
    SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET, sock_filter, sock_fprog,
};
use std::ffi::CStr;

const LD_W: u16 = 0x20;
const LD_H: u16 = 0x28;
const LD_B: u16 = 0x30;
const LD_LEN: u16 = 0x80;
const LD_B_IND: u16 = 0x50;
const LDX_MSH: u16 = 0xb1;
const JEQ: u16 = 0x15;
const MOD: u16 = 0x94;
const RET: u16 = 6;
const RET_A: u16 = 0x16;
/// `SKF_NET_OFF` and `SKF_AD_OFF`.
const NETWORK: u32 = 0xfff0_0000;
const EXTRA: u32 = 0xffff_f000;

type Line = (u16, u8, u8, u32);

fn attach(fd: i32, list: &[Line]) -> Res {
    let mut list: Vec<_> = list.iter().map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k }).collect();
    let program = sock_fprog {
        len: u16::try_from(list.len()).unwrap_or(0),
        filter: list.as_mut_ptr(),
    };
    // SAFETY: a structure without gaps that matter: its bytes are what the call reads.
    let raw = unsafe { std::slice::from_raw_parts((&raw const program).cast::<u8>(), size_of::<sock_fprog>()) };
    net::set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, raw)
}

/// What of some messages is received under a filter.
fn passes(label: &str, to: i32, send: &dyn Fn(&[u8]) -> Res, list: &[Line]) {
    show(label, attach(to, list));
    for message in [&b"abcdef"[..], b"b", b"", b"abc", b"zabcdefghij"] {
        show("  send", send(message));
        say!("  {:?}: {}", String::from_utf8_lossy(message), net::text(to, 64, MSG_DONTWAIT));
    }
}

/// The same filters for whatever takes messages; `head` is what stands before them.
fn all(label: &str, to: i32, send: &dyn Fn(&[u8]) -> Res, head: u32) {
    say!("{label}");
    passes("all", to, send, &[(RET, 0, 0, u32::MAX)]);
    passes("none", to, send, &[(RET, 0, 0, 0)]);
    passes("first byte", to, send, &[(LD_B, 0, 0, head), (JEQ, 0, 1, b'a'.into()), (RET, 0, 0, 100), (RET, 0, 0, 0)]);
    passes("cut", to, send, &[(RET, 0, 0, head + 2)]);
    passes("shorter than a head", to, send, &[(RET, 0, 0, 1)]);
    passes("length", to, send, &[(LD_LEN, 0, 0, 0), (RET_A, 0, 0, 0)]);
    passes("odd", to, send, &[(LD_LEN, 0, 0, 0), (MOD, 0, 0, 2), (JEQ, 0, 1, 1), (RET, 0, 0, 100), (RET, 0, 0, 0)]);
    passes("outside", to, send, &[(LD_H, 0, 0, head + 4), (RET, 0, 0, 100)]);
    show("detach", net::set_int(to, SOL_SOCKET, SO_DETACH_FILTER, 0));
    show("again", net::set_int(to, SOL_SOCKET, SO_DETACH_FILTER, 0));
    show("send", send(b"free"));
    say!("{}", net::text(to, 64, MSG_DONTWAIT));
}

fn heads(to: i32, send: &dyn Fn(&[u8]) -> Res, v6: bool) {
    let (version, next) = if v6 { (6, 6) } else { (4, 9) };
    let equal = |place: u32, load: u16, value: u32| {
        vec![(load, 0, 0, place), (JEQ, 0, 1, value), (RET, 0, 0, 100), (RET, 0, 0, 0)]
    };
    passes("protocol", to, send, &equal(NETWORK + next, LD_B, 17));
    passes("another", to, send, &equal(NETWORK + next, LD_B, 6));
    passes("ethernet's", to, send, &equal(EXTRA, LD_W, if v6 { 0x86DD } else { 0x800 }));
    passes("interface", to, send, &equal(EXTRA + 8, LD_W, 1));
    passes("hardware", to, send, &equal(EXTRA + 28, LD_W, 772));
    passes("udp's length", to, send, &equal(4, LD_H, 14));
    say!("version {version}");
    if !v6 {
        let list = [(LDX_MSH, 0, 0, NETWORK), (LD_B_IND, 0, 0, NETWORK + 8), (RET_A, 0, 0, 0)];
        passes("computed", to, send, &list);
    }
}

fn refused(fd: i32) {
    for (label, list) in [
        ("empty", &[][..]),
        ("no end", &[(LD_B, 0, 0, 0)]),
        ("unknown", &[(0xff, 0, 0, 0), (RET, 0, 0, 0)]),
        ("unknown place", &[(LD_W, 0, 0, EXTRA + 1), (RET, 0, 0, 0)]),
        ("past the places", &[(LD_W, 0, 0, EXTRA + 64), (RET, 0, 0, 0)]),
        ("by zero", &[(MOD, 0, 0, 0), (RET, 0, 0, 0)]),
        ("jump away", &[(JEQ, 5, 0, 0), (RET, 0, 0, 0)]),
        ("unwritten", &[(0x60, 0, 0, 0), (RET, 0, 0, 0)]),
        ("fine", &[(LD_B_IND, 0, 0, 3), (RET_A, 0, 0, 0)]),
    ] {
        show(label, attach(fd, list));
    }
    let option = |value: &[u8]| net::set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, value);
    for len in [0, 3, 4, 15, 17] {
        show("size", option(&[1; 17][..len]));
    }
    let mut description = [0; 16];
    description[0] = 1;
    show("null", option(&description));
    description[8] = 1;
    show("nowhere", option(&description));
    show("long", attach(fd, &vec![(RET, 0, 0, 0); 4097]));
    show("no number", net::set_option(fd, SOL_SOCKET, SO_DETACH_FILTER, &[0; 2]));
}

/// What `getsockopt` tells, whose lengths are counted in instructions.
fn told(fd: i32) {
    for room in [0, 1, 2, 3, 100] {
        let mut bytes = [0u8; 64];
        let mut len: libc::socklen_t = room;
        // SAFETY: the answer has room for the filter's instructions.
        let done = unsafe {
            libc::getsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes.as_mut_ptr().cast(), &raw mut len)
        };
        say!("room {room}: {done} {len} {:?}", bytes.get(..24));
    }
}

fn locked() {
    let fd = net::open(AF_INET, SOCK_DGRAM);
    told(fd);
    show("attach", attach(fd, &[(LD_B, 0, 0, 3), (RET_A, 0, 0, 0)]));
    told(fd);
    show("lock", net::set_int(fd, SOL_SOCKET, SO_LOCK_FILTER, 1));
    show("attach", attach(fd, &[(RET, 0, 0, 0)]));
    show("wrong", attach(fd, &[]));
    show("detach", net::set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0));
    show("unlock", net::set_int(fd, SOL_SOCKET, SO_LOCK_FILTER, 0));
    say!("{:?}", net::int_option(fd, SOL_SOCKET, SO_LOCK_FILTER));
    told(fd);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for v6 in [false, true] {
        let family = if v6 { AF_INET6 } else { AF_INET };
        let (to, from) = (net::open(family, SOCK_DGRAM), net::open(family, SOCK_DGRAM));
        show("bind", net::bind(to, &net::loopback(v6, 0)));
        let addr = net::name(to).unwrap_or_default();
        let send = |bytes: &[u8]| net::send_to(from, bytes, 0, &addr);
        all(if v6 { "udp6" } else { "udp" }, to, &send, 8);
        heads(to, &send, v6);
    }
    for kind in [SOCK_DGRAM, SOCK_SEQPACKET] {
        let (to, from) = net::pair(kind);
        all("unix", to, &|bytes| net::send(from, bytes, 0), 0);
    }
    let (to, from) = net::pair(SOCK_STREAM);
    passes("stream", to, &|bytes| net::send(from, bytes, 0), &[(RET, 0, 0, 0)]);
    for (family, kind) in [(AF_INET, SOCK_STREAM), (AF_NETLINK, SOCK_DGRAM), (AF_UNIX, SOCK_STREAM)] {
        show("attach", attach(net::open(family, kind), &[(RET, 0, 0, 0)]));
    }
    refused(to);
    locked();
    0
}
