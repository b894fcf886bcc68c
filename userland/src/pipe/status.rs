//! fstat(2) of a pipe: a FIFO of mode 0600 and size 0, both ends one inode.
use crate::out::say;
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let (mut a, mut b) = (libc::stat::zeroed(), libc::stat::zeroed());
    let _ = file::write(tx, b"data");
    say!("{:?} {:?}", file::fstat(rx, &mut a), file::fstat(tx, &mut b));
    say!("mode {:o} size {} links {} block {}", a.st_mode, a.st_size, a.st_nlink, a.st_blksize);
    say!("one inode: {}", (a.st_ino, a.st_dev) == (b.st_ino, b.st_dev));
    let (other, _) = file::pipe();
    let _ = file::fstat(other, &mut b);
    say!("another pipe is another inode: {}", a.st_ino != b.st_ino);
    let mut link = [0u8; 64];
    let name = std::ffi::CString::new(format!("/proc/self/fd/{rx}")).unwrap_or_default();
    match file::readlink(&name, &mut link) {
        Ok(n) => say!("link is pipe:[inode]: {}", link[..n] == *format!("pipe:[{}]", a.st_ino).as_bytes()),
        Err(errno) => say!("readlink: {errno}"),
    }
    0
}
