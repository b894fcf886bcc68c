//! wait4(-1) gives each child once, whichever ends first; then ECHILD.
use crate::out::{say, show};
use crate::sys::{child, file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut codes = Vec::new();
    for code in 0..20 {
        let _ = child::start(|| code);
    }
    let mut status = 0;
    while process::wait4(-1, Some(&mut status), 0, None).is_ok() {
        codes.push(child::Status(status).to_string());
    }
    codes.sort();
    say!("{}", codes.join(", "));
    show("then", process::wait4(-1, None, 0, None));
    // The order of ending is the order of waiting.
    let pipes: Vec<(i32, i32)> = (0..3).map(|_| file::pipe()).collect();
    let pids: Vec<i32> = pipes
        .iter()
        .map(|(rx, _)| {
            child::start(|| {
                for (_, tx) in &pipes {
                    let _ = file::close(*tx);
                }
                let _ = file::read(*rx, &mut [0]);
                0
            })
        })
        .collect();
    for i in [2, 0, 1] {
        let _ = file::close(pipes[i].1);
        say!("child {i} first: {}", process::wait4(-1, None, 0, None) == Ok(pids[i] as usize));
    }
    0
}
