//! SIGKILL can't be escaped, and is the program's end: 137 for a shell.
use crate::out::say;
use crate::sys::signal;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("block {:?}", signal::set_mask(u64::MAX));
    say!("ignore {:?}", signal::set(libc::SIGKILL, signal::SIG_IGN));
    let _ = signal::raise(libc::SIGKILL);
    say!("not reached");
    0
}
