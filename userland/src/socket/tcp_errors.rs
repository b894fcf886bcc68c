//! bind, connect and listen on internet sockets with addresses that are wrong, taken, or elsewhere.
use crate::out::{say, show};
use crate::sys::{child, net, process};
use libc::{AF_INET, AF_INET6, SO_REUSEADDR, SO_REUSEPORT, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

fn v4(ip: [u8; 4], port: u16) -> Vec<u8> {
    let mut raw = net::loopback(false, port);
    raw[4..8].copy_from_slice(&ip);
    raw
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let s = net::open(AF_INET, kind);
        show("short", net::bind(s, &net::loopback(false, 0)[..15]));
        show("family", net::bind(s, &net::loopback(true, 0)));
        let mut unspec = net::loopback(false, 0);
        unspec[0] = 0;
        show("no family", net::bind(s, &unspec));
        show("elsewhere", net::bind(s, &v4([10, 9, 8, 7], 0)));
        show("bind", net::bind(s, &v4([127, 1, 2, 3], 0)));
        show("twice", net::bind(s, &v4([127, 1, 2, 3], 0)));
        let addr = net::name(s).unwrap_or_default();
        say!("{:?}", net::without_port(&addr));
        let t = net::open(AF_INET, kind);
        show("taken", net::bind(t, &addr));
        show("any", net::bind(t, &v4([0; 4], net::port(&addr))));
        show("other address", net::bind(t, &v4([127, 0, 0, 9], net::port(&addr))));
        for option in [SO_REUSEADDR, SO_REUSEPORT] {
            let (u, v) = (net::open(AF_INET, kind), net::open(AF_INET, kind));
            for fd in [u, v] {
                show("option", net::set_int(fd, SOL_SOCKET, option, 1));
            }
            show("first", net::bind(u, &v4([127, 0, 0, 1], 0)));
            let shared = net::name(u).unwrap_or_default();
            show("second", net::bind(v, &shared));
            if kind == SOCK_STREAM {
                show("listen", net::listen(u, 1));
                show("listen too", net::listen(v, 1));
            }
            let w = net::open(AF_INET, kind);
            show("third", net::bind(w, &shared));
        }
        let u = net::open(AF_INET6, kind);
        show("short", net::bind(u, &net::loopback(true, 0)[..23]));
        show("old", net::bind(u, &net::loopback(true, 0)[..24]));
        say!("{:?}", net::name(u).map(|a| net::without_port(&a)));
    }
    let s = net::open(AF_INET, SOCK_STREAM);
    show("short", net::connect(s, &[2]));
    show("short", net::connect(s, &net::loopback(false, 1)[..8]));
    show("family", net::connect(s, &net::loopback(true, 1)));
    show("port 1", net::connect(s, &net::loopback(false, 1)));
    let u = net::open(AF_INET6, SOCK_STREAM);
    show("family", net::connect(u, &net::loopback(false, 1)));
    let end = child::run(|| {
        let _ = process::setuid(1000);
        let s = net::open(AF_INET, SOCK_STREAM);
        show("low port", net::bind(s, &net::loopback(false, 80)));
        show("raw", net::socket(AF_INET, libc::SOCK_RAW, 1));
        show("packet", net::socket(libc::AF_PACKET, libc::SOCK_RAW, 0));
        0
    });
    say!("{end}");
    0
}
