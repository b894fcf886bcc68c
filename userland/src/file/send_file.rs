//! sendfile(2): from a file to a file and a pipe, with and without an offset; errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"in", b"0123456789", 0o600);
    let from = file::open_or_say(c"in", libc::O_RDONLY, 0);
    let to = file::open_or_say(c"out", libc::O_RDWR | libc::O_CREAT, 0o600);
    show("4", file::sendfile(to, from, None, 4));
    show("position", file::lseek(from, 0, libc::SEEK_CUR));
    let mut offset = 8;
    show("from 8", file::sendfile(to, from, Some(&mut offset), 100));
    say!("offset {offset} {}", file::text(c"out"));
    show("position stays", file::lseek(from, 0, libc::SEEK_CUR));
    let (rx, tx) = file::pipe();
    show("to a pipe", file::sendfile(tx, from, None, 100));
    show("read", file::read(rx, &mut [0; 50]));
    show("at the end", file::sendfile(tx, from, None, 100));
    show("from a pipe", file::sendfile(to, rx, None, 10));
    show("to a read-only file", file::sendfile(from, to, None, 10));
    show("negative offset", file::sendfile(to, from, Some(&mut -1), 10));
    show("closed", file::sendfile(99, from, None, 10));
    let big = vec![3u8; 300_000];
    file::make(c"big", &big, 0o600);
    let from = file::open_or_say(c"big", libc::O_RDONLY, 0);
    let mut total = 0;
    while let Ok(n @ 1..) = file::sendfile(to, from, None, 70_000) {
        total += n;
    }
    say!("{total}");
    0
}
