//! A pseudo terminal: what the master writes is typed, what the slave writes is shown; echo, lines,
//! erasing, the end of the file; a locked slave.
use crate::out::{say, show, show_ok};
use crate::sys::{file, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK;
    let fresh = file::open_or_say(c"/dev/ptmx", flags, 0);
    say!("locked {:?}", tty::get(fresh, libc::TIOCGPTLCK));
    show_ok("locked slave", file::open(&tty::name(fresh), flags, 0));
    show_ok("locked peer", file::ioctl(fresh, libc::TIOCGPTPEER, flags as usize));
    let _ = tty::set(fresh, libc::TIOCSPTLCK, 0);
    say!("locked {:?}", tty::get(fresh, libc::TIOCGPTLCK));
    let peer = file::fd(file::ioctl(fresh, libc::TIOCGPTPEER, (flags | libc::O_CLOEXEC) as usize));
    say!("peer {}", peer.is_ok());
    say!("close on exec {:?}", file::fcntl(peer.unwrap_or(-1), libc::F_GETFD, 0));

    let pair = tty::pair();
    say!("nothing {} {}", tty::taken(pair.master), tty::taken(pair.slave));
    show("typed", file::write(pair.master, b"hel\x7flo\nmo"));
    say!("echo {}", tty::awaited(pair.master));
    say!("waiting {:?}", tty::get(pair.slave, libc::FIONREAD));
    say!("line {}", tty::awaited(pair.slave));
    say!("no line {}", tty::taken(pair.slave));
    let _ = file::write(pair.master, b"re\n\x04");
    say!("line {}", tty::awaited(pair.slave));
    say!("end {}", tty::awaited(pair.slave));
    say!("echo {}", tty::awaited(pair.master));
    show("shown", file::write(pair.slave, b"out\n\tx\n"));
    let _ = tty::events(pair.master, libc::POLLIN, 500);
    say!("waiting {:?}", tty::get(pair.master, libc::FIONREAD));
    say!("seen {}", tty::awaited(pair.master));
    say!("unsent {:?}", tty::get(pair.slave, libc::TIOCOUTQ));

    show("raw", tty::change(pair.master, tty::raw));
    let termios = tty::settings(pair.slave);
    say!("{:o} {:o} {:o} {:o}", termios.c_iflag, termios.c_oflag, termios.c_cflag, termios.c_lflag);
    let _ = file::write(pair.master, b"a\x03\x04\r");
    say!("raw {}", tty::awaited(pair.slave));
    say!("no echo {}", tty::taken(pair.master));
    let _ = file::write(pair.slave, b"x\ny");
    say!("raw {}", tty::awaited(pair.master));
    0
}
