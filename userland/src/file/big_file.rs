//! A file of 12 MiB written in odd pieces, read in others: the same bytes.
use crate::out::say;
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

const SIZE: usize = 12 << 20;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o600);
    let bytes: Vec<u8> = (0..SIZE).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for piece in bytes.chunks(70_001) {
        if let Err(errno) = file::write_all(fd, piece) {
            say!("write: {errno}");
        }
    }
    let _ = file::lseek(fd, 0, libc::SEEK_SET);
    let mut buf = vec![0; 33_333];
    let (mut at, mut wrong) = (0, 0);
    while let Ok(n @ 1..) = file::read(fd, &mut buf) {
        wrong += usize::from(buf[..n] != bytes[at..at + n]);
        at += n;
    }
    say!("{at} bytes, wrong pieces {wrong}");
    0
}
