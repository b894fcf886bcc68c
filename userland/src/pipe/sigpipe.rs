//! Writing without readers: SIGPIPE ends the program (pipe(7)); EPIPE when it is ignored.
use crate::out::{say, show};
use crate::sys::{child, file, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let _ = file::close(rx);
    say!("child: {}", child::run(|| {
        let _ = file::write(tx, b"x");
        0
    }));
    let _ = signal::set(libc::SIGPIPE, signal::SIG_IGN);
    show("ignored", file::write(tx, b"x"));
    show("no bytes", file::write(tx, b""));
    let _ = signal::set(libc::SIGPIPE, signal::SIG_DFL);
    show("not reached", file::write(tx, b"x"));
    0
}
