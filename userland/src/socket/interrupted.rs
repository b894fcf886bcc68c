//! Signals during calls that wait: EINTR, or again where the handler says so — but not with a
//! timeout (signal(7)).
use crate::out::say;
use crate::sys::{child, net, process, signal};
use libc::{SO_RCVTIMEO, SOCK_STREAM, SOL_SOCKET};
use std::ffi::CStr;

extern "C" fn handler(_: i32) {}

fn alarm_in_a_moment(then: impl FnOnce()) -> i32 {
    let parent = process::getpid().unwrap_or(0) as i32;
    child::start(|| {
        std::thread::sleep(std::time::Duration::from_millis(40));
        let _ = signal::kill(parent, libc::SIGUSR1);
        std::thread::sleep(std::time::Duration::from_millis(40));
        then();
        0
    })
}

fn install(flags: i32) {
    // SAFETY: the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(i32) as usize;
        action.sa_flags = flags;
        libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
    }
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for (label, flags) in [("plain", 0), ("restart", libc::SA_RESTART)] {
        install(flags);
        let (a, b) = net::pair(SOCK_STREAM);
        let pid = alarm_in_a_moment(|| {
            let _ = net::send(a, b"later", 0);
        });
        say!("{label} unix {} {}", net::text(b, 9, 0), child::end_of(pid));
        let (l, c, s) = net::connected(false);
        let pid = alarm_in_a_moment(|| {
            let _ = net::send(c, b"later", 0);
        });
        say!("{label} tcp {} {}", net::text(s, 9, 0), child::end_of(pid));
        let addr = net::name(l).unwrap_or_default();
        let pid = alarm_in_a_moment(|| {
            let fd = net::open(libc::AF_INET, SOCK_STREAM);
            let _ = net::connect(fd, &addr);
        });
        let accepted = net::accept(l, 0).map(|_| ());
        say!("{label} accept {accepted:?} {}", child::end_of(pid));
        let value = [5i64.to_le_bytes(), 0i64.to_le_bytes()].concat();
        let _ = net::set_option(b, SOL_SOCKET, SO_RCVTIMEO, &value);
        let _ = net::recv(b, 9, libc::MSG_DONTWAIT);
        let pid = alarm_in_a_moment(|| {
            let _ = net::send(a, b"later", 0);
        });
        say!("{label} timed {} {}", net::text(b, 9, 0), child::end_of(pid));
    }
    0
}
