//! A read gives what is there, not what was asked for; writes aren't kept apart.
use crate::out::{say, show};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    for part in [&b"abc"[..], b"", b"defgh", b"i"] {
        show("write", file::write(tx, part));
    }
    let mut buf = [b'-'; 12];
    show("read 4", file::read(rx, &mut buf[..4]));
    show("read 8", file::read(rx, &mut buf[4..]));
    say!("{}", String::from_utf8_lossy(&buf));
    show("write", file::write(tx, &[b'x'; 5000]));
    show("write", file::write(tx, &[b'y'; 5000]));
    let mut buf = [0; 20_000];
    show("read across pages", file::read(rx, &mut buf[..7000]));
    show("rest", file::read(rx, &mut buf[7000..]));
    say!("x {} y {}", buf[..5000].iter().all(|b| *b == b'x'), buf[5000..10_000].iter().all(|b| *b == b'y'));
    0
}
