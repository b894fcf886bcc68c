//! Connections to where nobody listens: at once, and without waiting, with every way to learn it.
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_INET, AF_INET6, SO_ERROR, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for v6 in [false, true] {
        let family = if v6 { AF_INET6 } else { AF_INET };
        let l = net::open(family, SOCK_STREAM);
        show("bind", net::bind(l, &net::loopback(v6, 0)));
        let addr = net::name(l).unwrap_or_default();
        let c = net::open(family, SOCK_STREAM);
        show("refused", net::connect(c, &addr));
        say!("{} {:?}", net::state(c), net::name(c).map(|a| net::port(&a) != 0));
        show("refused again", net::connect(c, &addr));
        let n = net::open(family, SOCK_STREAM | SOCK_NONBLOCK);
        show("begun", net::connect(n, &addr));
        say!("{}", net::state(n));
        say!("{:?}:{}", net::int_option(n, SOL_SOCKET, SO_ERROR), net::state(n));
        show("asked after", net::connect(n, &addr));
        show("begun", net::connect(n, &addr));
        show("told", net::connect(n, &addr));
        show("begun", net::connect(n, &addr));
        say!("read {}", net::text(n, 1, 0));
        say!("read {}", net::text(n, 1, 0));
        show("listen", net::listen(l, 1));
        let m = net::open(family, SOCK_STREAM | SOCK_NONBLOCK);
        show("begun", net::connect(m, &addr));
        say!("{} {:?}", net::state(m), net::int_option(m, SOL_SOCKET, SO_ERROR));
        show("done", net::connect(m, &addr));
        show("connected", net::connect(m, &addr));
        show("finally", net::connect(c, &addr));
    }
    0
}
