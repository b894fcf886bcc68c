//! flock(2): shared and exclusive, by open file, not by process; released at the last close.
use crate::out::{say, show};
use crate::scratch::Scratch;
use crate::sys::{child, file};
use libc::{LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"f", b"", 0o600);
    let open = || file::open_or_say(c"f", libc::O_RDWR, 0);
    let (a, b) = (open(), open());
    show("a shared", file::flock(a, LOCK_SH | LOCK_NB));
    show("b shared", file::flock(b, LOCK_SH | LOCK_NB));
    show("b exclusive", file::flock(b, LOCK_EX | LOCK_NB));
    show("a unlock", file::flock(a, LOCK_UN));
    show("b exclusive", file::flock(b, LOCK_EX | LOCK_NB));
    show("a shared", file::flock(a, LOCK_SH | LOCK_NB));
    say!("child {}", child::run(|| {
        show("child through the same open file", file::flock(b, LOCK_EX | LOCK_NB));
        show("child by its own", file::flock(open(), LOCK_EX | LOCK_NB));
        0
    }));
    show("still held", file::flock(a, LOCK_SH | LOCK_NB));
    let c = file::fd(file::dup(b)).unwrap_or(-1);
    let _ = file::close(b);
    show("a duplicate holds it", file::flock(a, LOCK_EX | LOCK_NB));
    let _ = file::close(c);
    show("free", file::flock(a, LOCK_EX | LOCK_NB));
    show("bad operation", file::flock(a, 0));
    show("closed", file::flock(99, LOCK_SH));
    let pid = child::start(|| {
        let own = open();
        i32::from(file::flock(own, LOCK_EX).is_err())
    });
    let _ = crate::sys::time::sleep_ms(10);
    show("release for a waiter", file::flock(a, LOCK_UN));
    say!("{}", child::end_of(pid));
    0
}
