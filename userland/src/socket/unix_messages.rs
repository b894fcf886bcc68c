//! Unix datagrams and sequenced packets: boundaries, empty messages, what doesn't fit, the end.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_SEQPACKET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for kind in [SOCK_DGRAM, SOCK_SEQPACKET] {
        let (a, b) = net::pair(kind);
        say!("kind {kind}:{} |{}", net::state(a), net::state(b));
        for message in [&b"one"[..], b"", b"0123456789"] {
            show("send", net::send(a, message, 0));
        }
        say!("{} {}", net::text(b, 99, 0), net::text(b, 99, 0));
        say!("peek {} {}", net::text(b, 3, MSG_PEEK), net::text(b, 99, MSG_PEEK));
        show("true length", net::recv(b, 3, MSG_PEEK | MSG_TRUNC).map(|m| m.len()));
        match net::recv_msg(b, 4, 0, 0) {
            Ok(m) => say!("{:?} {:#x}", String::from_utf8_lossy(&m.bytes), m.flags),
            Err(errno) => say!("{errno}"),
        }
        say!("empty {}", net::text(b, 9, MSG_DONTWAIT));
        show("too big", net::send(a, &vec![0; 300_000], 0));
        let _ = net::send(a, b"left", 0);
        let _ = file::close(a);
        say!("closed:{}", net::state(b));
        say!("{} {}", net::text(b, 9, MSG_DONTWAIT), net::text(b, 9, MSG_DONTWAIT));
        show("send", net::send(b, b"x", 0));
        show("send", net::send(b, b"x", 0));
        let (c, d) = net::pair(kind);
        show("shutdown", net::shutdown(c, libc::SHUT_WR));
        show("send", net::send(c, b"x", 0));
        say!("recv {}:{}", net::text(d, 9, libc::MSG_DONTWAIT), net::state(d));
        show("shutdown", net::shutdown(c, libc::SHUT_RD));
        show("send", net::send(d, b"x", 0));
        show("urgent", net::send(d, b"x", libc::MSG_OOB));
    }
    let e = net::open(libc::AF_UNIX, SOCK_SEQPACKET);
    show("lone", net::send(e, b"x", 0));
    say!("{}:{}", net::text(e, 1, 0), net::state(e));
    0
}
