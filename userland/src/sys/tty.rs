//! Pseudo terminals: a pair of them, their requests, and what can be read of each side.

use super::{Errno, Res, file};
use std::ffi::CString;

/// A pseudo terminal with both sides open.
pub(crate) struct Pair {
    pub(crate) master: i32,
    pub(crate) slave: i32,
}

/// Opens a master, nonblocking, and unlocks its slave.
pub(crate) fn master() -> i32 {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK;
    let fd = file::open_or_say(c"/dev/ptmx", flags, 0);
    let _ = set(fd, libc::TIOCSPTLCK, 0);
    fd
}

/// Opens a pair, both sides nonblocking, the slave as nobody's controlling terminal.
pub(crate) fn pair() -> Pair {
    let master = master();
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK;
    let slave = file::open_or_say(&name(master), flags, 0);
    Pair { master, slave }
}

/// The path of a master's slave.
pub(crate) fn name(master: i32) -> CString {
    let number = get(master, libc::TIOCGPTN).unwrap_or(-1);
    CString::new(format!("/dev/pts/{number}")).unwrap_or_default()
}

/// A request with a pointer to a number.
pub(crate) fn set(fd: i32, request: u64, value: i32) -> Res {
    file::ioctl(fd, request, &raw const value as usize)
}

/// A request that gives a number.
pub(crate) fn get(fd: i32, request: u64) -> Result<i32, Errno> {
    let mut value = -1i32;
    file::ioctl(fd, request, &raw mut value as usize).map(|_| value)
}

/// The settings.
pub(crate) fn settings(fd: i32) -> libc::termios {
    let mut termios = <libc::termios as super::Plain>::zeroed();
    let _ = file::ioctl(fd, libc::TCGETS, &raw mut termios as usize);
    termios
}

/// Changes the settings.
pub(crate) fn change(fd: i32, change: impl FnOnce(&mut libc::termios)) -> Res {
    let mut termios = settings(fd);
    change(&mut termios);
    file::ioctl(fd, libc::TCSETS, &raw const termios as usize)
}

/// Input that comes as it is, and isn't echoed.
pub(crate) fn raw(termios: &mut libc::termios) {
    termios.c_iflag = 0;
    termios.c_oflag = 0;
    termios.c_lflag = 0;
}

/// What can be read now: an escaped string, or the error.
pub(crate) fn taken(fd: i32) -> String {
    let mut buf = [0; 4096];
    match file::read(fd, &mut buf) {
        Ok(len) => format!("\"{}\"", buf[..len].escape_ascii()),
        Err(errno) => errno.to_string(),
    }
}

/// The same once poll says that there is something, or half a second later.
pub(crate) fn awaited(fd: i32) -> String {
    let _ = events(fd, libc::POLLIN, 500);
    taken(fd)
}

/// What poll tells.
pub(crate) fn events(fd: i32, wanted: i16, milliseconds: i32) -> String {
    let mut entry = [libc::pollfd {
        fd,
        events: wanted,
        revents: 0,
    }];
    let _ = file::poll(&mut entry, milliseconds);
    let [entry] = entry;
    let names = [
        (libc::POLLIN, "IN"),
        (libc::POLLPRI, "PRI"),
        (libc::POLLOUT, "OUT"),
        (libc::POLLERR, "ERR"),
        (libc::POLLHUP, "HUP"),
    ];
    let found = names.iter().filter(|(bit, _)| entry.revents & bit != 0);
    let list: Vec<&str> = found.map(|(_, name)| *name).collect();
    list.join("|")
}

/// All that poll can tell of a side, now.
pub(crate) fn state(fd: i32) -> String {
    events(fd, libc::POLLIN | libc::POLLOUT | libc::POLLPRI, 0)
}
