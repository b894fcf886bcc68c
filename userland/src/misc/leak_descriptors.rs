//! Thousands of opens, pipes and forks, all closed again: numbers stay low, nothing runs out.
use crate::out::say;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut highest = 0;
    for _ in 0..3000 {
        let (rx, tx) = file::pipe();
        let null = file::open_or_say(c"/dev/null", libc::O_RDONLY, 0);
        highest = highest.max(rx).max(tx).max(null);
        for fd in [rx, tx, null] {
            let _ = file::close(fd);
        }
    }
    say!("highest {highest}");
    let good = (0..300).filter(|i| child::run(|| i % 7) == format!("exited {}", i % 7)).count();
    say!("children {good}");
    0
}
