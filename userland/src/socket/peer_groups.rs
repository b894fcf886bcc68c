//! Who is on the other side of a unix socket: groups (`SO_PEERGROUPS`) and a descriptor (`SO_PEERPIDFD`), as they were when
//! it connected, listened, or made the pair.
use crate::out::{say, show};
use crate::sys::{self, child, file, net, process};
use libc::{AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

const PEERGROUPS: i32 = 59;
const PEERPIDFD: i32 = 77;

fn tell(what: &str, fd: i32) {
    for room in [0, 4, 11, 12, 64] {
        say!("{what}, {room}: {:?}", net::option(fd, SOL_SOCKET, PEERGROUPS, room));
    }
    let pidfd = net::int_option(fd, SOL_SOCKET, PEERPIDFD);
    let info = pidfd.map(|fd| std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default());
    let own = format!("Pid:\t{}", process::getpid().unwrap_or(0));
    say!("{what}: this process {:?}", info.map(|info| info.lines().any(|line| line == own)));
}

fn groups() -> i32 {
    show("groups", process::setgroups(&[7, 300, 5]));
    let (one, _) = net::pair(SOCK_STREAM);
    let (datagrams, _) = net::pair(SOCK_DGRAM);
    let listener = net::open(AF_UNIX, SOCK_STREAM);
    let name = net::abstract_name(b"groups of both sides");
    show("bind", net::bind(listener, &name));
    show("listen", net::listen(listener, 1));
    show("other groups", process::setgroups(&[9]));
    let client = net::open(AF_UNIX, SOCK_STREAM);
    tell("nobody", client);
    show("connect", net::connect(client, &name));
    let (accepted, _) = net::accept(listener, 0).unwrap_or_default();
    show("no groups", process::setgroups(&[]));
    tell("pair", one);
    tell("datagrams", datagrams);
    tell("who listens", client);
    tell("who connected", accepted);
    let (none, _) = net::pair(SOCK_STREAM);
    tell("without", none);
    tell("no unix socket", net::open(AF_INET, SOCK_STREAM));
    0
}

/// What can't be told isn't opened.
fn no_room(fd: i32) {
    let mut len = 4u32;
    let regs = [fd as usize, SOL_SOCKET as usize, PEERPIDFD as usize, 8, (&raw mut len) as usize, 0];
    let before = file::dup(fd).map(|free| file::close(free as i32).map(|_| free));
    // SAFETY: the length outlives the call, and nothing is at the other address.
    show("nowhere", unsafe { sys::call(libc::SYS_getsockopt, regs) });
    say!("as many {}", before == file::dup(fd).map(|free| file::close(free as i32).map(|_| free)));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(groups));
    let (here, there) = net::pair(SOCK_STREAM);
    no_room(here);
    let _ = file::close(there);
    tell("closed", here);
    0
}
