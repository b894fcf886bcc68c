//! select(2) on pipes: the sets afterwards, the count, the time that is left, errors.
use crate::out::{say, show};
use crate::sys::{Plain, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    tell("empty", rx, tx);
    let _ = file::write(tx, b"x");
    tell("some", rx, tx);
    let _ = file::close(tx);
    let (_reader, other) = file::pipe();
    tell("no writer", rx, other);
    let mut zero = libc::timeval::zeroed();
    let mut set = set_of(&[50]);
    show("closed", file::select(51, Some(&mut set), None, None, Some(&mut zero)));
    show("negative", file::select(-1, None, None, None, Some(&mut zero)));
    let mut bad = libc::timeval { tv_sec: -1, tv_usec: 0 };
    show("negative time", file::select(0, None, None, None, Some(&mut bad)));
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
    show("sleep", file::select(0, None, None, None, Some(&mut time)));
    say!("time left: {} {}", time.tv_sec, time.tv_usec);
    0
}

fn set_of(fds: &[i32]) -> libc::fd_set {
    let mut set = libc::fd_set::zeroed();
    for fd in fds {
        // SAFETY: the descriptor is below FD_SETSIZE.
        unsafe { libc::FD_SET(*fd, &mut set) };
    }
    set
}

fn tell(label: &str, rx: i32, tx: i32) {
    let (mut read, mut write, mut except) = (set_of(&[rx]), set_of(&[tx]), set_of(&[rx, tx]));
    let mut time = libc::timeval { tv_sec: 5, tv_usec: 0 };
    let count = file::select(30, Some(&mut read), Some(&mut write), Some(&mut except), Some(&mut time));
    // SAFETY: the descriptors are below FD_SETSIZE.
    let has = |fd: i32, set: &libc::fd_set| unsafe { libc::FD_ISSET(fd, set) };
    say!(
        "{label}: {count:?} read {} write {} except {} {}",
        has(rx, &read),
        has(tx, &write),
        has(rx, &except),
        has(tx, &except)
    );
}
