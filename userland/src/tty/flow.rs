//! Stopping and starting output: keys, tcflow, echoes meanwhile, a blocked writer.
use crate::out::{say, show};
use crate::sys::{child, file, time, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    let _ = file::write(pair.master, b"\x13");
    let _ = time::sleep_ms(20);
    say!("stopped {}", tty::state(pair.slave));
    show("write", file::write(pair.slave, b"x"));
    let _ = file::write(pair.master, b"ab");
    let _ = time::sleep_ms(20);
    say!("no echo {}", tty::taken(pair.master));
    let writer = child::start(|| {
        let _ = file::fcntl(pair.slave, libc::F_SETFL, 0);
        show("blocked write", file::write(pair.slave, b"later"));
        0
    });
    let _ = time::sleep_ms(30);
    say!("nothing yet {}", tty::taken(pair.master));
    let _ = file::write(pair.master, b"\x11");
    say!("{}", child::end_of(writer));
    let _ = time::sleep_ms(20);
    let _ = file::fcntl(pair.slave, libc::F_SETFL, libc::O_NONBLOCK as usize);
    let mut seen = tty::taken(pair.master).replace(['"'], "");
    seen.retain(|c| "abltre".contains(c));
    say!("all there {}", seen.len() == 7);
    show("TCOOFF", file::ioctl(pair.slave, libc::TCXONC, libc::TCOOFF as usize));
    let _ = file::write(pair.master, b"\x11");
    let _ = time::sleep_ms(20);
    show("a key doesn't help", file::write(pair.slave, b"x"));
    show("TCOON", file::ioctl(pair.slave, libc::TCXONC, libc::TCOON as usize));
    show("goes on", file::write(pair.slave, b"x"));
    say!("{}", tty::awaited(pair.master));
    show("TCIOFF", file::ioctl(pair.slave, libc::TCXONC, libc::TCIOFF as usize));
    say!("{}", tty::awaited(pair.master));
    show("TCION", file::ioctl(pair.slave, libc::TCXONC, libc::TCION as usize));
    say!("{}", tty::awaited(pair.master));
    show("wrong", file::ioctl(pair.slave, libc::TCXONC, 9));
    show("wrong", file::ioctl(pair.slave, libc::TCFLSH, 9));
    show("drain", file::ioctl(pair.slave, libc::TCSBRK, 1));
    show("break", file::ioctl(pair.slave, libc::TCSBRK, 0));
    let _ = file::write(pair.master, b"\x13");
    let _ = time::sleep_ms(20);
    let _ = tty::change(pair.slave, |termios| termios.c_iflag &= !libc::IXON);
    show("no IXON any more", file::write(pair.slave, b"y"));
    let _ = file::write(pair.master, b"lost\n");
    let _ = time::sleep_ms(20);
    show("flush", file::ioctl(pair.slave, libc::TCFLSH, libc::TCIFLUSH as usize));
    say!("{}", tty::taken(pair.slave));
    0
}
