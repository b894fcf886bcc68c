//! IPv6 sockets that take IPv4 too: mapped addresses, IPV6_V6ONLY, who may share a port.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{AF_INET, AF_INET6, IPV6_V6ONLY, SOCK_STREAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut any = net::loopback(true, 0);
    any[23] = 0;
    for only in [0, 1] {
        let l = net::open(AF_INET6, SOCK_STREAM);
        show("v6only", net::set_int(l, 41, IPV6_V6ONLY, only));
        show("bind", net::bind(l, &any));
        show("v6only late", net::set_int(l, 41, IPV6_V6ONLY, 1 - only));
        say!("{:?}", net::int_option(l, 41, IPV6_V6ONLY));
        let _ = net::listen(l, 5);
        let port = net::port(&net::name(l).unwrap_or_default());
        let c = net::open(AF_INET, SOCK_STREAM);
        show("IPv4", net::connect(c, &net::loopback(false, port)));
        if only == 0 {
            let (s, from) = net::accept(l, 0).unwrap_or((-1, vec![0; 28]));
            say!("{:?}", net::without_port(&from));
            say!("{:?}", net::name(s).map(|a| net::without_port(&a)));
            let _ = net::send(c, b"four", 0);
            say!("{}", net::text(s, 9, 0));
        }
        let c = net::open(AF_INET6, SOCK_STREAM);
        show("IPv6", net::connect(c, &net::loopback(true, port)));
        let mut mapped = net::loopback(true, port);
        mapped[18..24].copy_from_slice(&[0xFF, 0xFF, 127, 0, 0, 1]);
        let m = net::open(AF_INET6, SOCK_STREAM);
        show("mapped", net::connect(m, &mapped));
        say!("{:?}", net::name(m).map(|a| net::without_port(&a)));
        let f = net::open(AF_INET, SOCK_STREAM);
        let mut zero = net::loopback(false, port);
        zero[4] = 0;
        zero[7] = 0;
        show("IPv4 beside it", net::bind(f, &zero));
        let g = net::open(AF_INET, SOCK_STREAM);
        show("one address", net::bind(g, &net::loopback(false, port)));
        let _ = (file::close(f), file::close(g));
    }
    0
}
