//! Options that are kept and told, of internet sockets' heads, names and switches, and those of another protocol.
use crate::out::say;
use crate::sys::net;
use libc::{AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

const OPTIONS: i32 = 4;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let tcp = net::open(AF_INET, SOCK_STREAM);
    let udp = net::open(AF_INET, SOCK_DGRAM);
    let tcp6 = net::open(AF_INET6, SOCK_STREAM);
    let udp6 = net::open(AF_INET6, SOCK_DGRAM);
    let route = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    let heads: [&[u8]; 9] = [&[1], &[1, 1, 1, 1, 1], &route, &[], &[7], &[7, 2, 4], &[7, 11, 3], &[7, 200, 4], &[1; 41]];
    for (what, fd) in [("tcp", tcp), ("udp", udp), ("udp6", udp6)] {
        say!("{what}: {:?}", net::option(fd, 0, OPTIONS, 64));
        for value in heads {
            say!("  {value:?}: {:?} {:?}", net::set_option(fd, 0, OPTIONS, value), net::option(fd, 0, OPTIONS, 64));
        }
        say!("  short {:?}", net::option(fd, 0, OPTIONS, 2));
    }
    for name in [&b"reno"[..], b"ren", b"renoo", b"none", b"", b"\0", b"cubic\0x", b"reno\0"] {
        let set = net::set_option(tcp, 6, libc::TCP_CONGESTION, name);
        // What is first is the machine's choice.
        let told = set.is_ok().then(|| net::option(tcp, 6, libc::TCP_CONGESTION, 64));
        say!("{name:?}: {set:?} {told:?}");
    }
    let cases = [
        (tcp, 0, &[5, 9, 25, 26, 32, 35, 36, 50][..]),
        (udp, 0, &[5, 25, 26, 32, 42, 45, 50]),
        (tcp6, 41, &[3, 4, 5, 11, 17, 18, 22, 24, 30, 31, 60, 73, 76, 77]),
        (udp6, 41, &[22, 24, 31, 54, 55, 57, 59, 60, 73, 76]),
        (tcp, 6, &[23, 28, 30, 34, 99]),
        (tcp, 17, &[1, 101]),
        (udp, 6, &[1, 13]),
        (tcp6, 17, &[1]),
        (udp6, 6, &[1]),
        (udp, 17, &[1, 2]),
        (udp, SOL_SOCKET, &[41, 43, 48, 56, 62, 76, 77]),
    ];
    for (fd, level, names) in cases {
        for name in names {
            say!("{level} {name}: {:?} {:?}", net::option(fd, level, *name, 4), net::option(fd, level, *name, 64).map(|raw| raw.len()));
            // Heads between IPv6's and what is sent aren't made.
            for value in [1, 0, -1, 7, 70_000].into_iter().filter(|_| !(54..60).contains(name)) {
                say!("  {value}: {:?} {:?}", net::set_int(fd, level, *name, value), net::option(fd, level, *name, 4));
            }
        }
    }
    names();
    0
}

/// A peer's name goes into less room than it needs, and not into more.
fn names() {
    let (client, _, _) = net::connected(false);
    let (unix, _) = net::pair(SOCK_STREAM);
    for room in [0, 2, 15, 16, 17] {
        let told = net::option(client, SOL_SOCKET, libc::SO_PEERNAME, room);
        say!("{room}: {:?} {:?}", told.map(|raw| raw.len()), net::option(unix, SOL_SOCKET, libc::SO_PEERNAME, room));
    }
    say!("{:?}", net::option(net::open(AF_UNIX, SOCK_STREAM), SOL_SOCKET, libc::SO_PEERNAME, 2));
}
