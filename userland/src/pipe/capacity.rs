//! F_GETPIPE_SZ and F_SETPIPE_SZ (fcntl(2)): powers of two of pages, EBUSY below what is held.
use crate::out::show;
use crate::sys::file::{self, fcntl};
use libc::{F_GETPIPE_SZ, F_SETPIPE_SZ};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe2(libc::O_NONBLOCK).unwrap_or((-1, -1));
    show("get", fcntl(rx, F_GETPIPE_SZ, 0));
    for size in [1, 4096, 5000, 8193, 131_072] {
        show(&format!("set {size}"), fcntl(tx, F_SETPIPE_SZ, size));
        show("get", fcntl(rx, F_GETPIPE_SZ, 0));
    }
    show("fill", file::write(tx, &vec![1; 200_000]));
    show("too small for that", fcntl(tx, F_SETPIPE_SZ, 4096));
    show("set 0", fcntl(tx, F_SETPIPE_SZ, 0));
    show("of a file", fcntl(file::open_or_say(c"/dev/null", 0, 0), F_GETPIPE_SZ, 0));
    0
}
