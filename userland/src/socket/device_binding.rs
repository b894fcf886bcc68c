//! Sockets that are bound to an interface (`SO_BINDTODEVICE`, `SO_BINDTOIFINDEX`): to leave it takes `CAP_NET_RAW`.
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_INET, SO_BINDTODEVICE, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

const SO_BINDTOIFINDEX: i32 = 62;

fn all(fd: i32) {
    for name in [&b"lo"[..], b"none", b"lo\0", b"", b"lo", b"l", b"lo\0x", b"\0", b"lo"] {
        show("bind", net::set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, name));
        say!("{name:?}: {:?}", net::option(fd, SOL_SOCKET, SO_BINDTODEVICE, 16));
    }
    for index in [1, 0, 1, -1] {
        show("number", net::set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, index));
        say!("{index}: {:?}", net::int_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX));
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let fds = [SOCK_STREAM, SOCK_DGRAM].map(|kind| net::open(AF_INET, kind));
    fds.iter().for_each(|fd| all(*fd));
    // SAFETY: a number only.
    unsafe { libc::setresuid(65534, 65534, 65534) };
    fds.iter().for_each(|fd| all(*fd));
    all(net::open(AF_INET, SOCK_STREAM));
    0
}
