//! TIOCSTI types for oneself; exclusive terminals; requests that pseudo terminals hardly have.
use crate::out::{say, show, show_ok};
use crate::sys::{child, file, process, time, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    for byte in b"hi\n" {
        show("insert", file::ioctl(pair.slave, libc::TIOCSTI, std::ptr::from_ref(byte) as usize));
    }
    let _ = time::sleep_ms(20);
    say!("{} {}", tty::awaited(pair.slave), tty::awaited(pair.master));
    show("fault", file::ioctl(pair.slave, libc::TIOCSTI, 8));
    let name = tty::name(pair.master);
    show("exclusive", file::ioctl(pair.slave, libc::TIOCEXCL, 0));
    say!("{:?}", tty::get(pair.slave, libc::TIOCGEXCL));
    let _ = file::chmod(&name, 0o666);
    show_ok("as root", file::open(&name, libc::O_RDWR | libc::O_NOCTTY, 0));
    say!("{}", child::run(|| {
        let _ = process::setresuid(7, 7, 7);
        show_ok("as another", file::open(&name, libc::O_RDWR | libc::O_NOCTTY, 0));
        show("insert", file::ioctl(pair.slave, libc::TIOCSTI, c"x".as_ptr() as usize));
        show("hang up", file::ioctl(pair.slave, libc::TIOCVHANGUP, 0));
        0
    }));
    show("shared", file::ioctl(pair.slave, libc::TIOCNXCL, 0));
    say!("{:?}", tty::get(pair.slave, libc::TIOCGEXCL));
    say!("discipline {:?}", tty::get(pair.slave, libc::TIOCGETD));
    show("discipline", tty::set(pair.slave, libc::TIOCSETD, 0));
    show("modem", tty::get(pair.slave, libc::TIOCMGET).map(|_| 0));
    show("slave's number", tty::get(pair.slave, libc::TIOCGPTN).map(|_| 0));
    show("slave's peer", file::ioctl(pair.slave, libc::TIOCGPTPEER, 0));
    show("unknown", file::ioctl(pair.slave, 0x1234_5678, 0));
    show("unknown", file::ioctl(pair.master, 0x1234_5678, 0));
    show("console", tty::set(pair.slave, libc::TIOCGSERIAL, 0));
    show("seek", file::lseek(pair.slave, 0, libc::SEEK_CUR));
    show("seek", file::lseek(pair.master, 0, libc::SEEK_CUR));
    show("pread", file::pread(pair.slave, &mut [0; 4], 0));
    0
}
