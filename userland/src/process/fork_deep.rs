//! A chain of 40 processes, each the parent of the next, its memory copied on write 40 times.
use crate::out::say;
use crate::sys::child;
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let mut data = vec![0u32; 30_000];
    say!("{}", child::run(|| descend(40, &mut data)));
    say!("untouched: {}", data.iter().all(|x| *x == 0));
    0
}

fn descend(depth: i32, data: &mut [u32]) -> i32 {
    for x in data.iter_mut() {
        *x += 1;
    }
    if depth == 0 {
        say!("deepest: all 41: {}", data.iter().all(|x| *x == 41));
        return 1;
    }
    let level = data[0];
    let end = child::run(|| descend(depth - 1, data));
    let kept = data.iter().all(|x| *x == level);
    if end == format!("exited {depth}") && kept { depth + 1 } else { 99 }
}
