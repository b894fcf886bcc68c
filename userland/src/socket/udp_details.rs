//! What a datagram's receiver may ask for: addresses, hops, service; groups and broadcasts.
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_INET, AF_INET6, MSG_DONTWAIT, SOCK_DGRAM, SOL_SOCKET};
use std::ffi::CStr;

fn tell(fd: i32) {
    match net::recv_msg(fd, 99, 200, MSG_DONTWAIT) {
        Ok(m) => say!("{:?} {:?} {:#x}", String::from_utf8_lossy(&m.bytes), m.control, m.flags),
        Err(errno) => say!("{errno}"),
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (a, b) = (net::open(AF_INET, SOCK_DGRAM), net::open(AF_INET, SOCK_DGRAM));
    let _ = net::bind(a, &net::loopback(false, 0));
    let to = net::name(a).unwrap_or_default();
    for name in [libc::IP_PKTINFO, libc::IP_RECVTTL, libc::IP_RECVTOS] {
        show("option", net::set_int(a, 0, name, 1));
    }
    let _ = net::send_to(b, b"plain", 0, &to);
    tell(a);
    show("ttl", net::set_int(b, 0, libc::IP_TTL, 9));
    show("tos", net::set_int(b, 0, libc::IP_TOS, 0x10));
    let _ = net::send_to(b, b"options", 0, &to);
    tell(a);
    show("connect", net::connect(b, &to));
    let control = [net::control(0, libc::IP_TTL, &[7, 0, 0, 0]), net::control(0, libc::IP_TOS, &[8, 0, 0, 0])].concat();
    show("control", net::send_msg(b, b"control", &control, 0));
    tell(a);
    show("bad ttl", net::send_msg(b, b"x", &net::control(0, libc::IP_TTL, &[0, 1, 0, 0]), 0));
    show("unknown", net::send_msg(b, b"x", &net::control(0, 99, &[0; 4]), 0));
    let (c, d) = (net::open(AF_INET6, SOCK_DGRAM), net::open(AF_INET6, SOCK_DGRAM));
    let _ = net::bind(c, &net::loopback(true, 0));
    for name in [libc::IPV6_RECVPKTINFO, libc::IPV6_RECVHOPLIMIT, libc::IPV6_RECVTCLASS] {
        show("option", net::set_int(c, 41, name, 1));
    }
    let _ = net::send_to(d, b"six", 0, &net::name(c).unwrap_or_default());
    tell(c);
    let g = net::open(AF_INET, SOCK_DGRAM);
    let mut any = net::loopback(false, 0);
    any[4..8].fill(0);
    show("bind", net::bind(g, &any));
    let group = [239, 1, 2, 3];
    let join = [group, [127, 0, 0, 1]].concat();
    show("join", net::set_option(g, 0, libc::IP_ADD_MEMBERSHIP, &join));
    show("twice", net::set_option(g, 0, libc::IP_ADD_MEMBERSHIP, &join));
    show("no group", net::set_option(g, 0, libc::IP_ADD_MEMBERSHIP, &[127, 0, 0, 1, 127, 0, 0, 1]));
    let e = net::open(AF_INET, SOCK_DGRAM);
    show("interface", net::set_option(e, 0, libc::IP_MULTICAST_IF, &[127, 0, 0, 1]));
    let mut many = net::name(g).unwrap_or_default();
    many[4..8].copy_from_slice(&group);
    show("to the group", net::send_to(e, b"group", 0, &many));
    say!("{}", net::text(g, 99, MSG_DONTWAIT));
    show("leave", net::set_option(g, 0, libc::IP_DROP_MEMBERSHIP, &join));
    show("twice", net::set_option(g, 0, libc::IP_DROP_MEMBERSHIP, &join));
    show("broadcast", net::set_int(e, SOL_SOCKET, libc::SO_BROADCAST, 1));
    many[4..8].copy_from_slice(&[127, 255, 255, 255]);
    show("to all", net::send_to(e, b"all", 0, &many));
    say!("{}", net::text(g, 99, MSG_DONTWAIT));
    0
}
