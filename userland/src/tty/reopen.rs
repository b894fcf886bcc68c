//! The slave opened again by name and through /proc: settings and typed bytes stay.
use crate::out::say;
use crate::sys::{file, tty};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    let _ = tty::change(pair.slave, |termios| {
        tty::raw(termios);
        termios.c_cc[libc::VMIN] = 0;
    });
    let link = CString::new(format!("/proc/self/fd/{}", pair.slave)).unwrap_or_default();
    let other = file::open_or_say(&link, libc::O_RDWR | libc::O_NOCTTY, 0);
    let _ = file::write(pair.master, b"one");
    say!("{}", tty::awaited(other));
    let _ = file::write(pair.master, b"two");
    let _ = file::close(other);
    let _ = file::close(pair.slave);
    let again = file::open_or_say(&tty::name(pair.master), libc::O_RDWR | libc::O_NOCTTY, 0);
    say!("{:o} {}", tty::settings(again).c_lflag, tty::awaited(again));
    let link = CString::new(format!("/proc/self/fd/{}", pair.master)).unwrap_or_default();
    // A master opened again is another master.
    let second = file::open_or_say(&link, libc::O_RDWR | libc::O_NOCTTY, 0);
    say!("another {}", tty::get(second, libc::TIOCGPTN) != tty::get(pair.master, libc::TIOCGPTN));
    0
}
