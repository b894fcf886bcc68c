//! 200 children alive at once, each with its own exit code, all reaped; no PID given twice.
use crate::out::say;
use crate::sys::{child, file};
use std::collections::BTreeSet;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let (rx, tx) = file::pipe();
    let pids: Vec<i32> = (0..200)
        .map(|i| {
            child::start(|| {
                let _ = file::close(tx);
                let _ = file::read(rx, &mut [0]);
                i
            })
        })
        .collect();
    let distinct: BTreeSet<&i32> = pids.iter().collect();
    say!("{} distinct pids", distinct.len());
    let _ = file::close(tx);
    let right = pids.iter().enumerate().filter(|(i, pid)| {
        child::end_of(**pid) == format!("exited {i}")
    });
    say!("{} right codes", right.count());
    0
}
