//! IPv6 sockets that take IPv4 too: mapped addresses, IPV6_V6ONLY, who may share a port, and what a connection of
//! IPv4's may become (IPV6_ADDRFORM).
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
        if only == 0 {
            let (s, _) = net::accept(l, 0).unwrap_or((-1, Vec::new()));
            show("native", to_v4(s, AF_INET));
            let (s, _) = net::accept(l, 0).unwrap_or((-1, Vec::new()));
            become_v4(s, l);
        }
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

fn to_v4(fd: i32, family: i32) -> crate::sys::Res {
    net::set_int(fd, 41, libc::IPV6_ADDRFORM, family)
}

/// A connection to a mapped address becomes IPv4's, and then a listener.
fn become_v4(fd: i32, listener: i32) {
    show("of a listener", to_v4(listener, AF_INET));
    show("IPv6", to_v4(fd, AF_INET6));
    show("IPv4", to_v4(fd, AF_INET));
    say!("{:?} {:?}", net::name(fd).map(|a| net::without_port(&a)), net::int_option(fd, libc::SOL_SOCKET, libc::SO_DOMAIN));
    show("again", to_v4(fd, AF_INET));
    show("disconnect", net::connect(fd, &[0; 16]));
    let mut any = net::loopback(false, 0);
    (any[4], any[7]) = (0, 0);
    show("bind", net::bind(fd, &any));
    show("listen", net::listen(fd, 5));
    let port = net::port(&net::name(fd).unwrap_or_default());
    let c = net::open(AF_INET, SOCK_STREAM);
    show("connect", net::connect(c, &net::loopback(false, port)));
    let accepted = net::accept(fd, 0);
    say!("{:?}", accepted.map(|(s, from)| (net::without_port(&from), file::close(s))));
    let _ = (file::close(c), file::close(fd));
}
