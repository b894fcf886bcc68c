//! Sparse files: what was never written reads as zeros; size and content are right around holes.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    show("write at 1 MiB", file::pwrite(fd, b"one", 1 << 20));
    show("write at 1 TiB", file::pwrite(fd, b"far", 1 << 40));
    let mut stat = libc::stat::zeroed();
    let _ = file::fstat(fd, &mut stat);
    say!("size {} few blocks {}", stat.st_size, stat.st_blocks < 1000);
    let mut buf = [9; 10];
    for at in [0, (1 << 20) - 4, (1 << 20) + 1, 1 << 30, (1 << 40) - 5, (1 << 40) + 2] {
        buf.fill(9);
        show(&format!("read at {at}"), file::pread(fd, &mut buf, at));
        say!("{buf:?}");
    }
    show("cut off", file::ftruncate(fd, (1 << 20) + 1));
    show("grow", file::ftruncate(fd, 2 << 20));
    buf.fill(9);
    let _ = file::pread(fd, &mut buf, (1 << 20) - 2);
    say!("{buf:?}");
    0
}
