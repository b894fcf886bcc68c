//! sendfile, splice and readv on sockets.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{file, net};
use libc::SOCK_STREAM;
use std::ffi::CStr;

fn pass(c: i32, s: i32) {
    let fd = file::open_or_say(c"data", libc::O_RDONLY, 0);
    show("sendfile", file::sendfile(c, fd, None, 99));
    say!("{}", net::text(s, 99, 0));
    let (rx, tx) = file::pipe();
    let _ = file::write(tx, b"piped");
    show("splice to", file::splice(rx, None, c, None, 99, 0));
    say!("{}", net::text(s, 99, 0));
    let _ = net::send(c, b"from the socket", 0);
    show("splice from", file::splice(s, None, tx, None, 99, 0));
    let mut raw = [0; 99];
    show("read", file::read(rx, &mut raw));
    show("writev", file::writev(c, &[b"two ", b"parts"]));
    let (mut one, mut other) = ([0; 3], [0; 30]);
    show("readv", file::readv(s, &mut [&mut one, &mut other]));
    show("seek", file::lseek(s, 0, libc::SEEK_SET));
    show("pread", file::pread(s, &mut raw, 0));
    show("fsync", file::fsync(s));
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"data", b"what the file holds", 0o644);
    let (_l, c, s) = net::connected(false);
    pass(c, s);
    let (a, b) = net::pair(SOCK_STREAM);
    pass(a, b);
    0
}
