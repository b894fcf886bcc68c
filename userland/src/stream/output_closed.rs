//! Writing to a closed standard output is EBADF; opening reuses its number.
use crate::out::error;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        let _ = file::close(1);
        let text = match file::write(1, b"x") {
            Ok(n) => format!("{n}"),
            Err(errno) => errno.to_string(),
        };
        let opened = file::open(c"/dev/null", libc::O_WRONLY, 0);
        let _ = file::write_all(tx, format!("{text} {opened:?}").as_bytes());
        0
    });
    let _ = file::close(tx);
    let end = child::end_of(pid);
    let text = file::read_all(rx).unwrap_or_default();
    crate::out::say!("{end} {}", String::from_utf8_lossy(&text));
    error("standard error still works");
    0
}
