//! `struct termio`, which came before termios: a part of the same settings.
use crate::out::{say, show};
use crate::sys::{file, tty};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let pair = tty::pair();
    let mut old = [0xEEu8; 18];
    show("get", file::ioctl(pair.slave, libc::TCGETA, old.as_mut_ptr() as usize));
    say!("{old:x?}");
    show("get", file::ioctl(pair.master, libc::TCGETA, old.as_mut_ptr() as usize));
    say!("{old:x?}");
    let _ = tty::change(pair.slave, |termios| termios.c_lflag |= libc::EXTPROC);
    old[0] = 0;
    old[9] = 5;
    old[6] &= !(libc::ECHO as u8);
    for request in [libc::TCSETA, libc::TCSETAW, libc::TCSETAF] {
        show("set", file::ioctl(pair.slave, request, old.as_ptr() as usize));
    }
    let now = tty::settings(pair.slave);
    say!("{:o} {:o} {:o} {:o} {:?}", now.c_iflag, now.c_oflag, now.c_cflag, now.c_lflag, &now.c_cc[..19]);
    show("fault", file::ioctl(pair.slave, libc::TCGETA, 8));
    show("fault", file::ioctl(pair.slave, libc::TCSETA, 8));
    0
}
