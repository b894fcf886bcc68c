//! epoll on sockets: what each event is told, once for edges and again for levels.
use crate::out::say;
use crate::sys::{Plain, file, net};
use libc::{EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP};
use std::ffi::CStr;

fn wait(ep: i32) -> String {
    let mut event = libc::epoll_event::zeroed();
    match file::epoll_wait(ep, &mut event, 1, 0) {
        Ok(0) => "nothing".to_string(),
        Ok(_) => format!("{:#x}", { event.events }),
        Err(errno) => errno.to_string(),
    }
}

fn watch(fd: i32, events: i32) -> i32 {
    let ep = file::fd(file::epoll_create1(0)).unwrap_or(-1);
    let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: 7 };
    if let Err(errno) = file::epoll_ctl(ep, libc::EPOLL_CTL_ADD, fd, Some(&mut event)) {
        say!("epoll_ctl: {errno}");
    }
    ep
}

fn pass(label: &str, c: i32, s: i32) {
    let level = watch(s, EPOLLIN | EPOLLRDHUP);
    let edge = watch(s, EPOLLIN | EPOLLRDHUP | EPOLLET);
    let out = watch(s, EPOLLOUT | EPOLLET);
    let tell = |what: &str| {
        say!("{label} {what}: {} {} | {} {} | {} {}", wait(level), wait(level), wait(edge), wait(edge), wait(out), wait(out));
    };
    tell("idle");
    let _ = net::send(c, b"1", 0);
    tell("one");
    let _ = net::send(c, b"2", 0);
    tell("two");
    let _ = net::recv(s, 1, 0);
    tell("one read");
    let _ = net::recv(s, 1, 0);
    tell("both read");
    let _ = net::shutdown(c, libc::SHUT_WR);
    tell("ended");
    let _ = file::close(c);
    tell("closed");
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (_l, c, s) = net::connected(false);
    pass("tcp", c, s);
    let (a, b) = net::pair(libc::SOCK_STREAM);
    pass("unix", a, b);
    0
}
