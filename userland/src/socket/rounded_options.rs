//! Options whose values are rounded, bounded or refused in ways of their own.
use crate::out::say;
use crate::sys::net;
use libc::{AF_INET, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let tcp = net::open(AF_INET, SOCK_STREAM);
    let udp = net::open(AF_INET, SOCK_DGRAM);
    let cases = [
        (tcp, 6, libc::TCP_LINGER2, &[0, 5, 60, 61, 119, 121, -1, -7][..]),
        (tcp, 6, libc::TCP_DEFER_ACCEPT, &[0, 1, 2, 3, 4, 7, 8, 60, 200, 1000, -1]),
        (tcp, 6, libc::TCP_WINDOW_CLAMP, &[1, 1152, 1153, 70_000, 0]),
        (tcp, 6, libc::TCP_THIN_LINEAR_TIMEOUTS, &[0, 1, 2, -1]),
        (tcp, 6, 36, &[0, 1, 2, -1]),
        (tcp, 0, 49, &[0, 1, 2, -1]),
        (udp, 0, 22, &[0, 1]),
        (udp, 0, 3, &[0, 1]),
        (udp, 17, 101, &[0, 1, 7]),
        (udp, SOL_SOCKET, 45, &[0, 1, 2, -1]),
        (udp, SOL_SOCKET, 49, &[0, 1]),
        (udp, SOL_SOCKET, 60, &[0, 1, 2, -1]),
    ];
    for (fd, level, name, values) in cases {
        say!("{level} {name}: {:?}", net::int_option(fd, level, name));
        for value in values {
            let set = net::set_int(fd, level, name, *value);
            say!("  {value}: {set:?} {:?}", net::int_option(fd, level, name));
        }
        say!("  short {:?} {:?}", net::set_option(fd, level, name, &[1]), net::set_option(fd, level, name, &[]));
    }
    say!("{:?}", net::option(udp, SOL_SOCKET, 47, 16));
    say!("{:?}", net::option(udp, SOL_SOCKET, libc::SO_ATTACH_FILTER, 16));
    for name in [libc::SO_TYPE, libc::SO_ERROR, libc::SO_ACCEPTCONN] {
        say!("{:?} {:?}", net::set_option(udp, SOL_SOCKET, name, &[1]), net::set_int(udp, SOL_SOCKET, name, 1));
    }
    0
}
