//! Datagrams that nobody takes: ECONNREFUSED for connected senders, the queue of errors, sizes and
//! destinations that are refused.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{AF_INET, AF_INET6, MSG_DONTWAIT, MSG_ERRQUEUE, SO_ERROR, SOCK_DGRAM, SOL_SOCKET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for v6 in [false, true] {
        let family = if v6 { AF_INET6 } else { AF_INET };
        let a = net::open(family, SOCK_DGRAM);
        let _ = net::bind(a, &net::loopback(v6, 0));
        let nobody = net::name(a).unwrap_or_default();
        let _ = file::close(a);
        let c = net::open(family, SOCK_DGRAM);
        show("unconnected", net::send_to(c, b"x", 0, &nobody));
        say!("{}", net::text(c, 1, MSG_DONTWAIT));
        show("connect", net::connect(c, &nobody));
        show("send", net::send(c, b"x", 0));
        say!("{}", net::state(c));
        show("send", net::send(c, b"x", 0));
        show("send", net::send(c, b"x", 0));
        say!("recv {}", net::text(c, 1, MSG_DONTWAIT));
        say!("recv {}", net::text(c, 1, MSG_DONTWAIT));
        show("send", net::send(c, b"x", 0));
        say!("{:?}", net::int_option(c, SOL_SOCKET, SO_ERROR));
        let e = net::open(family, SOCK_DGRAM);
        let (level, name) = if v6 { (41, 25) } else { (0, 11) };
        show("RECVERR", net::set_int(e, level, name, 1));
        show("send", net::send_to(e, b"came back", 0, &nobody));
        say!("{}", net::state(e));
        match net::recv_msg(e, 99, 200, MSG_ERRQUEUE) {
            Ok(m) => {
                let mut control = m.control;
                control.iter_mut().for_each(|(.., data)| data.truncate(8));
                say!("{:?} {control:?} {:#x}", String::from_utf8_lossy(&m.bytes), m.flags);
            }
            Err(errno) => say!("{errno}"),
        }
        say!("{}", net::text(e, 1, MSG_ERRQUEUE));
        show("largest", net::send_to(c, &vec![0; 65_507], 0, &nobody));
        say!("{:?}", net::int_option(c, SOL_SOCKET, SO_ERROR));
        show("too large", net::send_to(c, &vec![0; 65_528], 0, &nobody));
        show("no port", net::send_to(c, b"x", 0, &net::loopback(v6, 0)));
        show("short", net::send_to(c, b"x", 0, &nobody[..12]));
        show("urgent", net::send_to(c, b"x", libc::MSG_OOB, &nobody));
    }
    let c = net::open(AF_INET, SOCK_DGRAM);
    show("nowhere", net::send(c, b"x", 0));
    say!("{}", net::port(&net::name(c).unwrap_or_default()) != 0);
    show("bind", net::bind(c, &net::loopback(false, 0)));
    let mut all = net::loopback(false, 9);
    all[5..8].fill(255);
    show("broadcast", net::send_to(c, b"x", 0, &all));
    show("allowed", net::set_int(c, SOL_SOCKET, libc::SO_BROADCAST, 1));
    show("broadcast", net::send_to(c, b"x", 0, &all));
    0
}
