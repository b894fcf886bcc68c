//! readv(2) and writev(2) on a file: in order, as one.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{self, Res, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    show("writev", file::writev(fd, &[b"one ", b"", b"two ", b"three"]));
    say!("{}", file::text(c"f"));
    show("rewind", file::lseek(fd, 2, libc::SEEK_SET));
    let (mut a, mut b) = ([b'-'; 5], [b'-'; 20]);
    show("readv", file::readv(fd, &mut [&mut a, &mut b]));
    say!("{} {}", String::from_utf8_lossy(&a), String::from_utf8_lossy(&b));
    show("at the end", file::readv(fd, &mut [&mut a]));
    let big: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; 1000]).collect();
    let slices: Vec<&[u8]> = big.iter().map(Vec::as_slice).collect();
    show("100 of 1000", file::writev(fd, &slices));
    let bytes = file::slurp(c"f").unwrap_or_default();
    say!("right: {}", bytes[13..].iter().enumerate().all(|(i, b)| usize::from(*b) == i / 1000));
    flags(fd);
    0
}

const APPEND: usize = 0x10;
const NOWAIT: usize = 8;

fn write(fd: i32, text: &[u8], at: i64, flags: usize) -> Res {
    let vector = libc::iovec { iov_base: text.as_ptr() as *mut _, iov_len: text.len() };
    let (fd, vectors, at) = (fd as usize, (&raw const vector) as usize, at as usize);
    // SAFETY: the kernel reads the vector and the text.
    unsafe { sys::call(libc::SYS_pwritev2, [fd, vectors, 1, at, 0, flags]) }
}

/// pwritev2(2): `RWF_APPEND` writes to the end, whatever the position, which moves only where there is none given.
fn flags(fd: i32) {
    show("cut", file::ftruncate(fd, 8));
    show("back", file::lseek(fd, 2, libc::SEEK_SET));
    show("append at 0", write(fd, b"END", 0, APPEND));
    show("position", file::lseek(fd, 0, libc::SEEK_CUR));
    show("append", write(fd, b"!", -1, APPEND));
    show("position", file::lseek(fd, 0, libc::SEEK_CUR));
    show("synced", write(fd, b"0", 0, 2 | 4));
    show("unknown", write(fd, b"?", 0, 1 << 20));
    say!("{}", file::text(c"f"));
    let at_once = write(fd, b"", 0, NOWAIT);
    say!("nothing, without waiting: {at_once:?}");
}
