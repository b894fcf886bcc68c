//! TCP over the loopback, IPv4 and IPv6: connect, accept, names, bytes both ways, states.
use crate::out::{say, show, show_ok};
use crate::sys::{file, net};
use libc::{AF_INET, AF_INET6, MSG_DONTWAIT, SOCK_STREAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for v6 in [false, true] {
        let family = if v6 { AF_INET6 } else { AF_INET };
        let l = net::open(family, SOCK_STREAM);
        say!("fresh:{} {:?}", net::state(l), net::name(l));
        show("bind", net::bind(l, &net::loopback(v6, 0)));
        let addr = net::name(l).unwrap_or_default();
        say!("{:?} {}", net::without_port(&addr), net::port(&addr) >= 1024);
        show("listen", net::listen(l, 5));
        show("listen again", net::listen(l, 7));
        let c = net::open(family, SOCK_STREAM);
        show("connect", net::connect(c, &addr));
        say!("waiting:{}", net::state(l));
        let (s, from) = net::accept(l, libc::SOCK_NONBLOCK).unwrap_or((-1, Vec::new()));
        say!("idle:{}", net::state(l));
        say!("{} {}", Ok(from) == net::name(c), net::peer(s) == net::name(c));
        say!("{} {}", net::peer(c) == Ok(addr.clone()), net::name(s) == Ok(addr.clone()));
        say!("nonblocking {}", file::fcntl(s, libc::F_GETFL, 0).unwrap_or(0) & 0o4000 != 0);
        show("write", file::write(c, b"to the server"));
        show("send", net::send(s, b"to the client", 0));
        say!("{} {}", net::text(s, 99, 0), net::text(c, 99, 0));
        say!("{}", net::text(s, 99, 0));
        show("nothing", net::send(c, b"", 0));
        say!("{}", net::text(s, 99, 0));
        say!("{} |{}", net::state(c), net::state(s));
        show("again", net::connect(c, &addr));
        show_ok("accept a client", net::accept(c, 0));
        show("listen client", net::listen(c, 1));
        show("bind client", net::bind(c, &net::loopback(v6, 0)));
        show("send to the listener", net::send(l, b"x", libc::MSG_NOSIGNAL));
        say!("{}", net::text(l, 9, MSG_DONTWAIT));
        show_ok("peer", net::peer(l));
        show("connect the listener", net::connect(l, &addr));
        say!("{:?}", net::int_option(l, 1, libc::SO_ACCEPTCONN));
        say!("{:?}", net::option(c, 6, libc::TCP_INFO, 1));
    }
    0
}
