//! Options at every level: first values, what can't be set, lengths that are short.
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let sockets = [
        ("unix", net::open(AF_UNIX, SOCK_STREAM)),
        ("tcp", net::open(AF_INET, SOCK_STREAM)),
        ("udp6", net::open(AF_INET6, SOCK_DGRAM)),
    ];
    for (label, fd) in sockets {
        for name in [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 18, 19, 29, 30, 35, 36, 38, 39, 42, 99] {
            let before = net::int_option(fd, SOL_SOCKET, name);
            let set = net::set_int(fd, SOL_SOCKET, name, 1);
            say!("{label} {name}: {before:?} {set:?} {:?}", net::int_option(fd, SOL_SOCKET, name));
        }
        show("short", net::set_option(fd, SOL_SOCKET, libc::SO_REUSEADDR, &[1]));
        say!("{:?}", net::option(fd, SOL_SOCKET, libc::SO_TYPE, 2));
        say!("{:?}", net::option(fd, SOL_SOCKET, libc::SO_TYPE, 20));
        say!("{:?}", net::option(fd, SOL_SOCKET, libc::SO_RCVTIMEO, 16));
        say!("{:?}", net::option(fd, SOL_SOCKET, libc::SO_LINGER, 8));
        let second = [1i64.to_le_bytes(), 500_000i64.to_le_bytes()].concat();
        show("timeout", net::set_option(fd, SOL_SOCKET, libc::SO_RCVTIMEO, &second));
        say!("{:?}", net::option(fd, SOL_SOCKET, libc::SO_RCVTIMEO, 16));
        let bad = [1i64.to_le_bytes(), 1_000_000i64.to_le_bytes()].concat();
        show("timeout", net::set_option(fd, SOL_SOCKET, libc::SO_RCVTIMEO, &bad));
        show("level", net::set_int(fd, 77, 1, 1));
        show("device", net::set_option(fd, SOL_SOCKET, libc::SO_BINDTODEVICE, b"none"));
    }
    let (_, tcp) = sockets[1];
    for name in [1, 3, 4, 5, 6, 7, 8, 9, 12, 18, 25, 99] {
        let before = net::int_option(tcp, 6, name);
        let set = net::set_int(tcp, 6, name, 5);
        say!("tcp {name}: {before:?} {set:?} {:?}", net::int_option(tcp, 6, name));
    }
    for name in [1, 2, 8, 10, 11, 12, 13, 15, 33, 34] {
        let before = net::int_option(tcp, 0, name);
        let set = net::set_int(tcp, 0, name, 1);
        say!("ip {name}: {before:?} {set:?} {:?}", net::int_option(tcp, 0, name));
    }
    say!("{:?} {:?}", net::set_int(tcp, 0, libc::IP_TTL, 0), net::set_int(tcp, 0, libc::IP_TTL, 256));
    say!("{:?} {:?}", net::set_int(tcp, 6, libc::TCP_KEEPIDLE, 0), net::set_int(tcp, 6, libc::TCP_MAXSEG, 10));
    let (_, udp) = sockets[2];
    for name in [16, 18, 19, 25, 26, 49, 51, 66, 67, 99] {
        let before = net::int_option(udp, 41, name);
        let set = net::set_int(udp, 41, name, 1);
        say!("ipv6 {name}: {before:?} {set:?} {:?}", net::int_option(udp, 41, name));
    }
    0
}
