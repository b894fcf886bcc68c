//! Requests by the wrong side, and with bad addresses.
use crate::out::show;
use crate::sys::{file, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    let requests = [
        ("TCGETS", libc::TCGETS),
        ("TCSETS", libc::TCSETS),
        ("TIOCGPTN", libc::TIOCGPTN),
        ("TIOCSPTLCK", libc::TIOCSPTLCK),
        ("TIOCGPTLCK", libc::TIOCGPTLCK),
        ("TIOCPKT", libc::TIOCPKT),
        ("TIOCGPKT", libc::TIOCGPKT),
        ("TIOCSIG", libc::TIOCSIG),
        ("TIOCGWINSZ", libc::TIOCGWINSZ),
        ("TIOCSWINSZ", libc::TIOCSWINSZ),
        ("TIOCGPGRP", libc::TIOCGPGRP),
        ("TIOCSPGRP", libc::TIOCSPGRP),
        ("TIOCGSID", libc::TIOCGSID),
        ("TIOCNOTTY", libc::TIOCNOTTY),
        ("FIONREAD", libc::FIONREAD),
        ("TIOCOUTQ", libc::TIOCOUTQ),
        ("TIOCGEXCL", libc::TIOCGEXCL),
        ("TIOCGDEV", libc::TIOCGDEV),
        ("TIOCGETD", libc::TIOCGETD),
        ("TIOCSETD", libc::TIOCSETD),
        ("TIOCMGET", libc::TIOCMGET),
        ("TIOCMSET", libc::TIOCMSET),
        ("TCFLSH", libc::TCFLSH),
        ("TCXONC", libc::TCXONC),
        ("TIOCCBRK", libc::TIOCCBRK),
    ];
    for (name, request) in requests {
        show(&format!("master {name}"), file::ioctl(pair.master, request, 8));
        show(&format!("slave {name}"), file::ioctl(pair.slave, request, 8));
    }
    0
}
