//! /dev/fd, /dev/stdin, /proc/self/fd: opening one opens the file anew (an offset of its own), a
//! pipe's other end too.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file};
use std::ffi::{CStr, CString};

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"0123456789", 0o600);
    let fd = file::open_or_say(c"f", libc::O_RDONLY, 0);
    let _ = file::read(fd, &mut [0; 4]);
    for prefix in ["/dev/fd", "/proc/self/fd"] {
        let path = CString::new(format!("{prefix}/{fd}")).unwrap_or_default();
        say!("{prefix}: {}", file::text(&path));
        show("writable", file::open(&path, libc::O_RDWR, 0).map(|_| 0));
    }
    show("position", file::lseek(fd, 0, libc::SEEK_CUR));
    let (rx, tx) = file::pipe();
    let path = CString::new(format!("/dev/fd/{rx}")).unwrap_or_default();
    let writer = file::fd(file::open(&path, libc::O_WRONLY, 0)).unwrap_or(-1);
    show("a pipe's write end by its read end", file::write(writer, b"abc"));
    show("arrives", file::read(rx, &mut [0; 9]));
    let _ = file::close(tx);
    say!("{}", child::run(|| {
        let _ = file::dup2(fd, 0);
        say!("stdin: {}", file::text(c"/dev/stdin"));
        0
    }));
    show("closed", file::open(c"/dev/fd/99", libc::O_RDONLY, 0));
    show("not a number", file::open(c"/dev/fd/x", libc::O_RDONLY, 0));
    0
}
