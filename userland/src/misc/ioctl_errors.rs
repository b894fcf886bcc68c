//! ioctl(2): ENOTTY for what a file can't do, EBADF, and the few that every file can.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file::{self, fcntl, ioctl};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let _ = file::write(fd, b"12345");
    let _ = file::lseek(fd, 2, libc::SEEK_SET);
    show("TCGETS", ioctl(fd, libc::TCGETS, 0));
    show("TIOCGWINSZ", ioctl(fd, libc::TIOCGWINSZ, 0));
    show("unknown", ioctl(fd, 0xdead_beef, 0));
    show("closed", ioctl(99, libc::TCGETS, 0));
    let mut waiting = 0i32;
    show("FIONREAD", ioctl(fd, libc::FIONREAD, (&raw mut waiting) as usize));
    say!("{waiting}");
    show("FIOCLEX", ioctl(fd, libc::FIOCLEX, 0));
    show("flags", fcntl(fd, libc::F_GETFD, 0));
    show("FIONCLEX", ioctl(fd, libc::FIONCLEX, 0));
    show("flags", fcntl(fd, libc::F_GETFD, 0));
    let on = 1i32;
    show("FIONBIO", ioctl(fd, libc::FIONBIO, (&raw const on) as usize));
    say!("nonblock {}", fcntl(fd, libc::F_GETFL, 0).unwrap_or(0) & libc::O_NONBLOCK as usize != 0);
    show("directory", ioctl(file::open_or_say(c".", 0, 0), libc::TCGETS, 0));
    0
}
