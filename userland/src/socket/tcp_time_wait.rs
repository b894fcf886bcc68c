//! Whoever closes first keeps the port for a while, unless both say SO_REUSEADDR.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

fn bind_again(label: &str, addr: &[u8], reuse: bool) {
    let s = net::open(AF_INET, SOCK_STREAM);
    if reuse {
        let _ = net::set_int(s, SOL_SOCKET, SO_REUSEADDR, 1);
    }
    show(label, net::bind(s, addr));
    let _ = file::close(s);
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for reuse in [0, 1] {
        let l = net::open(AF_INET, SOCK_STREAM);
        let _ = net::set_int(l, SOL_SOCKET, SO_REUSEADDR, reuse);
        let _ = net::bind(l, &net::loopback(false, 0));
        let _ = net::listen(l, 5);
        let addr = net::name(l).unwrap_or_default();
        let c = net::open(AF_INET, SOCK_STREAM);
        let _ = net::connect(c, &addr);
        let s = net::accept(l, 0).map_or(-1, |(fd, _)| fd);
        let _ = file::close(l);
        bind_again("while connected", &addr, false);
        bind_again("reusing", &addr, true);
        let _ = file::close(s);
        bind_again("server closed", &addr, false);
        let _ = file::close(c);
        bind_again("both closed", &addr, false);
        bind_again("reusing", &addr, true);
    }
    let (l, c, s) = net::connected(false);
    let addr = net::name(l).unwrap_or_default();
    for fd in [l, c, s] {
        let _ = file::close(fd);
    }
    bind_again("client closed first", &addr, false);
    say!("done");
    0
}
