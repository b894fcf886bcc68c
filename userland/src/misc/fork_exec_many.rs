//! 200 children, each forked and executing a program, one after another.
use crate::out::say;
use crate::sys::{child, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let good = (0..200)
        .filter(|_| {
            let end = child::run(|| {
                let _ = process::execve(crate::exec::SELF, &[c"b", c"--helper", c"exit", c"9"], &[]);
                1
            });
            end == "exited 9"
        })
        .count();
    say!("{good}");
    0
}
