//! All 256 exit codes reach the parent exactly, and only their low 8 bits (_exit(2), wait4(2)).
use crate::out::say;
use crate::sys::child;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for code in (0..256).chain([256, 257, -1, 0x1234]) {
        say!("exit({code}): {}", child::run(|| code));
    }
    0
}
