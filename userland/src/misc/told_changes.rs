//! Files of /proc/sys that are polled, read and written: the machine's names, and what the network is set to.
use crate::out::{say, show};
use crate::sys::{event, file};
use std::ffi::CStr;

/// Waits a moment for what the descriptor is told; how often, and what.
fn told(epoll: i32) -> String {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    let count = event::epoll_wait(epoll, &mut event, 1, 20);
    let events = event.events;
    format!("{count:?} {events:#x}")
}

fn names() {
    let mut epolls = Vec::new();
    for path in [c"/proc/sys/kernel/hostname", c"/proc/sys/kernel/domainname", c"/proc/sys/kernel/hostname"] {
        let epoll = event::fd_or_say("epoll", event::epoll_create1(0));
        let fd = file::open_or_say(path, 0, 0);
        let mut wanted = libc::epoll_event { events: 0, u64: 0 };
        show("add", event::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, Some(&mut wanted)));
        epolls.push((epoll, path));
    }
    for change in [0, 1, 1, 0] {
        let path = epolls[change].1.to_str().unwrap_or_default();
        let own = std::fs::read_to_string(path).unwrap_or_default();
        say!("{:?}", std::fs::write(path, own.trim_end()));
        for (epoll, path) in &epolls {
            say!("{path:?}: {} {}", told(*epoll), told(*epoll));
        }
    }
}

fn network() {
    for (name, values) in [
        ("ip_forward", &["1", "0", "x", "-", "2147483648"][..]),
        ("tcp_sack", &["0", "1", "256", "7"]),
        ("tcp_recovery", &["2", "100", "256", "1"]),
        ("ip_local_port_range", &["40000 40003", "50000", "0 5", "5 70000", "40001", "40002 40001", "32768 60999"]),
    ] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        say!("{name} {}", old.ends_with('\n'));
        for value in values {
            let done = std::fs::write(&path, value).map_err(|error| error.raw_os_error());
            say!("{value}: {done:?} {:?}", std::fs::read_to_string(&path));
            if *value == "40000 40003" {
                let ports: Vec<_> = (0..5).map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect();
                let ports: Vec<_> = ports.iter().map(|one| one.as_ref().map(|one| one.local_addr().map(|a| a.port() / 10))).collect();
                say!("{:?}", ports.iter().map(|one| one.as_ref().map_err(|error| error.raw_os_error())).collect::<Vec<_>>().iter().map(|p| format!("{p:?}")).collect::<Vec<_>>());
            }
        }
        let _ = std::fs::write(&path, old.replace('\t', " "));
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    names();
    network();
    0
}
