//! The plain `exit` system call of a process's only thread ends the process with its code.
use crate::out::say;
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    say!("{}", child::run(|| process::exit_thread(300)));
    process::exit_thread(7)
}
