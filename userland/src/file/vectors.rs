//! readv(2) and writev(2) on a file: in order, as one.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
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
    0
}
