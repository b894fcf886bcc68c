//! How much a unix socket lets be sent that nobody reads, and when it can be written again.
use crate::out::{say, show};
use crate::sys::{file, net};
use libc::{AF_UNIX, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for size in [1, 100, 1000, 3000] {
        let (a, b) = net::pair(SOCK_STREAM | SOCK_NONBLOCK);
        let mut sent = 0;
        while let Ok(n) = net::send(a, &vec![1; size], 0) {
            sent += n;
        }
        say!("{size} at a time: {sent}:{} |{}", net::state(a), net::state(b));
        let _ = net::recv(b, sent / 2, 0);
        say!("half:{}", net::state(a));
        let _ = net::recv(b, sent * 2 / 5, 0);
        say!("a tenth left:{}", net::state(a));
    }
    let (a, _b) = net::pair(SOCK_STREAM | SOCK_NONBLOCK);
    for size in [0, 3000, 5000, 100_000] {
        show("set", net::set_int(a, SOL_SOCKET, SO_SNDBUF, size));
        show("set", net::set_int(a, SOL_SOCKET, SO_RCVBUF, size));
        say!("{size}: {:?} {:?}", net::int_option(a, 1, SO_SNDBUF), net::int_option(a, 1, SO_RCVBUF));
    }
    let d = net::open(AF_UNIX, SOCK_DGRAM);
    let name = net::abstract_name(b"behave-full");
    let _ = net::bind(d, &name);
    let e = net::open(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    let mut count = 0;
    while net::send_to(e, b"m", 0, &name).is_ok() {
        count += 1;
    }
    say!("{count} messages:{} |{}", net::state(e), net::state(d));
    show("connect", net::connect(e, &name));
    say!("connected:{}", net::state(e));
    show("read", file::read(d, &mut [0; 9]));
    say!("one less:{}", net::state(e));
    0
}
