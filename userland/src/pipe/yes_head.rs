//! An endless writer ends by SIGPIPE when its reader has enough, and not before.
use crate::out::say;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        let _ = file::close(rx);
        while file::write(tx, b"y\n").is_ok() {}
        1
    });
    let _ = file::close(tx);
    let mut buf = [0; 100];
    let mut got = 0;
    while got < buf.len() {
        got += file::read(rx, &mut buf[got..]).unwrap_or(buf.len());
    }
    say!("{}", String::from_utf8_lossy(&buf).replace('\n', " "));
    let _ = file::close(rx);
    say!("writer {}", child::end_of(pid));
    0
}
