//! pread(2) and pwrite(2) leave the offset; with O_APPEND pwrite appends all the same (Linux).
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"0123456789", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDWR, 0);
    let mut buf = [0; 4];
    show("read", file::read(fd, &mut buf[..2]));
    show("pread 5", file::pread(fd, &mut buf, 5));
    say!("{}", String::from_utf8_lossy(&buf));
    show("pread at the end", file::pread(fd, &mut buf, 8));
    show("pread beyond", file::pread(fd, &mut buf, 50));
    show("pwrite 3", file::pwrite(fd, b"ABC", 3));
    show("pwrite beyond", file::pwrite(fd, b"Z", 15));
    show("position", file::lseek(fd, 0, libc::SEEK_CUR));
    say!("{}", file::text(c"f"));
    let append = file::open_or_say(c"f", libc::O_WRONLY | libc::O_APPEND, 0);
    show("pwrite 0 with O_APPEND", file::pwrite(append, b"end", 0));
    say!("{}", file::text(c"f"));
    show("no bytes", file::pwrite(fd, b"", 100));
    show("pread of a directory", file::pread(file::open_or_say(c".", 0, 0), &mut buf, 0));
    0
}
