//! MSG_PEEK, MSG_WAITALL, MSG_TRUNC and SO_RCVLOWAT on streams; reads of nothing.
use crate::out::{say, show};
use crate::sys::{child, file, net};
use libc::{MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SOCK_STREAM};
use std::ffi::CStr;

fn pass(label: &str, a: i32, b: i32) {
    let _ = net::send(a, b"0123", 0);
    let _ = net::send(a, b"456789", 0);
    say!("{label} peek {} {}", net::text(b, 6, MSG_PEEK), net::text(b, 99, MSG_PEEK));
    say!("nothing {} {:?}", net::text(b, 0, 0), file::read(b, &mut []));
    say!("read {} {}", net::text(b, 6, 0), net::text(b, 99, 0));
    show("nothing", file::read(b, &mut []));
    say!("nothing {}", net::text(b, 0, MSG_DONTWAIT));
    let pid = child::start(|| {
        for piece in [&b"ab"[..], b"cd", b"ef"] {
            let _ = net::send(a, piece, 0);
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        0
    });
    say!("all {}", net::text(b, 5, MSG_WAITALL));
    say!("{} {}", child::end_of(pid), net::text(b, 9, 0));
    let _ = net::send(a, b"end", 0);
    let _ = net::shutdown(a, libc::SHUT_WR);
    say!("cut short {}", net::text(b, 9, MSG_WAITALL));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (a, b) = net::pair(SOCK_STREAM);
    pass("unix", a, b);
    let (_l, c, s) = net::connected(false);
    pass("tcp", c, s);
    let (_l, c, s) = net::connected(false);
    show("low water", net::set_int(s, 1, libc::SO_RCVLOWAT, 5));
    let _ = net::send(c, b"123", 0);
    say!("three:{} {}", net::state(s), net::text(s, 9, MSG_DONTWAIT));
    let _ = net::send(c, b"12345", 0);
    say!("five:{}", net::state(s));
    let thrown = net::recv(s, 4, MSG_TRUNC).map(|bytes| bytes.len());
    say!("thrown away {thrown:?} {}", net::text(s, 9, MSG_DONTWAIT));
    0
}
