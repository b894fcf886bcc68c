//! SO_PEEK_OFF (socket(7)): each look begins where the last one ended, a read moves that back, and of datagrams those
//! before it are left out.
use crate::out::{say, show};
use crate::sys::{Res, net};
use libc::{MSG_DONTWAIT, MSG_PEEK, SO_PEEK_OFF, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (name, kind) in [("stream", SOCK_STREAM), ("datagrams", SOCK_DGRAM), ("packets", SOCK_SEQPACKET)] {
        say!("{name}");
        let (a, b) = net::pair(kind);
        tell(b);
        show("from 0", set(b, 0));
        for piece in [&b"abc"[..], b"defg", b"hi"] {
            let _ = net::send(a, piece, 0);
        }
        for most in [2, 2, 9, 9] {
            say!("look {}", net::text(b, most, MSG_PEEK | MSG_DONTWAIT));
            tell(b);
        }
        say!("read {}", net::text(b, 3, 0));
        tell(b);
        show("back to 1", set(b, 1));
        say!("look {}", net::text(b, 9, MSG_PEEK));
        show("off", set(b, -1));
        say!("look {}", net::text(b, 9, MSG_PEEK));
        say!("read {} {}", net::text(b, 9, 0), net::text(b, 9, MSG_DONTWAIT));
    }
    for kind in [SOCK_DGRAM, libc::SOCK_RAW] {
        let netlink = net::open(libc::AF_NETLINK, kind);
        show("netlink", set(netlink, 0));
        tell(netlink);
    }
    0
}

fn set(fd: i32, offset: i32) -> Res {
    net::set_int(fd, SOL_SOCKET, SO_PEEK_OFF, offset)
}

fn tell(fd: i32) {
    say!("offset {:?}", net::int_option(fd, SOL_SOCKET, SO_PEEK_OFF));
}
