//! Record locks: processes that would wait for each other are told so; open files' locks aren't looked at.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file, time};
use std::ffi::CStr;

fn lock(fd: i32, command: i32, start: i64) -> crate::sys::Res {
    // SAFETY: all zero is a valid flock.
    let mut flock: libc::flock = unsafe { std::mem::zeroed() };
    (flock.l_type, flock.l_start, flock.l_len) = (libc::F_WRLCK as i16, start, 1);
    file::fcntl(fd, command, (&raw const flock) as usize)
}

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _scratch = Scratch::enter();
    let fd = file::open_or_say(c"f", libc::O_RDWR | libc::O_CREAT, 0o644);
    show("own", lock(fd, libc::F_SETLK, 0));
    let other = child::start(|| {
        let first = lock(fd, libc::F_SETLK, 1);
        let second = lock(fd, libc::F_SETLKW, 0);
        say!("child {first:?}, then {second:?}");
        0
    });
    let _ = time::sleep_ms(60);
    show("a ring", lock(fd, libc::F_SETLKW, 1));
    let flags = file::open_or_say(c"g", libc::O_RDWR | libc::O_CREAT, 0o644);
    show("elsewhere", lock(flags, libc::F_SETLKW, 1));
    let _ = file::close(fd);
    say!("{}", child::end_of(other));
    0
}
