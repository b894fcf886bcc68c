//! Connections that are broken off: closed with unread data, with SO_LINGER at zero, before they
//! were accepted.
use crate::out::{say, show, show_ok};
use crate::sys::{file, net};
use libc::{MSG_NOSIGNAL, SO_ERROR, SO_LINGER, SOL_SOCKET};
use std::ffi::CStr;

fn tell(c: i32) {
    say!("{}", net::state(c));
    show("send", net::send(c, b"x", MSG_NOSIGNAL));
    say!("{} {}", net::text(c, 9, 0), net::text(c, 9, 0));
    show("send", net::send(c, b"x", MSG_NOSIGNAL));
    show_ok("peer", net::peer(c));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (_l, c, s) = net::connected(false);
    let _ = net::send(c, b"unread", 0);
    let _ = file::close(s);
    tell(c);
    let (_l, c, s) = net::connected(false);
    let _ = net::send(s, b"lost", 0);
    let linger = [1i32.to_le_bytes(), 0i32.to_le_bytes()].concat();
    show("linger", net::set_option(s, SOL_SOCKET, SO_LINGER, &linger));
    say!("{:?}", net::option(s, SOL_SOCKET, SO_LINGER, 8));
    let _ = file::close(s);
    say!("{:?}:{}", net::int_option(c, SOL_SOCKET, SO_ERROR), net::state(c));
    let (_l, c, s) = net::connected(true);
    let _ = net::send(c, b"unread", 0);
    show("half", net::shutdown(c, libc::SHUT_WR));
    let _ = file::close(s);
    tell(c);
    let l = net::open(libc::AF_INET, libc::SOCK_STREAM);
    let _ = net::bind(l, &net::loopback(false, 0));
    let _ = net::listen(l, 5);
    let addr = net::name(l).unwrap_or_default();
    let c = net::open(libc::AF_INET, libc::SOCK_STREAM);
    show("connect", net::connect(c, &addr));
    let _ = file::close(l);
    tell(c);
    let (_l, c, s) = net::connected(false);
    show("disconnect", net::connect(c, &[0; 16]));
    say!("{}:{}", net::text(s, 9, 0), net::state(s));
    say!("{:?}:{}", net::name(c).map(|a| net::without_port(&a)), net::state(c));
    0
}
