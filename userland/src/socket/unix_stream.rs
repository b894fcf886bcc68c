//! Unix stream sockets: bytes in order whatever the calls' sizes, the end, both ways at once.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{MSG_DONTWAIT, SOCK_STREAM};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (a, b) = net::pair(SOCK_STREAM);
    show("write", file::write(a, b"hello, "));
    show("send", net::send(a, b"world", 0));
    say!("{} {}", net::text(b, 3, 0), net::text(b, 99, 0));
    say!("empty {}", net::text(b, 1, MSG_DONTWAIT));
    show("zero bytes", net::send(a, b"", 0));
    say!("still empty {}", net::text(b, 1, MSG_DONTWAIT));
    show("back", net::send(b, b"back", 0));
    show("read", file::read(a, &mut [0; 99]));
    let mut waiting = 0i32;
    let _ = net::send(a, &[7; 1000], 0);
    // SAFETY: the kernel writes one int.
    let told = unsafe { libc::ioctl(b, libc::FIONREAD, &raw mut waiting) };
    say!("waiting {told} {waiting}");
    show("with a name", net::send_to(a, b"x", 0, &net::abstract_name(b"nobody")));
    let lone = net::open(libc::AF_UNIX, SOCK_STREAM);
    show("lone send", net::send(lone, b"x", libc::MSG_NOSIGNAL));
    show("lone with a name", net::send_to(lone, b"x", 0, &net::abstract_name(b"nobody")));
    say!("lone recv {}", net::text(lone, 1, 0));
    show("nothing urgent", net::send(a, b"", libc::MSG_OOB));
    show("nothing urgent, alone", net::send(lone, b"", libc::MSG_OOB));
    say!("{:?} {:?}", net::name(a), net::peer(a));
    say!("{:?} {:?}", net::name(lone), net::peer(lone));
    say!("states:{} |{} |{}", net::state(a), net::state(b), net::state(lone));
    0
}
