//! mknod(2): regular files, pipes, sockets; devices only for root; errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    for (label, path, mode) in [("file", c"a", libc::S_IFREG | 0o644), ("no kind is a file", c"b", 0o600), ("fifo", c"c", libc::S_IFIFO | 0o666), ("socket", c"d", libc::S_IFSOCK | 0o700), ("directory", c"e", libc::S_IFDIR | 0o700), ("link", c"f", libc::S_IFLNK | 0o700), ("nonsense", c"g", 0o170_000 | 0o700), ("again", c"a", libc::S_IFREG | 0o644)] {
        show(label, file::mknod(path, mode, 0));
        say!("{}", super::show_stat::line(path));
    }
    show("opening a socket", file::open(c"d", libc::O_RDWR, 0));
    let _ = file::chmod(c".", 0o777);
    say!("{}", child::run(|| {
        let _ = process::setresuid(1000, 1000, 1000);
        show("a device by a user", file::mknod(c"x", libc::S_IFCHR | 0o600, 0x103));
        show("a fifo by a user", file::mknod(c"y", libc::S_IFIFO | 0o600, 0));
        0
    }));
    0
}
