//! pipe(7): what was written can be read after the writer closed; then 0, again and again.
use crate::out::{say, show};
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    show("write", file::write(tx, b"hello"));
    let mut buf = [0u8; 3];
    show("read 3", file::read(rx, &mut buf));
    say!("{:?}", String::from_utf8_lossy(&buf));
    let _ = file::close(tx);
    show("read rest", file::read(rx, &mut buf));
    show("read end", file::read(rx, &mut buf));
    show("read end", file::read(rx, &mut buf));
    let _ = file::close(rx);
    let (rx, tx) = file::pipe();
    let pid = child::start(|| {
        let _ = crate::sys::time::sleep_ms(10);
        i32::from(file::write(tx, b"late").is_err())
    });
    let _ = file::close(tx);
    say!("blocking read: {:?}", file::read_all(rx).map(|b| b.len()));
    say!("writer {}", child::end_of(pid));
    show("read the write end", file::read(tx, &mut buf));
    show("write the read end", file::write(rx, b"x"));
    show("zero bytes from an empty, ended pipe", file::read(rx, &mut []));
    0
}
