//! Ends of TCP connections: half closed, both ways, and what is told of it.
use crate::out::{say, show, show_ok};
use crate::sys::{file, net};
use libc::{MSG_DONTWAIT, MSG_NOSIGNAL, SHUT_RD, SHUT_RDWR, SHUT_WR};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for how in [SHUT_WR, SHUT_RDWR, SHUT_RD] {
        let (_l, c, s) = net::connected(false);
        let _ = net::send(c, b"data", 0);
        show("shutdown", net::shutdown(c, how));
        say!("how {how}:{} |{}", net::state(c), net::state(s));
        show("send", net::send(c, b"x", MSG_NOSIGNAL));
        say!("{}", net::text(s, 99, MSG_DONTWAIT));
        say!("{}", net::text(s, 99, MSG_DONTWAIT));
        if how == SHUT_WR {
            show("back", net::send(s, b"back", MSG_NOSIGNAL));
            say!("{}", net::text(c, 99, 0));
            show("other end", net::shutdown(s, SHUT_WR));
            say!("over:{} |{}", net::state(c), net::state(s));
            show("once more", net::shutdown(c, SHUT_WR));
            show_ok("peer", net::peer(s));
            say!("{} {}", net::text(c, 9, 0), net::text(s, 9, 0));
        }
    }
    let (_l, c, s) = net::connected(true);
    let _ = file::close(s);
    say!("closed:{} {}", net::state(c), net::text(c, 9, 0));
    show("goes off", net::send(c, b"x", MSG_NOSIGNAL));
    say!("answered:{}", net::state(c));
    show("broken", net::send(c, b"x", MSG_NOSIGNAL));
    say!("{} {}", net::text(c, 9, 0), net::text(c, 9, 0));
    show("shutdown", net::shutdown(c, SHUT_WR));
    let lone = net::open(libc::AF_INET, libc::SOCK_STREAM);
    show("lone", net::shutdown(lone, SHUT_WR));
    let (l, _c, _s) = net::connected(false);
    show("listener for writing", net::shutdown(l, SHUT_WR));
    show("listener", net::shutdown(l, SHUT_RD));
    show_ok("accept", net::accept(l, 0));
    show("again", net::listen(l, 1));
    0
}
