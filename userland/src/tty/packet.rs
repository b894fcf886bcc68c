//! Packet mode: what the master is told besides the output.
use crate::out::{say, show};
use crate::sys::{file, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    say!("off {:?}", tty::get(pair.master, libc::TIOCGPKT));
    let _ = file::ioctl(pair.slave, libc::TCFLSH, libc::TCIFLUSH as usize);
    show("on", tty::set(pair.master, libc::TIOCPKT, 1));
    say!("on {:?}", tty::get(pair.master, libc::TIOCGPKT));
    say!("nothing {} {}", tty::state(pair.master), tty::taken(pair.master));
    let _ = file::write(pair.slave, b"data");
    say!("{} {}", tty::events(pair.master, libc::POLLIN | libc::POLLPRI, 500), tty::taken(pair.master));
    for which in [libc::TCIFLUSH, libc::TCOFLUSH, libc::TCIOFLUSH] {
        show("flush", file::ioctl(pair.slave, libc::TCFLSH, which as usize));
        say!("{} {}", tty::state(pair.master), tty::taken(pair.master));
    }
    for which in [libc::TCOOFF, libc::TCOON] {
        show("flow", file::ioctl(pair.slave, libc::TCXONC, which as usize));
        say!("{} {}", tty::state(pair.master), tty::taken(pair.master));
    }
    let _ = tty::change(pair.slave, |termios| termios.c_iflag &= !libc::IXON);
    say!("no flow {}", tty::taken(pair.master));
    let _ = tty::change(pair.slave, |termios| termios.c_iflag |= libc::IXON);
    say!("flow {}", tty::taken(pair.master));
    let _ = tty::change(pair.slave, |termios| termios.c_cc[libc::VSTOP] = 1);
    say!("no flow {}", tty::taken(pair.master));
    let _ = tty::change(pair.slave, |termios| termios.c_lflag |= libc::EXTPROC);
    say!("external {}", tty::taken(pair.master));
    let _ = tty::change(pair.slave, |termios| termios.c_lflag &= !libc::EXTPROC);
    say!("external {}", tty::taken(pair.master));
    let mut small = [0; 3];
    let _ = file::write(pair.slave, b"abcdef");
    let _ = tty::events(pair.master, libc::POLLIN, 500);
    say!("{:?} {}", file::read(pair.master, &mut small), small.escape_ascii());
    say!("{:?}", tty::get(pair.master, libc::FIONREAD));
    show("off", tty::set(pair.master, libc::TIOCPKT, 0));
    say!("{}", tty::taken(pair.master));
    show("on the slave", tty::set(pair.slave, libc::TIOCPKT, 1));
    0
}
