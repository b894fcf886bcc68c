//! The streams of a job without a terminal: not terminals, can't seek (when they are pipes), can be
//! duplicated, and are the only descriptors.
use crate::out::{say, show};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut termios = [0u8; 60];
    for fd in [1, 2] {
        show("TCGETS", file::ioctl(fd, libc::TCGETS, termios.as_mut_ptr() as usize));
        show("TIOCGWINSZ", file::ioctl(fd, libc::TIOCGWINSZ, termios.as_mut_ptr() as usize));
        show("lseek", file::lseek(fd, 0, libc::SEEK_CUR).map(|_| 0));
        say!("{:?}", file::dup(fd).map(|n| n > 2));
    }
    show("no controlling terminal", file::open(c"/dev/tty", libc::O_RDWR, 0).map(|_| 0));
    0
}
