//! socket(2) and socketpair(2) with families, types, protocols and flags that aren't; calls on what
//! isn't a socket.
use crate::out::{say, show, show_ok};
use crate::sys::{file, net};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (family, kind, protocol) in [
        (99, 1, 0),
        (-1, 1, 0),
        (1, 0, 0),
        (1, 4, 0),
        (1, 99, 0),
        (1, 1, 5),
        (1, 1, 1),
        (1, 3, 0),
        (2, 1, 17),
        (2, 2, 6),
        (2, 4, 0),
        (2, 5, 0),
        (2, 1, 300),
        (2, 1, 0x40_0001),
        (10, 2, 6),
        (2, 1, 6),
        (10, 2, 17),
    ] {
        let made = net::socket(family, kind, protocol);
        show_ok(&format!("{family} {kind} {protocol}"), made);
    }
    let (rx, _tx) = file::pipe();
    show("bind", net::bind(rx, &net::loopback(false, 0)));
    show("listen", net::listen(rx, 1));
    show("connect", net::connect(rx, &net::loopback(false, 1)));
    show("shutdown", net::shutdown(rx, 2));
    show("send", net::send(rx, b"x", 0));
    say!("recv {} {}", net::text(rx, 1, 0), net::text(99, 1, 0));
    show_ok("accept", net::accept(rx, 0));
    show_ok("name", net::name(rx));
    show_ok("option", net::int_option(rx, 1, 3));
    show("closed", net::listen(99, 1));
    let (one, _) = net::pair(libc::SOCK_STREAM);
    show("seek", file::lseek(one, 0, 0));
    show_ok("accept flags", net::accept(one, 1));
    let link = format!("/proc/self/fd/{one}");
    let target = std::fs::read_link(link).map(|path| path.to_string_lossy()[..8].to_string());
    say!("{target:?}");
    0
}
