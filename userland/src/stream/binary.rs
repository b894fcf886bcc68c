//! All 256 byte values, in both directions of the alphabet, on both outputs.
use crate::sys::file;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let up: Vec<u8> = (0..=255).collect();
    let down: Vec<u8> = (0..=255).rev().collect();
    for _ in 0..20 {
        let _ = file::write_all(1, &up);
        let _ = file::write_all(2, &down);
        let _ = file::write_all(1, &down);
        let _ = file::write_all(2, &up);
    }
    0
}
