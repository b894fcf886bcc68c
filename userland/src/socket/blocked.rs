//! Calls that wait, and what ends their waiting: bytes, room, connections, ends, from other
//! processes.
use crate::out::say;
use crate::sys::{child, file, net};
use libc::{AF_INET, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use std::ffi::CStr;

fn later(work: impl FnOnce() -> i32) -> i32 {
    child::start(|| {
        std::thread::sleep(std::time::Duration::from_millis(30));
        work()
    })
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for kind in [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET] {
        let (a, b) = net::pair(kind);
        let pid = later(|| i32::from(net::send(a, b"late", 0) != Ok(4)));
        say!("{kind} recv {} {}", net::text(b, 9, 0), child::end_of(pid));
        let pid = later(|| i32::from(net::shutdown(a, libc::SHUT_WR).is_err()));
        if kind != SOCK_DGRAM {
            say!("{kind} end {}", net::text(b, 9, 0));
        }
        say!("{}", child::end_of(pid));
        let (a, b) = net::pair(kind);
        let pid = later(|| {
            let mut total = 0;
            while total < 400_000 {
                total += net::recv(b, 1000, 0).map_or(1 << 30, |bytes| bytes.len());
            }
            i32::from(total != 400_000)
        });
        let sent: usize = (0..400).map(|_| net::send(a, &[1; 1000], 0).unwrap_or(0)).sum();
        say!("{kind} sent {sent} {}", child::end_of(pid));
    }
    let (l, c, s) = net::connected(false);
    let pid = later(|| i32::from(net::send(c, b"late", 0) != Ok(4)));
    say!("tcp recv {} {}", net::text(s, 9, 0), child::end_of(pid));
    let addr = net::name(l).unwrap_or_default();
    let pid = later(|| {
        let c = net::open(AF_INET, SOCK_STREAM);
        i32::from(net::connect(c, &addr).is_err())
    });
    say!("accept {} {}", net::accept(l, 0).is_ok(), child::end_of(pid));
    let _ = file::close(c);
    say!("tcp end {}", net::text(s, 9, 0));
    let (_l, c, s) = net::connected(false);
    let pid = child::start(|| {
        let _ = file::close(c);
        i32::from(net::text(s, 9, 0) != "\"\"")
    });
    std::thread::sleep(std::time::Duration::from_millis(30));
    let _ = net::shutdown(s, libc::SHUT_RD);
    say!("shut from outside {}", child::end_of(pid));
    let u = net::open(AF_INET, SOCK_DGRAM);
    let _ = net::bind(u, &net::loopback(false, 0));
    let to = net::name(u).unwrap_or_default();
    let pid = later(|| {
        let v = net::open(AF_INET, SOCK_DGRAM);
        i32::from(net::send_to(v, b"late", 0, &to).is_err())
    });
    say!("udp recv {} {}", net::text(u, 9, 0), child::end_of(pid));
    0
}
