//! copy_file_range(2) within one file system: offsets, the end, overlaps, errors.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::file::{self, copy_file_range as copy};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"in", b"0123456789", 0o600);
    let from = file::open_or_say(c"in", libc::O_RDWR, 0);
    let to = file::open_or_say(c"out", libc::O_RDWR | libc::O_CREAT, 0o600);
    show("4", copy(from, None, to, None, 4, 0));
    let (mut a, mut b) = (6, 10);
    show("by offsets", copy(from, Some(&mut a), to, Some(&mut b), 100, 0));
    say!("{a} {b} {}", file::text(c"out"));
    show("at the end", copy(from, Some(&mut 10), to, None, 5, 0));
    show("overlap", copy(from, Some(&mut 0), from, Some(&mut 2), 5, 0));
    show("flags", copy(from, None, to, None, 1, 1));
    let (rx, _) = file::pipe();
    show("pipe", copy(rx, None, to, None, 1, 0));
    show("directory", copy(file::open_or_say(c".", 0, 0), None, to, None, 1, 0));
    show("read-only target", copy(from, None, file::open_or_say(c"out", 0, 0), None, 1, 0));
    let append = file::open_or_say(c"out", libc::O_WRONLY | libc::O_APPEND, 0);
    show("append target", copy(from, None, append, None, 1, 0));
    0
}
