//! UDP over the loopback: boundaries, names, connected sockets, ends.
use crate::out::{say, show, show_ok};
use crate::sys::{file, net};
use libc::{AF_INET, AF_INET6, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for v6 in [false, true] {
        let family = if v6 { AF_INET6 } else { AF_INET };
        let (a, b) = (net::open(family, SOCK_DGRAM), net::open(family, SOCK_DGRAM));
        say!("fresh:{} {:?}", net::state(a), net::name(a));
        show("no destination", net::send(b, b"x", 0));
        show("bind", net::bind(a, &net::loopback(v6, 0)));
        let to = net::name(a).unwrap_or_default();
        show("send", net::send_to(b, b"hello", 0, &to));
        say!("{:?}", net::name(b).map(|n| net::without_port(&n)));
        say!("{}", net::state(a));
        show("empty", net::send_to(b, b"", 0, &to));
        show("ten", net::send_to(b, b"0123456789", 0, &to));
        say!("{} {}", net::text(a, 99, 0), net::text(a, 99, 0));
        show("true length", net::recv(a, 3, MSG_PEEK | MSG_TRUNC).map(|m| m.len()));
        match net::recv_msg(a, 4, 0, 0) {
            Ok(m) => say!("{:?} {:#x}", String::from_utf8_lossy(&m.bytes), m.flags),
            Err(errno) => say!("{errno}"),
        }
        say!("empty {}", net::text(a, 9, MSG_DONTWAIT));
        show("connect", net::connect(b, &to));
        say!("{:?} {}", net::name(b).map(|n| net::without_port(&n)), net::peer(b) == Ok(to.clone()));
        show("send", net::send(b, b"connected", 0));
        say!("{}", net::text(a, 99, 0));
        show("write", file::write(b, b"written"));
        say!("{}", net::text(a, 99, 0));
        let c = net::open(family, SOCK_DGRAM);
        show("stranger", net::send_to(c, b"stranger", 0, &net::name(b).unwrap_or_default()));
        say!("not for it {}", net::text(b, 9, MSG_DONTWAIT));
        show("friend", net::send_to(a, b"friend", 0, &net::name(b).unwrap_or_default()));
        say!("{}", net::text(b, 9, MSG_DONTWAIT));
        show("disconnect", net::connect(b, &[0; 16]));
        show_ok("peer", net::peer(b));
        show("no destination", net::send(b, b"x", 0));
        show("shutdown", net::shutdown(b, libc::SHUT_RDWR));
        show("listen", net::listen(b, 1));
        show_ok("accept", net::accept(b, 0));
        show("connect", net::connect(c, &to));
        show("shutdown", net::shutdown(c, libc::SHUT_RD));
        say!("{}:{}", net::text(c, 9, 0), net::state(c));
        show("shutdown", net::shutdown(c, libc::SHUT_WR));
        show("send", net::send(c, b"x", 0));
    }
    0
}
