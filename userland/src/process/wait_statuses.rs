//! wait4(2): what the status says for exits, for each signal that ends a process, and for those
//! that are ignored by default (signal(7)).
use crate::out::say;
use crate::sys::{child, signal};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    const STOPPING: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    for sig in (1..=64).filter(|s| !STOPPING.contains(s) && !matches!(s, 32 | 33)) {
        let end = child::run(|| {
            let _ = signal::raise(sig);
            7
        });
        say!("{}: {end}", signal::name(sig));
    }
    0
}
