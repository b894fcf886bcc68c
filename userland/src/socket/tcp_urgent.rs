//! Urgent data (MSG_OOB): out of line and in line, the mark, states; of unix streams too.
use crate::out::{say, show};
use crate::sys::net;
use libc::{MSG_DONTWAIT, MSG_OOB, MSG_PEEK, SO_OOBINLINE, SOL_SOCKET};
use std::ffi::CStr;

fn at_mark(fd: i32) -> i32 {
    let mut value = -1i32;
    // SAFETY: the kernel writes one int.
    let told = unsafe { libc::ioctl(fd, 0x8905, &raw mut value) };
    if told == 0 { value } else { told }
}

fn pass(kind: &str, c: i32, s: i32) {
    say!("{kind}: no mark {} {}", at_mark(s), net::text(s, 1, MSG_OOB));
    show("plain", net::send(c, b"ab", 0));
    show("urgent", net::send(c, b"cd!", MSG_OOB));
    show("plain", net::send(c, b"ef", 0));
    say!("{} mark {}", net::state(s), at_mark(s));
    say!("{}", net::text(s, 99, MSG_DONTWAIT));
    say!("mark {}", at_mark(s));
    say!("{} {}", net::text(s, 1, MSG_OOB | MSG_PEEK), net::text(s, 1, MSG_OOB));
    say!("{}", net::text(s, 1, MSG_OOB));
    say!("{}:{}", net::text(s, 99, MSG_DONTWAIT), net::state(s));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (_l, c, s) = net::connected(false);
    pass("tcp", c, s);
    show("in line", net::set_int(s, SOL_SOCKET, SO_OOBINLINE, 1));
    let _ = net::send(c, b"ab", 0);
    let _ = net::send(c, b"!", MSG_OOB);
    let _ = net::send(c, b"cd", 0);
    say!("{} {}", net::text(s, 1, MSG_OOB), net::text(s, 99, 0));
    say!("mark {} {}", at_mark(s), net::text(s, 99, 0));
    let (a, b) = net::pair(libc::SOCK_STREAM);
    pass("unix", a, b);
    0
}
