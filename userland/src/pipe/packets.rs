//! A pipe of packets (`O_DIRECT`): each write of up to a page is one, a read takes no more than one, and what it
//! has no room for is lost.
use crate::out::{say, show};
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let Ok((rx, tx)) = file::pipe2(libc::O_DIRECT | libc::O_NONBLOCK) else {
        say!("no such pipe");
        return 1;
    };
    for packet in [&b"one"[..], b"three", b"", b"seventeen"] {
        show("write", file::write(tx, packet));
    }
    let mut room = [b'-'; 5000];
    show("read more than one", file::read(rx, &mut room[..100]));
    say!("{}", String::from_utf8_lossy(&room[..4]));
    show("read less than one", file::read(rx, &mut room[..2]));
    show("read the next", file::readv(rx, &mut [&mut [0; 4], &mut [0; 9]]));
    show("read", file::read(rx, &mut room));
    show("write more than a page", file::write(tx, &[b'x'; 5000]));
    show("read", file::read(rx, &mut room));
    show("read", file::read(rx, &mut room));
    show("usual again", file::fcntl(tx, libc::F_SETFL, libc::O_NONBLOCK as usize));
    show("write", file::write(tx, b"ab"));
    show("write", file::write(tx, b"cd"));
    show("read", file::read(rx, &mut room));
    0
}
