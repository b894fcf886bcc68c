//! TCP sockets that connect to themselves, and those that are shut down before they are connected.
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_INET, AF_INET6, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_ERROR, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

fn itself(family: i32, v6: bool) {
    let s = net::open(family, SOCK_STREAM);
    show("bind", net::bind(s, &net::loopback(v6, 0)));
    let own = net::name(s).unwrap_or_default();
    show("connect", net::connect(s, &own));
    say!("{} {}", net::state(s), net::peer(s) == Ok(own.clone()));
    show("again", net::connect(s, &own));
    show("send", net::send(s, b"to myself", 0));
    say!("{} {}", net::state(s), net::text(s, 4, 0));
    show("shutdown", net::shutdown(s, SHUT_WR));
    say!("{} {} {}", net::text(s, 100, 0), net::text(s, 100, 0), net::state(s));
    show("send", net::send(s, b"more", libc::MSG_NOSIGNAL));
    let n = net::open(family, SOCK_STREAM | SOCK_NONBLOCK);
    show("bind", net::bind(n, &net::loopback(v6, 0)));
    show("begun", net::connect(n, &net::name(n).unwrap_or_default()));
    say!("{}", net::state(n));
    show("told", net::connect(n, &net::name(n).unwrap_or_default()));
}

fn given_up(family: i32, v6: bool, how: i32) {
    let l = net::open(family, SOCK_STREAM);
    show("bind", net::bind(l, &net::loopback(v6, 0)));
    show("listen", net::listen(l, 0));
    let addr = net::name(l).unwrap_or_default();
    let first = net::open(family, SOCK_STREAM);
    show("first", net::connect(first, &addr));
    let second = net::open(family, SOCK_STREAM | SOCK_NONBLOCK);
    show("second", net::connect(second, &addr));
    say!("{}", net::state(second));
    show("shutdown", net::shutdown(second, how));
    say!("{} {:?} {}", net::state(second), net::int_option(second, SOL_SOCKET, SO_ERROR), net::state(second));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for v6 in [false, true] {
        let family = if v6 { AF_INET6 } else { AF_INET };
        itself(family, v6);
        for how in [SHUT_RD, SHUT_WR, SHUT_RDWR] {
            given_up(family, v6, how);
        }
    }
    0
}
