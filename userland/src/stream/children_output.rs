//! Several processes write lines to standard output at once: no line is torn or lost.
use crate::out::say;
use crate::sys::{child, file};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    // Through a pipe, so that the lines can be counted; then in order to the real output.
    let (rx, tx) = file::pipe();
    let pids: Vec<i32> = (0..6)
        .map(|id| {
            child::start(|| {
                let _ = file::dup2(tx, 1);
                (0..50).for_each(|i| say!("process {id} line {i:02}"));
                0
            })
        })
        .collect();
    let _ = file::close(tx);
    let text = String::from_utf8(file::read_all(rx).unwrap_or_default()).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.iter().for_each(|line| say!("{line}"));
    for pid in pids {
        say!("{}", child::end_of(pid));
    }
    0
}
