//! Ends of unix streams: shut down, closed, closed with unread data; states and errors each way.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{MSG_NOSIGNAL, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_STREAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for how in [SHUT_RD, SHUT_WR, SHUT_RDWR] {
        let (a, b) = net::pair(SOCK_STREAM);
        let _ = net::send(a, b"to b", 0);
        let _ = net::send(b, b"to a", 0);
        show("shutdown", net::shutdown(a, how));
        say!("how {how}:{} |{}", net::state(a), net::state(b));
        show("a sends", net::send(a, b"x", MSG_NOSIGNAL));
        show("b sends", net::send(b, b"x", MSG_NOSIGNAL));
        let nowait = libc::MSG_DONTWAIT;
        say!("a {} {}", net::text(a, 99, nowait), net::text(a, 99, nowait));
        say!("b {} {}", net::text(b, 99, nowait), net::text(b, 99, nowait));
        show("bad", net::shutdown(a, 3));
    }
    let (a, b) = net::pair(SOCK_STREAM);
    let _ = net::send(a, b"read first", 0);
    let _ = file::close(a);
    say!("closed:{}", net::state(b));
    say!("{} {}", net::text(b, 99, 0), net::text(b, 99, 0));
    show("send", net::send(b, b"x", MSG_NOSIGNAL));
    say!("{:?} {:?}", net::int_option(b, 1, libc::SO_ERROR), net::peer(b).map(|raw| raw.len()));
    let (c, d) = net::pair(SOCK_STREAM);
    let _ = net::send(c, b"unread", 0);
    let _ = net::send(d, b"left", 0);
    let _ = file::close(d);
    say!("reset:{}", net::state(c));
    say!("{} {} {}", net::text(c, 99, 0), net::text(c, 9, 0), net::text(c, 9, 0));
    0
}
