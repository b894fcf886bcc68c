//! SO_RCVTIMEO and SO_SNDTIMEO: how waiting calls end, and not before the time.
use crate::out::say;
use crate::sys::net;
use libc::{AF_INET, AF_UNIX, SO_RCVTIMEO, SO_SNDTIMEO, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;
use std::time::Instant;

fn limit(fd: i32, name: i32) {
    let value = [0i64.to_le_bytes(), 40_000i64.to_le_bytes()].concat();
    if let Err(errno) = net::set_option(fd, SOL_SOCKET, name, &value) {
        say!("option: {errno}");
    }
}

fn timed(label: &str, work: impl FnOnce() -> String) {
    let start = Instant::now();
    let text = work();
    let ms = start.elapsed().as_millis();
    say!("{label}: {text} {}", if ms < 40 { "too early" } else { "in time" });
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (a, _b) = net::pair(SOCK_STREAM);
    limit(a, SO_RCVTIMEO);
    timed("unix recv", || net::text(a, 1, 0));
    limit(a, SO_SNDTIMEO);
    timed("unix send", || loop {
        if let Err(errno) = net::send(a, &[0; 4096], 0) {
            return errno.to_string();
        }
    });
    let (l, _c, s) = net::connected(false);
    limit(s, SO_RCVTIMEO);
    timed("tcp recv", || net::text(s, 1, 0));
    limit(l, SO_RCVTIMEO);
    timed("accept", || format!("{:?}", net::accept(l, 0)));
    limit(s, SO_SNDTIMEO);
    timed("tcp send", || loop {
        if let Err(errno) = net::send(s, &[0; 65536], 0) {
            return errno.to_string();
        }
    });
    let u = net::open(AF_INET, SOCK_DGRAM);
    let _ = net::bind(u, &net::loopback(false, 0));
    limit(u, SO_RCVTIMEO);
    timed("udp recv", || net::text(u, 1, 0));
    let d = net::open(AF_UNIX, SOCK_STREAM);
    let name = net::abstract_name(b"behave-timeouts");
    let _ = net::bind(d, &name);
    let _ = net::listen(d, 0);
    let _ = net::connect(net::open(AF_UNIX, SOCK_STREAM), &name);
    let e = net::open(AF_UNIX, SOCK_STREAM);
    limit(e, SO_SNDTIMEO);
    timed("unix connect", || format!("{:?}", net::connect(e, &name)));
    0
}
