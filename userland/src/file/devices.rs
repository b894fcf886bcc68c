//! /dev/null, /dev/zero, /dev/full, /dev/random, /dev/urandom (null(4), full(4), random(4)).
use crate::out::{say, show};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for path in [c"/dev/null", c"/dev/zero", c"/dev/full", c"/dev/random", c"/dev/urandom"] {
        say!("{path:?}");
        let fd = file::open_or_say(path, libc::O_RDWR, 0);
        let mut buf = vec![7u8; 10_000];
        show("read", file::read(fd, &mut buf[..5000]));
        say!("zero {} random {}", buf[..5000].iter().all(|b| *b == 0), buf[..5000].iter().filter(|b| **b == 0).count() < 100);
        say!("behind untouched {}", buf[5000..].iter().all(|b| *b == 7));
        show("write", file::write(fd, &buf));
        show("write nothing", file::write(fd, b""));
        show("pread", file::pread(fd, &mut buf[..10], 1 << 40));
        show("seek", file::lseek(fd, 100, libc::SEEK_SET).map(|_| 0));
        show("truncate", file::ftruncate(fd, 0));
        show("terminal?", file::ioctl(fd, libc::TCGETS, 0));
        show("open O_TRUNC", file::open(path, libc::O_WRONLY | libc::O_TRUNC, 0).map(|_| 0));
        show("as a directory", file::open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0));
        show("create", file::open(path, libc::O_RDWR | libc::O_CREAT, 0o600).map(|_| 0));
        show("poll", file::poll(&mut [libc::pollfd { fd, events: libc::POLLIN | libc::POLLOUT, revents: 0 }], 0));
    }
    0
}
