//! One send that becomes several datagrams (`UDP_SEGMENT`), those taken as one (`UDP_GRO`), and how many a receiver
//! has lost (`SO_RXQ_OVFL`).
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_INET, AF_INET6, MSG_DONTWAIT, SO_RCVBUF, SO_RXQ_OVFL, SOCK_DGRAM, SOL_SOCKET, UDP_GRO, UDP_SEGMENT};
use std::ffi::CStr;

const UDP: i32 = libc::SOL_UDP;

/// Everything that waits: its bytes or only how many, and what is told with it.
fn tell(fd: i32) {
    while let Ok(m) = net::recv_msg(fd, 70_000, 200, MSG_DONTWAIT) {
        let shown = String::from_utf8_lossy(m.bytes.get(..m.bytes.len().min(12)).unwrap_or_default()).into_owned();
        say!("  {} {shown:?} {:?} {:#x}", m.bytes.len(), m.control, m.flags);
    }
}

fn segment(size: &[u8]) -> Vec<u8> {
    net::control(UDP, UDP_SEGMENT, size)
}

fn sizes(v6: bool) {
    let family = if v6 { AF_INET6 } else { AF_INET };
    let (a, b) = (net::open(family, SOCK_DGRAM), net::open(family, SOCK_DGRAM));
    let _ = net::bind(a, &net::loopback(v6, 0));
    show("connect", net::connect(b, &net::name(a).unwrap_or_default()));
    for gathers in [0, 1] {
        show("gathers", net::set_int(a, UDP, UDP_GRO, gathers));
        for size in [1u16, 3, 5, 6, 7, 0] {
            say!("{size}");
            show("sent", net::send_msg(b, b"abcdef", &segment(&size.to_le_bytes()), 0));
            tell(a);
        }
        show("many", net::send_msg(b, &[b'x'; 4200], &segment(&1400u16.to_le_bytes()), 0));
        tell(a);
        show("nothing", net::send_msg(b, b"", &segment(&2u16.to_le_bytes()), 0));
        tell(a);
    }
    show("too many", net::send_msg(b, &[0; 200], &segment(&1u16.to_le_bytes()), 0));
    for size in [&[1][..], &[1, 0, 0, 0]] {
        show("of another size", net::send_msg(b, b"abc", &segment(size), 0));
    }
    show("unknown", net::send_msg(b, b"abc", &net::control(UDP, 99, &[1, 0]), 0));
    tell(a);
    for size in [-1, 65_536, 4] {
        show("of the socket", net::set_int(b, UDP, UDP_SEGMENT, size));
    }
    say!("{:?} {:?}", net::int_option(b, UDP, UDP_SEGMENT), net::int_option(a, UDP, UDP_GRO));
    show("sent", net::send(b, b"abcdefghij", 0));
    tell(a);
    show("gathers", net::set_int(a, UDP, UDP_GRO, 0));
    show("sent", net::send(b, b"abcdefghij", 0));
    tell(a);
    show("not now", net::send_msg(b, b"abcdefghij", &segment(&[0, 0]), 0));
    tell(a);
}

fn lost() {
    let (a, b) = (net::open(AF_INET, SOCK_DGRAM), net::open(AF_INET, SOCK_DGRAM));
    show("small", net::set_int(a, SOL_SOCKET, SO_RCVBUF, 0));
    show("told", net::set_int(a, SOL_SOCKET, SO_RXQ_OVFL, 1));
    let _ = net::bind(a, &net::loopback(false, 0));
    let to = net::name(a).unwrap_or_default();
    for _ in 0..2 {
        for byte in b"012" {
            show("sent", net::send_to(b, &[*byte; 2000], 0, &to));
        }
        tell(a);
    }
    show("told", net::set_int(a, SOL_SOCKET, SO_RXQ_OVFL, 0));
    show("sent", net::send_to(b, b"x", 0, &to));
    tell(a);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    sizes(false);
    sizes(true);
    lost();
    0
}
