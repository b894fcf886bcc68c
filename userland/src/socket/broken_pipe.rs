//! SIGPIPE: on streams that nobody reads, not on messages, not with MSG_NOSIGNAL; it kills.
use crate::out::{say, show};
use crate::sys::{child, file, net};
use libc::{MSG_NOSIGNAL, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for kind in [SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM] {
        let (a, b) = net::pair(kind);
        let _ = file::close(b);
        show("quiet", net::send(a, b"x", MSG_NOSIGNAL));
        let end = child::run(|| {
            show("write", file::write(a, b"x"));
            0
        });
        say!("{kind}: {end}");
        let end = child::run(|| {
            show("send", net::send(a, b"x", 0));
            0
        });
        say!("{kind}: {end}");
    }
    let lone = net::open(libc::AF_INET, SOCK_STREAM);
    say!("{}", child::run(|| {
        show("unconnected", net::send(lone, b"x", 0));
        0
    }));
    let (_l, c, _s) = net::connected(false);
    let _ = net::shutdown(c, libc::SHUT_WR);
    let _ = file::write(c, b"x");
    say!("not reached");
    0
}
