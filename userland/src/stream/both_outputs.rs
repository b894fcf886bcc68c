//! Standard output and standard error are separate and both arrive.
use crate::out::{error, say};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    for i in 0..10 {
        say!("out {i}");
        error(&format!("err {i}"));
    }
    0
}
