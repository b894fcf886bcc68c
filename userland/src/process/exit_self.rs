//! The program's own exit status is the job's (exit_group(2)).
use crate::out::say;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("leaving with 213");
    213
}
