//! A listener's queue: how many fit, what those get who don't, what happens when the listener goes.
use crate::out::{say, show, show_ok};
use crate::sys::{child, file, net};
use libc::{AF_UNIX, SOCK_NONBLOCK, SOCK_STREAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let name = net::abstract_name(b"behave-backlog");
    let s = net::open(AF_UNIX, SOCK_STREAM);
    show("bind", net::bind(s, &name));
    show("listen", net::listen(s, 1));
    say!("idle:{}", net::state(s));
    let clients: Vec<i32> = (0..4)
        .map(|_| net::open(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK))
        .collect();
    for client in &clients {
        show("connect", net::connect(*client, &name));
    }
    say!("waiting:{}", net::state(s));
    show("send early", net::send(clients[0], b"early", 0));
    show("send to the listener", net::send(s, b"x", libc::MSG_NOSIGNAL));
    say!("recv {}", net::text(s, 1, 0));
    let pid = child::start(|| {
        let c = net::open(AF_UNIX, SOCK_STREAM);
        let made = net::connect(c, &name);
        let _ = net::send(c, b"patient", 0);
        i32::from(made.is_err())
    });
    let mut got = Vec::new();
    for _ in 0..3 {
        if let Ok((fd, addr)) = net::accept(s, libc::SOCK_CLOEXEC) {
            got.push(fd);
            say!("accepted {addr:?} {:?}", file::fcntl(fd, libc::F_GETFD, 0));
        }
    }
    say!("{} {}", child::end_of(pid), net::text(got[0], 9, 0));
    say!("{}", net::text(got[2], 9, 0));
    show("third", net::connect(clients[2], &name));
    show("connected", net::connect(clients[0], &name));
    let _ = file::close(s);
    for client in &clients {
        say!("{}:{}", net::text(*client, 1, 0), net::state(*client));
    }
    show("send", net::send(clients[2], b"x", libc::MSG_NOSIGNAL));
    show_ok("gone", net::connect(clients[3], &name));
    0
}
