//! What a datagram's receiver may be told: where it was sent to, and when it came; the size that fits.
use crate::out::{say, show};
use crate::sys::net;
use libc::{AF_INET, AF_INET6, MSG_DONTWAIT, SOCK_DGRAM, SOL_SOCKET};
use std::ffi::CStr;

const IP_RECVORIGDSTADDR: i32 = 20;
const IPV6_RECVORIGDSTADDR: i32 = 74;
const SO_TIMESTAMPING: i32 = 37;
const TCP_FASTOPEN_CONNECT: i32 = 30;

/// The control messages: addresses without ports, times by whether they are near now.
fn tell(fd: i32, own: &[u8]) {
    let Ok(message) = net::recv_msg(fd, 99, 200, MSG_DONTWAIT) else { return say!("nothing") };
    say!("{:?} flags {:#x}", String::from_utf8_lossy(&message.bytes), message.flags);
    for (level, kind, data) in message.control {
        if (level, kind) == (SOL_SOCKET, SO_TIMESTAMPING) {
            let words: Vec<i64> = data.chunks(8).map(|raw| i64::from_le_bytes(raw.try_into().unwrap_or_default())).collect();
            let now = crate::sys::time::now(libc::CLOCK_REALTIME) / 1_000_000_000;
            say!("  times {} near {} rest {:?}", words.len(), (now - words[0]).abs() < 100, &words[2..]);
        } else {
            say!("  {level} {kind} {:?} own {}", net::without_port(&data), data == own);
        }
    }
}

fn stamping(fd: i32, flags: i32) {
    say!("stamping {flags:#x}: {:?} {:?}", net::set_int(fd, SOL_SOCKET, SO_TIMESTAMPING, flags), net::int_option(fd, SOL_SOCKET, SO_TIMESTAMPING));
}

fn datagrams(family: i32, level: i32, name: i32) {
    let (a, b) = (net::open(family, SOCK_DGRAM), net::open(family, SOCK_DGRAM));
    let _ = net::bind(a, &net::loopback(family == AF_INET6, 0));
    let own = net::name(a).unwrap_or_default();
    show("option", net::set_int(a, level, name, 1));
    let _ = net::send_to(b, b"where", 0, &own);
    tell(a, &own);
    show("option", net::set_int(a, level, name, 0));
    stamping(a, 1 << 3 | 1 << 4);
    // Linux begins to note times a moment later.
    let _ = crate::sys::time::sleep_ms(100);
    let _ = net::send_to(b, b"when", 0, &own);
    tell(a, &own);
    for flags in [0, 1 << 4, 1 << 3, 1 << 20] {
        stamping(a, flags);
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    datagrams(AF_INET, 0, IP_RECVORIGDSTADDR);
    datagrams(AF_INET6, 41, IPV6_RECVORIGDSTADDR);
    let udp = net::open(AF_INET, SOCK_DGRAM);
    let _ = net::connect(udp, &net::loopback(false, 9));
    say!("fits {:?}", net::int_option(udp, 0, libc::IP_MTU));
    let six = net::open(AF_INET6, SOCK_DGRAM);
    let _ = net::connect(six, &net::loopback(true, 9));
    say!("fits {:?}", net::int_option(six, 41, libc::IPV6_MTU));
    let (client, server, listener) = net::connected(false);
    say!("{} {}", client >= 0 && server >= 0 && listener >= 0, net::int_option(client, 6, TCP_FASTOPEN_CONNECT) == Ok(0));
    let tcp = net::open(AF_INET, libc::SOCK_STREAM);
    say!("{:?} {:?}", net::set_int(tcp, 6, TCP_FASTOPEN_CONNECT, 1), net::int_option(tcp, 6, TCP_FASTOPEN_CONNECT));
    0
}
