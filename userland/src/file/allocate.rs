//! fallocate(2): grows the size, or keeps it; errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    show("10000", file::fallocate(fd, 0, 0, 10_000));
    say!("{}", super::show_stat::line(c"f"));
    show("keep size", file::fallocate(fd, libc::FALLOC_FL_KEEP_SIZE, 0, 50_000));
    say!("{}", super::show_stat::line(c"f"));
    let _ = file::pwrite(fd, &[1; 10_000], 0);
    show("already there", file::fallocate(fd, 0, 100, 10));
    say!("kept: {}", file::slurp(c"f").is_ok_and(|b| b.iter().all(|x| *x == 1)));
    show("length 0", file::fallocate(fd, 0, 0, 0));
    show("negative", file::fallocate(fd, 0, -1, 10));
    show("read-only", file::fallocate(file::open_or_say(c"f", libc::O_RDONLY, 0), 0, 0, 1));
    let (_, tx) = file::pipe();
    show("pipe", file::fallocate(tx, 0, 0, 1));
    show("directory", file::fallocate(file::open_or_say(c".", libc::O_RDONLY, 0), 0, 0, 1));
    0
}
